"""The records of runs on S3: read, counted, written."""
