"""A DID: a public number that reaches a tenant. It exists once on the whole platform."""

from __future__ import annotations

from nizam.model.base import Body
from nizam.model.destination import Destination
from nizam.model.extension import RecordingPolicy
from nizam.model.resource import Column, Resource, Unique
from nizam.model.values import E164, Language, Text, TimeZone


class Did(Body):
    """A public number that reaches the tenant. It exists once on the whole platform."""

    number: E164
    """The public number in E.164; it exists once on the whole platform."""
    label: Text = ""
    """What it is for, for people."""
    destination: Destination
    """Where its calls go."""
    caller_name_prefix: Text | None = None
    """Put before the caller's name, so that people see what was called.
    Punctuation that FreeSWITCH reads, such as a colon, becomes a blank."""
    language: Language | None = None
    """The language of announcements."""
    recording: RecordingPolicy = "never"
    """Which of its calls are recorded."""
    time_zone: TimeZone | None = None
    """The time zone of its calls, for time conditions and policies that have none of their own."""


RESOURCE = Resource(
    name="did",
    path="dids",
    body=Did,
    columns=(Column("number"), Column("label"), Column("enabled", "boolean")),
    unique=(Unique(("number",), everywhere=True),),
    search=("number", "label"),
    destination=True,
    passes=lambda _body, _path: True,
    quota="max_dids",
    example={
        "number": "+12025550101",
        "label": "Main line",
        "destination": {"type": "extension", "id": "01937a5e-0000-7000-8000-000000000001"},
    },
)
