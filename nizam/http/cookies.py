"""The cookie of a browser's session."""

from __future__ import annotations

from typing import Final

_NAME: Final = "nizam_session"


def cookie_name(*, secure: bool) -> str:
    """The cookie's name; with the prefix `__Host-` browsers take it from nobody but this host,
    over HTTPS (RFC 6265bis)."""
    return f"__Host-{_NAME}" if secure else _NAME


def session_cookie(text: str, seconds: int, *, secure: bool) -> tuple[str, str]:
    """The header field that gives a browser its session, for `seconds`. Scripts cannot read it
    and other sites' pages cannot send it."""
    return "Set-Cookie", "; ".join(
        (
            f"{cookie_name(secure=secure)}={text}",
            "Path=/",
            f"Max-Age={seconds}",
            "HttpOnly",
            "SameSite=Strict",
            *(("Secure",) if secure else ()),
        )
    )


def ended_cookie(*, secure: bool) -> tuple[str, str]:
    """The header field that takes the session from the browser."""
    return session_cookie("", 0, secure=secure)
