"""Explanations: every symptom -> Reason."""
