"""The settings with which a command finds a test's database."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit


def database_settings(dsn: str) -> dict[str, str]:
    """Names and values for the environment of the command."""
    it = urlsplit(dsn)
    return {
        "DB_HOST": it.hostname or "",
        "DB_PORT": str(it.port or 5432),
        "DB_DATABASE": it.path[1:],
        "DB_USERNAME": it.username or "",
        "DB_PASSWORD": unquote(it.password or ""),
        "DB_SSLMODE": "disable",
    }
