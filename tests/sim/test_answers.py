"""Verified documents are read as FreeSWITCH reads them; what it would not accept is refused."""

from __future__ import annotations

import pytest

from nizam.sim.answers import (
    AnswerError,
    dialplan_extension,
    directory_user,
    ivr_menus,
    sofia_gateways,
    sofia_profiles,
)
from tests.recordings import CAPTURES
from tests.sim.answering import NOT_FOUND, document

ACME = "acme.example.test"


def _dialplan(conditions: str, context: str = ACME) -> bytes:
    return (
        '<document type="freeswitch/xml"><section name="dialplan">'
        f'<context name="{context}"><extension name="e">{conditions}</extension></context>'
        "</section></document>"
    ).encode()


def _read(body: bytes) -> list[tuple[str, str]] | None:
    fields = {"destination_number": "1002"}
    extension = dialplan_extension(body, ACME, lambda name: fields.get(name, ""))
    if extension is None:
        return None
    return [(action.application, action.data) for action in extension.actions]


def test_a_user_is_found_by_id_with_its_password_and_variables() -> None:
    user = directory_user(document("01-directory/user-acme-1002"), "1002", ACME)
    assert user is not None
    assert user.cacheable == 60000
    assert user.variables["user_context"] == ACME
    assert user.params["dial-string"].endswith("sofia/internal/${dialed_user}%${dialed_domain}")


@pytest.mark.parametrize(("password", "right"), [("acme-1002-pw", True), ("acme-1001-pw", False)])
def test_a_phone_is_accepted_when_its_password_makes_the_a1_hash(
    password: str, right: bool
) -> None:
    user = directory_user(document("01-directory/user-acme-1002"), "1002", ACME)
    assert user is not None
    assert user.accepts(password) is right


@pytest.mark.parametrize(
    ("user", "domain"), [("1003", ACME), ("1002", "globex.example.test"), ("", "")]
)
def test_a_user_that_was_not_asked_for_is_not_found(user: str, domain: str) -> None:
    assert directory_user(document("01-directory/user-acme-1002"), user, domain) is None


def test_not_found_is_no_user_no_extension_no_menu_and_no_gateway() -> None:
    assert directory_user(NOT_FOUND, "1002", ACME) is None
    assert _read(NOT_FOUND) is None
    assert ivr_menus(NOT_FOUND) == {}
    assert sofia_gateways(NOT_FOUND, "external") == ()


def test_every_verified_dialplan_gives_its_actions() -> None:
    folders = ("02-dialplan", "03-ringgroup", "05-voicemail", "07-outbound", "08-refusals")
    read = 0
    for folder in folders:
        for path in sorted((CAPTURES / "freeswitch-xml" / folder).glob("*.xml")):
            body = path.read_bytes()
            if b'section name="dialplan"' not in body:
                continue
            context = body.partition(b'<context name="')[2].partition(b'"')[0].decode()
            extension = dialplan_extension(body, context, lambda name: "1002")
            assert extension is not None, path.name
            assert len(extension.actions) == body.count(b"<action "), path.name
            read += 1
    assert read > 25


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ('<condition><action application="answer"/></condition>', [("answer", "")]),
        ('<action application="answer"/>', None),
        (
            '<condition field="destination_number" expression="^(1)(00.)$">'
            '<action application="log" data="$1-$2-$5"/></condition>',
            [("log", "1-002-")],
        ),
        (
            '<condition field="destination_number" expression="^9"><action application="answer"/>'
            '<anti-action application="hangup"/></condition>',
            [("hangup", "")],
        ),
    ],
)
def test_conditions_decide_which_actions_run(
    conditions: str, expected: list[tuple[str, str]] | None
) -> None:
    assert _read(_dialplan(conditions)) == expected


def test_a_context_of_another_name_never_matches() -> None:
    assert _read(_dialplan('<condition><action application="answer"/></condition>', "any")) is None


def test_a_menu_answers_digits_and_patterns() -> None:
    menu = ivr_menus(document("04-ivr/ivr-main-with-sub.conf"))["ivr_acme_main"]
    found = {digits: menu.entry_for(digits) for digits in ("1", "1003", "3", "5")}
    assert {d: (f[0].action, f[1]) if f else None for d, f in found.items()} == {
        "1": ("menu-exec-app", f"transfer 1002 XML {ACME}"),
        "1003": ("menu-exec-app", f"transfer 1003 XML {ACME}"),
        "3": ("menu-sub", "ivr_acme_sub"),
        "5": None,
    }


def test_sofia_conf_names_profiles_and_their_gateways() -> None:
    body = document("07-outbound/sofia.conf")
    assert sofia_profiles(body) == ("internal", "external")
    assert [(g.name, g.params["proxy"]) for g in sofia_gateways(body, "external")] == [
        ("gw_acme_1", "127.0.0.1:7900"),
        ("gw_globex_1", "127.0.0.1:7901"),
    ]
    assert sofia_gateways(body, "internal") == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"<document><section name='result'/></document>",
        b'<document type="freeswitch/xml"/>',
    ],
)
def test_what_freeswitch_would_not_accept_is_an_error(body: bytes) -> None:
    with pytest.raises(AnswerError):
        directory_user(body, "1002", ACME)


def test_two_users_in_one_answer_are_an_error() -> None:
    one = document("01-directory/user-acme-1002")
    user = one[one.index(b"<user ") : one.index(b"</user>") + 7]
    with pytest.raises(AnswerError, match="2 users"):
        directory_user(one.replace(user, user + user), "1002", ACME)
