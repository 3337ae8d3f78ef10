"""Tests of what FreeSWITCH's events become."""
