"""What run.py does on the control node.

Here lies what every part stands on: settings, errors, the reasons that explain what AWS answers,
the command line and the screen. Each folder may import those before it, and none after it:
jobs, services, runs, reports, monitoring, checks, verbs.
"""
