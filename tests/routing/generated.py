"""Tenants that hypothesis makes up: valid documents of everything that routing knows.

Both tenants of a switch have the same numbers and names, so that a lookup in the wrong one finds
something.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.routing.cases.site import Site, new_site

EXTENSIONS = ("1001", "1002", "1003", "1004")
GROUPS = ("2000", "2001")
MENUS = ("5000", "5001")
TIMES = ("Hours", "Nights")
POLICIES = ("Redirecting", "Other")
DIDS = ("0101", "0102")
OUTSIDE = ("+12025550777", "911", "12025550777", "5551234", "+447700900123", "4040", "*97")
CAUSES = ("USER_BUSY", "NO_ANSWER", "USER_NOT_REGISTERED", "CALL_REJECTED", "ORIGINATOR_CANCEL")
DIALLED = (
    *(*EXTENSIONS, *GROUPS, *MENUS, "6000", "6001", "3000", "700", "701", "703", "911"),
    *("*97", "*98", "*991001", "*68", "*69701", "**1001", "*8", "*78", "*721002", "*73", "*11"),
    *(
        "+12025550777",
        "5551234",
        "4040",
        "",
        "0",
        "*",
        "${x}",
        "1001@x",
        "+" + "1" * 40,
        "ivr-",
        "٣",
    ),
)

PREFIX = {"acme": "+1202555", "globex": "+1303555"}
"""The DIDs of each tenant begin so."""


def _named(kind: str, names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(names).map(lambda name: {"type": kind, "id": name})


def destinations(slug: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any place a call can be sent to."""
    plain = st.one_of(
        _named("extension", EXTENSIONS),
        _named("voicemail", EXTENSIONS),
        _named("ring_group", GROUPS),
        _named("ivr", MENUS),
        _named("time_condition", TIMES),
        _named("routing_policy", POLICIES),
        _named("did", tuple(f"{PREFIX[slug]}{it}" for it in DIDS)),
        st.just({"type": "conference", "id": "3000"}),
        st.just({"type": "parking", "id": "700"}),
        st.sampled_from(OUTSIDE).map(lambda number: {"type": "external", "number": number}),
        st.sampled_from([{"type": "hangup"}, {"type": "hangup", "cause": "USER_BUSY"}]),
    )
    played = plain.map(lambda it: {"type": "play", "sound": "a.wav", "then": it})
    return st.one_of(plain, played, st.just({"type": "play", "sound": "a.wav"}))


