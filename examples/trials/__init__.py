"""How each example runs on this computer: its program, its input, and what its result must be.

`make example-NAME` is `python -m examples.trials NAME`. None of this belongs to an implementation:
who starts from an example leaves this folder behind.
"""
