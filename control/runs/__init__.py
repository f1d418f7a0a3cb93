"""What is on record of a run, on S3 before all, and what is counted and told from it."""