@st.composite
def documents(draw: st.DrawFn, slug: str) -> dict[str, Any]:
    """A tenant's document; what it refers to is there."""
    to = destinations(slug)
    maybe = st.none() | to
    on = st.sampled_from([True, True, True, False])
    some = st.sampled_from

    def extension(number: str) -> dict[str, Any]:
        forward = {
            name: it
            for name in ("always", "busy", "no_answer", "not_registered")
            if (it := draw(maybe)) is not None and (name != "always" or draw(st.booleans()))
        }
        return {
            "number": number,
            "display_name": f"{slug} {number}",
            "enabled": draw(on),
            "do_not_disturb": not draw(on),
            "voicemail": {"enabled": draw(on)},
            "forward": forward,
            "follow_me": draw(st.lists(some([*OUTSIDE, *EXTENSIONS]), max_size=2)),
            "toll_class": draw(some(["internal", "local", "national", "international"])),
        }

    def group(number: str) -> dict[str, Any]:
        inside = some(EXTENSIONS).map(lambda it: {"extension_id": it})
        outside = some(OUTSIDE).map(lambda it: {"number": it, "confirm": True})
        strategies = ["simultaneous", "sequence", "rollover", "random", "round_robin"]
        return {
            "number": number,
            "name": f"Group {number}",
            "enabled": draw(on),
            "strategy": draw(some(strategies)),
            "members": draw(st.lists(inside | outside, min_size=1, max_size=3)),
            "fallback": draw(maybe),
        }

    def menu(number: str) -> dict[str, Any]:
        digits = draw(st.lists(some(["1", "2", "*", "#", "12"]), unique=True, max_size=3))
        return {
            "number": number,
            "name": f"Menu {number}",
            "enabled": draw(on),
            "greeting_long": "a.wav",
            "direct_dial": draw(st.booleans()),
            "entries": [{"digits": it, "destination": draw(to)} for it in digits],
            "timeout_destination": draw(maybe),
            "invalid_destination": draw(maybe),
        }

    def time_condition(name: str, number: str) -> dict[str, Any]:
        return {
            "name": name,
            "number": number,
            "enabled": draw(on),
            "rules": [{"weekdays": ["tue"], "from": "09:00", "to": draw(some(["17:00", "08:00"]))}],
            "match_destination": draw(to),
            "otherwise_destination": draw(to),
            "override": draw(some(["auto", "match", "otherwise"])),
        }

    def policy(name: str) -> dict[str, Any]:
        condition = draw(
            some(
                [
                    {"type": "anonymous"},
                    {"not": {"type": "anonymous"}},
                    {"type": "caller_prefix", "prefixes": ["+1"]},
                    {"type": "destination", "pattern": "1XXX"},
                    {"type": "blocked_list"},
                    {
                        "any": [
                            {"type": "time", "time_condition_id": "Hours"},
                            {"type": "anonymous"},
                        ]
                    },
                ]
            )
        )
        redirect = to.map(lambda it: {"type": "redirect", "destination": it})
        others = some(
            [{"type": "allow"}, {"type": "reject"}, {"type": "set_caller_id", "name": "X"}]
        )
        return {
            "name": name,
            "applies_to": draw(some(["all", "inbound", "internal", "none", "none", "none"])),
            "condition": condition,
            "action": draw(redirect | others),
            "otherwise": draw(maybe),
        }

    return {
        "tenant": {
            "country": "US",
            "time_zone": draw(some(["America/New_York", "Europe/Berlin", "Pacific/Kiritimati"])),
            "dialling": {"international": draw(st.booleans())},
        },
        "gateways": [
            {"name": "One", "host": "192.0.2.1"},
            {"name": "Two", "host": "192.0.2.2", "enabled": draw(on)},
        ],
        "extensions": [extension(it) for it in EXTENSIONS],
        "ring_groups": [group(it) for it in GROUPS],
        "ivrs": [menu(it) for it in MENUS],
        "time_conditions": [time_condition("Hours", "6000"), time_condition("Nights", "6001")],
        "routing_policies": [policy(it) for it in POLICIES],
        "conference_rooms": [{"number": "3000", "name": "Room"}],
        "parking_lots": [
            {
                "number": "700",
                "name": "Lot",
                "slot_from": "701",
                "slot_to": "703",
                "return_destination": draw(maybe),
            }
        ],
        "feature_codes": [{"code": "*11", "feature": "speed_dial", "destination": draw(to)}],
        "outbound_routes": [
            {
                "name": "All",
                "patterns": draw(some([["+1."], ["+."], ["."], ["NXXXXXX", "+1."]])),
                "toll_class": draw(some(["local", "national", "international"])),
                "gateways": [{"gateway_id": "One"}, {"gateway_id": "Two"}],
            }
        ],
        "emergency_plans": [
            {
                "name": "Help",
                "numbers": ["911"],
                "gateways": [{"gateway_id": "One"}, {"gateway_id": "Two", "order": 1}],
            }
        ],
        "dids": [
            {"number": f"{PREFIX[slug]}{it}", "destination": draw(to), "enabled": draw(on)}
            for it in DIDS
        ],
        "blocked_numbers": [
            {"pattern": draw(some(["+1310.", "911", "+1202555.", "1002"])), "direction": "both"}
        ],
    }


@st.composite
def sites(draw: st.DrawFn, slug: str) -> Site:
    """A tenant with a document that could be saved, but that calls may go round in it."""
    site = new_site(slug)
    site.save(draw(documents(slug)), checked=False)
    site.body["status"] = draw(st.sampled_from(["active", "active", "trial", "suspended"]))
    return site
