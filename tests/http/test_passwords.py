"""What is stored of a password: argon2id with the second parameters of RFC 9106, chapter 4."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor

from nizam.http.passwords import Passwords

reactor: Any = installed_reactor
PASSWORD = "correct horse battery staple"


async def test_a_hash_costs_64_mib_and_three_passes_and_is_of_its_password_alone() -> None:
    passwords = Passwords(reactor)
    stored = await passwords.hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.hash(PASSWORD) != stored
    assert await passwords.verify(PASSWORD, stored)
    assert not await passwords.verify(f"{PASSWORD}!", stored)


async def test_nobody_has_no_password_which_is_found_out_by_a_hash_of_the_same_cost() -> None:
    passwords = Passwords(reactor)
    assert not await passwords.verify(PASSWORD, None)
    assert not await passwords.verify("nobody has this password", None)
    assert passwords._dummy is not None
    assert passwords._dummy.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
