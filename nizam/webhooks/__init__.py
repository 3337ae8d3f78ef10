"""Telling other systems what happens: signed HTTP requests, queued, retried and accounted for."""
