"""The verbs of run.py, a module each; project.py and next_command.py are shared."""
