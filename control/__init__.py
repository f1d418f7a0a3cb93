"""What run.py does on the control node: verbs, and under them one module for each AWS service."""
