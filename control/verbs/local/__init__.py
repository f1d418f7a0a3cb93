"""local: a run on this computer."""
