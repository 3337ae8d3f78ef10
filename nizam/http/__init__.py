"""The HTTP side: the API, and what FreeSWITCH asks, in one tree."""
