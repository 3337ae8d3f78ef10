"""Events: the same values from JSON and from plain text, and one error for what is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.esl.errors import EslPeerError
from nizam.esl.event import HeaderValue, PlainHeaders, SwitchEvent, decode_event
from nizam.esl.frames import EVENT_JSON, EVENT_PLAIN, EVENT_XML, Frame
from tests import recordings
from tests.esl.wire_cases import decode


def json_event(payload: bytes) -> SwitchEvent:
    return decode_event(Frame(EVENT_JSON, {}, payload))


def plain_event(payload: bytes) -> SwitchEvent:
    return decode_event(Frame(EVENT_PLAIN, {}, payload))


def events(name: str) -> Iterator[SwitchEvent]:
    for frame in decode([recordings.stream(name)]):
        if frame.content_type in (EVENT_JSON, EVENT_PLAIN):
            yield decode_event(frame)


def unquoted(value: HeaderValue) -> HeaderValue:
    return unquote(value) if isinstance(value, str) else [unquote(item) for item in value]


# -- recorded events -----------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["calls", "calls2"])
def test_plain_and_json_of_a_recorded_event_say_the_same(run: str) -> None:
    """Connections saw the same events, each in its own format; Event-Sequence joins them.

    Plain text is ambiguous: FreeSWITCH leaves a percent sign alone that already looks encoded.
    """
    in_json = {event.get("Event-Sequence"): event for event in events(f"{run}/esl/events-json-all")}
    compared = 0
    for event in events(f"{run}/esl/events-plain-all"):
        twin = in_json.get(event.get("Event-Sequence"))
        if twin is not None:
            assert dict(event.headers) == {n: unquoted(v) for n, v in twin.headers.items()}
            assert (event.name, event.body) == (twin.name, twin.body)
            compared += 1
    assert compared >= len(in_json) - 2


@pytest.mark.parametrize("name", recordings.names("load"))
def test_every_event_recorded_under_load_decodes(name: str) -> None:
    count = 0
    for event in events(name):
        assert event.get("Core-UUID")
        assert event.get("Event-Name") == event.name
        count += 1
    assert count > 17_000


def test_an_event_that_repeats_its_header_block_is_what_the_last_block_says() -> None:
    """FreeSWITCH puts a second block into PRIVATE_COMMAND events; only the last sequence number
    is unique."""
    sequences = [event.get("Event-Sequence") for event in events("calls/esl/events-json-all")]
    assert len(set(sequences)) == len(sequences)
    assert "PRIVATE_COMMAND" in {event.name for event in events("calls/esl/events-plain-all")}


def test_a_nested_body_is_the_events_body() -> None:
    jobs = [event for event in events("calls/transcripts/bgapi") if event.name == "BACKGROUND_JOB"]
    by_job = {event.get("Job-Command"): event.body for event in jobs}
    assert by_job["echo"] == "line one"
    status = by_job["status"]
    assert status is not None
    assert status.startswith("UP 0 years")


def test_arrays_are_lists_in_both_formats_and_get_gives_the_first() -> None:
    arrays = {
        name
        for event in events("calls/esl/events-plain-all")
        for name, value in event.headers.items()
        if isinstance(value, list)
    }
    assert "variable_originated_legs" in arrays
    event = json_event(b'{"Event-Name":"API","list":["a","b"],"none":[],"text":"t"}')
    assert [event.get(name) for name in ("list", "none", "text", "absent")] == [
        "a",
        None,
        "t",
        None,
    ]


def test_the_subclass_of_a_custom_event() -> None:
    subclasses = {
        event.subclass for event in events("calls/esl/events-json-all") if event.name == "CUSTOM"
    }
    assert {"sofia::register", "sofia::unregister", "vm::maintenance"} <= subclasses
    assert json_event(b'{"Event-Name":"API"}').subclass is None


def test_the_reply_to_an_outbound_connect_reads_like_a_plain_event() -> None:
    first = next(iter(decode([recordings.stream("calls/outbound/outbound-01-basic")])))
    block = "\n".join(f"{name}: {value}" for name, value in first.headers.items())
    headers = PlainHeaders(block)
    assert headers["Event-Name"] == "CHANNEL_DATA"
    assert headers["Channel-Channel-Name"] == "sofia/internal/1001@acme.example.test"


# -- damaged and foreign events ------------------------------------------------------------------


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    """FreeSWITCH copies what a phone sent into its JSON without looking."""
    event = json_event(b'{"Event-Name":"API","name":"Ren\xe9","_body":"\xff"}')
    assert event.get("name") == "Ren�"
    assert event.body == "�"
    event = plain_event(b"Event-Name: API\nname: Ren%E9 \xe9\nContent-Length: 1\n\n\xff")
    assert event.get("name") == "Ren� �"
    assert event.body == "�"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"Event-Name"',
        b"null",
        b"{}",
        b'{"Event-Name":1}',
        b'{"Event-Name":"API","_body":{}}',
        b'{"Event-Name":"API"',
        b'{"Event-Name":"A\xff',
        b'{"Event-Name":"API"}{"Event-Name":"API"}',
        b'{"Event-Name":"API","x":"Content-Length: 9\nContent-Type: text/event-json\n\n{}',
        b"[" * 100_000,
    ],
)
def test_json_that_is_no_event_is_the_peers_error(payload: bytes) -> None:
    with pytest.raises(EslPeerError):
        json_event(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\n\n",
        b"Event-Name: API",
        b"Event-Name: API\n",
        b"Other: x\n\n",
        b"Event-Name: ARRAY%3A%3Aa\n\n",
        b"Event-Name: API\n\nbody without its length",
        b"Event-Name: API\nContent-Length: 3\n\nfour",
        b"Event-Name: API\nContent-Length: x\n\n",
        b"Event-Name: API\nContent-Length: 40\nContent-Type: text/event-plain\n\nEvent-Name: B\n\n",
    ],
)
def test_plain_text_that_is_no_event_is_the_peers_error(payload: bytes) -> None:
    with pytest.raises(EslPeerError):
        plain_event(payload)


def test_xml_is_kept_raw_and_is_no_switch_event() -> None:
    frames = decode([recordings.stream("calls/esl/events-xml-all")])
    frame = next(frame for frame in frames if frame.content_type == EVENT_XML)
    assert frame.body.startswith(b"<event>\n  <headers>\n")
    with pytest.raises(EslPeerError):
        decode_event(frame)


@given(st.binary(max_size=400))
def test_any_payload_is_an_event_or_the_peers_error(payload: bytes) -> None:
    for content_type in (EVENT_JSON, EVENT_PLAIN):
        for wrapped in (payload, b'{"Event-Name":"API","x":"' + payload + b'"}',
                        b"Event-Name: API\nx: " + payload + b"\n\n"):  # fmt: skip
            try:
                event = decode_event(Frame(content_type, {}, wrapped))
            except EslPeerError:
                continue
            assert all(event.headers[name] is not None for name in event.headers)
            assert event.get("absent") is None
            # What is stored later goes through a strict JSON writer.
            orjson.dumps([dict(event.headers), event.body])


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(values=st.dictionaries(_TEXT.filter(lambda name: name != "_body"), _TEXT), body=_TEXT)
def test_any_values_written_as_json_come_back(values: dict[str, str], body: str) -> None:
    values["Event-Name"] = "API"
    event = json_event(json.dumps(values | {"_body": body}, ensure_ascii=False).encode())
    assert event == SwitchEvent("API", values, body)
