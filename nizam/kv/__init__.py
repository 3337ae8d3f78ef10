"""Redis behind one small interface."""
