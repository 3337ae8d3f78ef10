"""Emails: what they say, how they leave, and the outbox from which they are sent until they are."""
