"""People for the tests of signing in: users who log in, by their roles."""

from __future__ import annotations

from typing import Any

import attrs

from tests.http.conftest import Answer, Server

PASSWORD = "correct horse battery staple"


@attrs.frozen
class Browser:
    """A browser that holds a session's cookie and its CSRF token."""

    server: Server
    cookie: str
    csrf_token: str

    async def request(
        self, method: str, path: str, body: Any = None, *, proof: bool = True, **headers: Any
    ) -> Answer:
        if proof:
            headers["x_csrf_token"] = self.csrf_token
        return await self.server.request(
            method, path, body, key=None, cookie=self.cookie, **headers
        )


async def make_user(
    server: Server,
    email: str,
    *memberships: tuple[str | None, str],
    key: str = "platform",
    **more: Any,
) -> dict[str, Any]:
    """A user with these (tenant's path or None, role)."""
    body = {
        "email": email,
        "name": email.partition("@")[0].title(),
        "password": PASSWORD,
        "memberships": [membership(*it) for it in memberships],
        **more,
    }
    return await server.make("/api/v1/users", body, key=key)


def membership(tenant: str | None, role: str) -> dict[str, Any]:
    return {"tenant_id": tenant and tenant.rpartition("/")[2], "role": role}


async def log_in(
    server: Server, email: str, password: str = PASSWORD, *, counted: bool = False, **more: Any
) -> Answer:
    """Log in; unless `counted`, as if nobody had tried for a minute."""
    if not counted:
        await forget_attempts(server)
    body = {"email": email, "password": password, **more}
    return await server.request("POST", "/api/v1/auth/login", body, key=None)


async def forget_attempts(server: Server) -> None:
    keys = await server.key_value.scan("rate:*")
    if keys:
        await server.key_value.delete(*keys)


async def token_of(server: Server, email: str, password: str = PASSWORD) -> str:
    answer = await log_in(server, email, password, token=True)
    assert answer.status == 200, answer.body
    text: str = answer.json["token"]
    return text


async def browser_of(server: Server, email: str, password: str = PASSWORD) -> Browser:
    answer = await log_in(server, email, password)
    assert answer.status == 200, answer.body
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return Browser(server, cookie, answer.json["csrf_token"])


async def person(server: Server, role: str, tenant: str | None, name: str | None = None) -> str:
    """The bearer token of a new user with the role."""
    email = f"{name or role}@example.com"
    await make_user(server, email, (tenant, role))
    return await token_of(server, email)
