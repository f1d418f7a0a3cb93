"""Every symptom -> Reason."""
