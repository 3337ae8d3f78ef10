"""The conversation: recorded ones are held again, and each answer finds its command."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nizam.esl import commands
from nizam.esl.commands import Command
from nizam.esl.errors import EslPeerError, EslUsageError
from nizam.esl.session import (
    Disconnecting,
    JobFinished,
    Output,
    Ready,
    Refusal,
    Refused,
    Replied,
    Session,
    SwitchEvent,
    Write,
)
from nizam.esl.subscription import CALL_CONTROL
from tests import recordings
from tests.esl.wire_cases import at_random, byte_by_byte

GREETING = b"Content-Type: auth/request\n\n"
ACCEPTED = b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
SUBSCRIBED = b"Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n"


def reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def api_response(text: str) -> bytes:
    return f"Content-Type: api/response\nContent-Length: {len(text.encode())}\n\n{text}".encode()


def job_event(job_uuid: str, body: str) -> bytes:
    payload = f'{{"Event-Name":"BACKGROUND_JOB","Job-UUID":"{job_uuid}","_body":"{body}"}}'
    return f"Content-Length: {len(payload)}\nContent-Type: text/event-json\n\n{payload}".encode()


def ready_session() -> Session[str]:
    session: Session[str] = Session(commands.auth("ClueCon"))
    assert Ready({}) in list(session.receive(GREETING + ACCEPTED))
    return session


# -- recorded conversations ----------------------------------------------------------------------

_BODY_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def parse_commands(sent: bytes) -> list[tuple[int, bytes, Command]]:
    """What the recorder sent: where each command starts, its bytes, and the command."""
    parsed, start = [], 0
    while start < len(sent):
        end = sent.index(b"\n\n", start) + 2
        if end == start + 2:  # an empty command, which FreeSWITCH passes over
            start = end
            continue
        block = sent[start : end - 2]
        length = _BODY_LENGTH.search(block)
        body_end = end + (int(length[1]) if length else 0)
        line, *header_lines = block.decode().split("\n")
        headers = [tuple(header.split(": ", 1)) for header in header_lines]
        headers = [pair for pair in headers if pair[0] != "content-length"]
        job_uuid = next((pair[1] for pair in headers if pair[0] == "Job-UUID"), None)
        command = Command(
            line.strip(),
            tuple((name, value) for name, value in headers),
            body=sent[end:body_end],
            api_response=line.lower().startswith("api"),
            job_uuid=job_uuid,
        )
        parsed.append((start, sent[start:body_end], command))
        start = body_end
    return parsed


REFUSED_CONVERSATIONS = {
    "calls/transcripts/auth-fail": Refusal.WRONG_PASSWORD,
    "calls/transcripts/auth-fail-then-ok": Refusal.WRONG_PASSWORD,
    "calls/transcripts/userauth-fail": Refusal.WRONG_PASSWORD,
    "calls/transcripts/userauth-unknown": Refusal.WRONG_PASSWORD,
    "calls/transcripts/rude-rejection": Refusal.ACCESS_DENIED,
}
CONVERSATIONS = [
    name
    for name in recordings.names("calls/transcripts") + recordings.names("live/transcripts")
    if name not in REFUSED_CONVERSATIONS and name != "calls/transcripts/command-before-auth"
]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_recorded_conversation_held_again(name: str) -> None:
    """The same bytes are sent, and every answer goes to the command that it answered."""
    recording = recordings.transcript(name)
    (_, _, authentication), *others = parse_commands(recording.sent)
    session: Session[int] = Session(authentication)
    unsent = list(enumerate(others))
    outputs: list[Output[int]] = []
    recorded_bytes = 0
    for step in recording.steps:
        if step.direction == "<":
            outputs += session.receive(step.data)
        elif step.direction == ">":
            if not recorded_bytes:
                assert outputs == [Write(authentication.encode())]
            recorded_bytes += len(step.data)
            while unsent and unsent[0][1][0] < recorded_bytes:
                number, (_, wire, command) = unsent.pop(0)
                assert session.send(command, number).lower() == wire.lower()
    answered = [output.ticket for output in outputs if isinstance(output, Replied)]
    finished = [output.ticket for output in outputs if isinstance(output, JobFinished)]
    assert answered == sorted(answered)
    assert Counter(answered + finished + session.connection_lost()) == Counter(range(len(others)))
    frames = recording.received.count(b"Content-Type: command/reply") + recording.received.count(
        b"Content-Type: api/response"
    )
    job_count = sum(1 for _, _, command in others if command.job_uuid)
    assert len(answered) + job_count == frames - 1
    assert len(finished) == job_count


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("calls/transcripts/pipelined", ["one", "two", "+OK", "three", "slow", "+OK bye"]),
        ("calls/transcripts/auth-ok", ["+OK bye"]),
        (
            "calls/transcripts/filter",
            [
                "+OK filter added. [Event-Name]=[HEARTBEAT]",
                "+OK filter added. [Event-Name]=[RE_SCHEDULE]",
                "+OK filter deleted. [Event-Name][RE_SCHEDULE]",
                "-ERR command not found",
                "-ERR invalid syntax",
            ],
        ),
    ],
)
def test_recorded_answers_in_the_order_of_their_commands(name: str, answers: list[str]) -> None:
    recording = recordings.transcript(name)
    (_, _, authentication), *others = parse_commands(recording.sent)
    for chunks in ([recording.received], byte_by_byte(recording.received)):
        session: Session[int] = Session(authentication)
        outputs: list[Output[int]] = []
        unsent = [command for _, _, command in others]
        for chunk in chunks:
            for output in session.receive(chunk):
                outputs.append(output)
                if isinstance(output, Ready):
                    for number, command in enumerate(unsent):
                        session.send(command, number)
        texts = [output.reply.text for output in outputs if isinstance(output, Replied)]
        assert texts[: len(answers)] == answers


@pytest.mark.parametrize(("name", "refusal"), REFUSED_CONVERSATIONS.items())
def test_a_recorded_refusal(name: str, refusal: Refusal) -> None:
    recording = recordings.transcript(name)
    session: Session[int] = Session(commands.auth("wrong"))
    outputs = list(session.receive(recording.received))
    refused = [output for output in outputs if isinstance(output, Refused)]
    assert [output.refusal for output in refused] == [refusal]
    assert isinstance(outputs[-1], Disconnecting)
    assert not any(isinstance(output, Ready) for output in outputs)


def test_what_a_directory_user_may_do_comes_with_ready() -> None:
    recording = recordings.transcript("calls/transcripts/userauth-ok")
    session: Session[int] = Session(commands.userauth("1001", "acme.example.test", "pw"))
    outputs = session.receive(recording.received)
    ready = next(output for output in outputs if isinstance(output, Ready))
    assert ready.headers["Allowed-API"] == "status show"


def test_a_lingering_notice_is_not_the_end() -> None:
    """The call is over, its last events still come, and then a second notice."""
    session = ready_session()
    notices = [
        frame
        for frame in recordings.stream("calls/transcripts/myevents-inbound").split(b"Content-Type")
        if b"disconnect-notice" in frame
    ]
    assert len(notices) == 2
    assert list(session.receive(b"Content-Type" + notices[0].rpartition(b"Content-Length")[0]
                                + b"Content-Length: 0\n\n")) == []  # fmt: skip
    (ended,) = session.receive(b"Content-Type: text/disconnect-notice\nContent-Length: 4\n\nbye\n")
    assert ended == Disconnecting("bye")


def test_the_recorded_event_stream_comes_out_as_events_however_cut() -> None:
    stream = recordings.stream("calls2/esl/events-json-all")

    def outputs(chunks: list[bytes]) -> list[Output[str]]:
        session: Session[str] = Session(commands.auth("ClueCon"), [commands.events(["ALL"])])
        return [output for chunk in chunks for output in session.receive(chunk)]

    whole = outputs([stream])
    assert whole[:3] == [
        Write(b"auth ClueCon\n\n"),
        Write(b"event json ALL\n\n"),
        Ready({}),
    ]
    assert all(isinstance(output, SwitchEvent) for output in whole[3:-1])
    assert isinstance(whole[-1], Disconnecting)
    assert outputs(list(at_random(stream, seed=5))) == whole


# -- authentication and subscription -------------------------------------------------------------


def test_commands_wait_until_authentication_and_every_subscription_succeeded() -> None:
    setup = [CALL_CONTROL.command(), commands.filter_events("a", "b")]
    session: Session[str] = Session(commands.auth("ClueCon"), setup)
    for data in (GREETING, ACCEPTED, SUBSCRIBED):
        with pytest.raises(EslUsageError):
            session.send(commands.api("status"), "early")
        assert Ready({}) not in list(session.receive(data))
    assert list(session.receive(reply("+OK filter added"))) == [Ready({})]
    assert session.send(commands.api("status"), "now") == b"api status\n\n"


def test_a_refused_subscription_is_a_refusal() -> None:
    session: Session[str] = Session(commands.auth("ClueCon"), [CALL_CONTROL.command()] * 2)
    list(session.receive(GREETING + ACCEPTED))
    data = reply("-ERR no keywords supplied") + SUBSCRIBED
    refused = Refused(Refusal.SUBSCRIPTION_DENIED, "-ERR no keywords supplied")
    assert list(session.receive(data)) == [refused]


# -- answers and jobs ----------------------------------------------------------------------------


def test_answers_come_in_the_order_of_the_commands() -> None:
    session = ready_session()
    session.send(commands.api("a"), "a")
    session.send(commands.filter_events("x", "y"), "b")
    session.send(commands.api("c"), "c")
    data = api_response("A") + reply("+OK B") + reply("-ERR permission denied")
    replied = [output for output in session.receive(data) if isinstance(output, Replied)]
    assert [(output.ticket, output.reply.text, output.reply.is_error) for output in replied] == [
        ("a", "A", False),
        ("b", "+OK B", False),
        ("c", "-ERR permission denied", True),
    ]


def test_a_job_ends_with_its_event_and_not_with_its_reply() -> None:
    session = ready_session()
    assert session.send(commands.bgapi("status", "j-1"), "t") == b"bgapi status\nJob-UUID: j-1\n\n"
    assert list(session.receive(reply("+OK Job-UUID: j-1"))) == []
    assert session.unanswered == 1
    (finished,) = session.receive(job_event("j-1", "UP"))
    assert isinstance(finished, JobFinished)
    assert (finished.ticket, finished.reply.text) == ("t", "UP")
    assert session.unanswered == 0


def test_a_job_may_end_before_its_reply() -> None:
    session = ready_session()
    session.send(commands.bgapi("status", "j-1"), "t")
    assert [type(output) for output in session.receive(job_event("j-1", "UP"))] == [JobFinished]
    assert session.connection_lost() == []
    session.send(commands.bgapi("status", "j-2"), "t2")
    list(session.receive(job_event("j-2", "UP")))
    assert list(session.receive(reply("+OK Job-UUID: j-2"))) == []


def test_a_refused_job_is_answered_by_its_reply() -> None:
    session = ready_session()
    session.send(commands.bgapi("status", "j-1"), "t")
    (replied,) = session.receive(reply("-ERR permission denied"))
    assert isinstance(replied, Replied)
    assert replied.reply.is_error
    assert session.unanswered == 0


def test_jobs_of_others_and_abandoned_jobs_are_events() -> None:
    session = ready_session()
    session.send(commands.bgapi("status", "j-1"), "t")
    (other,) = session.receive(job_event("j-9", "UP"))
    assert isinstance(other, SwitchEvent)
    session.abandon_job("j-1")
    (abandoned,) = session.receive(reply("+OK Job-UUID: j-1") + job_event("j-1", "UP"))
    assert isinstance(abandoned, SwitchEvent)


def test_a_job_uuid_in_use_is_our_own_error() -> None:
    session = ready_session()
    session.send(commands.bgapi("status", "j-1"), "t")
    with pytest.raises(EslUsageError):
        session.send(commands.bgapi("status", "j-1"), "t")
    assert session.unanswered == 2, "the reply and the end of the first job"


def test_a_lost_connection_gives_back_each_open_ticket_once() -> None:
    session = ready_session()
    session.send(commands.api("a"), "answered")
    session.send(commands.bgapi("b", "j-1"), "accepted job")
    session.send(commands.bgapi("c", "j-2"), "finished job")
    session.send(commands.bgapi("d", "j-3"), "sent job")
    session.send(commands.api("e"), "sent")
    data = api_response("A") + reply("+OK Job-UUID: j-1") + job_event("j-2", "done")
    list(session.receive(data))
    assert sorted(session.connection_lost()) == ["accepted job", "sent", "sent job"]
    assert session.connection_lost() == []


# -- what no FreeSWITCH says ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        GREETING,
        reply("+OK to nothing"),
        api_response("to nothing"),
        b"Content-Type: command/reply\n\n",
        b"Content-Length: 2\nContent-Type: text/event-json\n\n{}",
        b"nonsense\n\n",
    ],
)
def test_a_breach_of_the_protocol_ends_the_session(data: bytes) -> None:
    session = ready_session()
    with pytest.raises(EslPeerError):
        list(session.receive(data))
    with pytest.raises(EslPeerError):
        list(session.receive(job_event("j", "an event that is fine")))


def test_a_reply_before_the_greeting_is_a_breach() -> None:
    session: Session[str] = Session(commands.auth("ClueCon"))
    with pytest.raises(EslPeerError):
        list(session.receive(ACCEPTED))


def test_an_api_response_to_another_command_is_a_breach() -> None:
    session = ready_session()
    session.send(commands.exit_(), "t")
    with pytest.raises(EslPeerError):
        list(session.receive(api_response("?")))
    assert session.connection_lost() == ["t"]


def test_log_lines_and_xml_events_are_passed_over() -> None:
    session = ready_session()
    assert list(session.receive(
        b"Content-Type: log/data\nContent-Length: 2\nLog-Level: 7\n\nhi"
        b"Content-Length: 8\nContent-Type: text/event-xml\n\n<event/>"
    )) == []  # fmt: skip


_FRAMES = st.sampled_from(
    [
        GREETING,
        ACCEPTED,
        reply("-ERR invalid"),
        reply("+OK Job-UUID: j-1"),
        api_response("-ERR no"),
        api_response(""),
        job_event("j-1", "+OK"),
        b"Content-Type: command/reply\n\n",
        b"Content-Type: text/rude-rejection\nContent-Length: 1\n\nx",
        b"Content-Type: text/disconnect-notice\n\n",
        b"Content-Type: log/data\nContent-Length: 0\n\n",
        b"Content-Length: 2\nContent-Type: text/event-json\n\n{}",
        b"Content-Length: 17\nContent-Type: text/event-plain\n\nEvent-Name: API\n\n",
        b"nonsense\n\n",
    ]
)


@settings(max_examples=300)
@given(st.lists(_FRAMES, max_size=15), st.integers(0, 6))
def test_any_frames_in_any_order_settle_each_command_once_or_blame_the_peer(
    wire: list[bytes], command_count: int
) -> None:
    session: Session[int] = Session(commands.auth("ClueCon"))
    settled: list[int] = []
    sent = 0
    try:
        for output in session.receive(GREETING + ACCEPTED):
            if isinstance(output, Ready):
                for number in range(command_count):
                    job = number % 2
                    command = commands.bgapi("x", f"j-{number}") if job else commands.api("x")
                    session.send(command, number)
                    sent += 1
        for data in wire:
            for output in session.receive(data):
                if isinstance(output, Replied | JobFinished):
                    settled.append(output.ticket)
    except EslPeerError:
        pass
    assert sorted(settled + session.connection_lost()) == list(range(sent))
