"""Daemons are ended with the test that started them, here too."""

from tests.daemon.conftest import no_daemon_outlives_its_test

__all__ = ["no_daemon_outlives_its_test"]
