"""A tenant's configuration as one declarative document: its form, its keys, and plans."""
