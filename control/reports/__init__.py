"""report.json and report.html: figures, charts, advice."""
