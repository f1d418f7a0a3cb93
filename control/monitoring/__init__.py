"""Monitoring: observe a run, decide and act; the same here and in the Lambda."""
