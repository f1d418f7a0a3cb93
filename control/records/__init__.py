"""What S3 knows of runs."""
