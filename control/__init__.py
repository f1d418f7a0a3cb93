"""The control node: everything that run.py does.

The modules in this folder serve every part: model, settings, errors, text, screen, command line.
Each of the folders may import those that tests/test_layout.py lists before it, and none after it.
"""
