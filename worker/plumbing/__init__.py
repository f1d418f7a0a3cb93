"""The plumbing below generic-worker.py: a new worker needs no edit in this folder."""

from plumbing.container import main
from plumbing.failures import JobFailed
from plumbing.job import Job

__all__ = ["Job", "JobFailed", "main"]
