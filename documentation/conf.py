"""Settings for the website that Sphinx makes from these pages."""

project = "Distributed-Something"
copyright = "2026, the Distributed-Something developers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = project
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# Pages link to files of the repository, which the website does not hold.
suppress_warnings = ["myst.xref_missing"]
