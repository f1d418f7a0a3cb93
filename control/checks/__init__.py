"""What `check` looks at before any money is spent."""
