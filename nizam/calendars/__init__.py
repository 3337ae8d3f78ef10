"""Calendars as iCalendar files (RFC 5545): read, compared with those that there are, written."""
