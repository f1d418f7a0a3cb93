"""The monitor: what it observes, decides and does; the same here and in the Lambda."""
