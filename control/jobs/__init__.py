"""Jobs as people write them: job files, tables and grids, and the messages that come of them."""
