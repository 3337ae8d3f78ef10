"""Tests of the switch nodes: links, intake, live state, reconciliation."""
