"""What is typed after python run.py: a module each, and what belongs to one of them alone."""
