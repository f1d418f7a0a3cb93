"""How each example runs on this computer: its program, its input and its known result.

`make example-NAME` is `python -m tests.trials NAME`.
"""
