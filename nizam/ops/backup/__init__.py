"""Backups: one folder each, whole or not there, which can be verified and restored.

A backup is read in this order: Redis, PostgreSQL, FreeSWITCH's configuration, the media root.
PostgreSQL is the truth. What waits in Redis to be stored there is taken first, so that it is in one
of the two, and in both at worst, where its id tells. Files come last: whatever a row of the
database names was there when the row was read, and is missing from the backup only if it was
deleted meanwhile.

Everything here blocks and knows no reactor: it is for the commands, not for the daemon.
"""
