"""Trials of the examples on this computer: the program, the input and the known result of each.

`make example-NAME` is `python -m tests.trials NAME`.
"""
