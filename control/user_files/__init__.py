"""The files that users write."""
