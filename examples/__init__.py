"""Complete implementations, each a project of its own, and how they are tried on this computer."""
