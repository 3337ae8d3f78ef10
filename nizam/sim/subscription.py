"""What one event-socket connection listens to: `event`, `nixevent`, `noevents` and `filter`."""

from __future__ import annotations

import re

from nizam.sim.core import EncodedEvent

# The names that `event` knows; unknown ones are skipped without a word (switch_event.c).
_NAMES = """
CUSTOM CLONE CHANNEL_CREATE CHANNEL_DESTROY CHANNEL_STATE CHANNEL_CALLSTATE CHANNEL_ANSWER
CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HOLD
CHANNEL_UNHOLD CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA
CHANNEL_OUTGOING CHANNEL_PARK CHANNEL_UNPARK CHANNEL_APPLICATION CHANNEL_ORIGINATE CHANNEL_UUID
API LOG INBOUND_CHAN OUTBOUND_CHAN STARTUP SHUTDOWN PUBLISH UNPUBLISH TALK NOTALK SESSION_CRASH
MODULE_LOAD MODULE_UNLOAD DTMF MESSAGE PRESENCE_IN NOTIFY_IN PRESENCE_OUT PRESENCE_PROBE
MESSAGE_WAITING MESSAGE_QUERY ROSTER CODEC BACKGROUND_JOB DETECTED_SPEECH DETECTED_TONE
PRIVATE_COMMAND HEARTBEAT TRAP ADD_SCHEDULE DEL_SCHEDULE EXE_SCHEDULE RE_SCHEDULE RELOADXML
NOTIFY PHONE_FEATURE PHONE_FEATURE_SUBSCRIBE SEND_MESSAGE RECV_MESSAGE REQUEST_PARAMS
CHANNEL_DATA GENERAL COMMAND SESSION_HEARTBEAT CLIENT_DISCONNECTED SERVER_DISCONNECTED SEND_INFO
RECV_INFO RECV_RTCP_MESSAGE SEND_RTCP_MESSAGE CALL_SECURE NAT RECORD_START RECORD_STOP
PLAYBACK_START PLAYBACK_STOP CALL_UPDATE FAILURE SOCKET_DATA MEDIA_BUG_START MEDIA_BUG_STOP
CONFERENCE_DATA_QUERY CONFERENCE_DATA CALL_SETUP_REQ CALL_SETUP_RESULT CALL_DETAIL DEVICE_STATE
TEXT SHUTDOWN_REQUESTED ALL
"""
EVENT_NAMES = frozenset(_NAMES.split())


class Subscription:
    """The state of one connection; the methods return the reply's text."""

    def __init__(self) -> None:
        self.encoding = "plain"
        self.listening = False
        self._names: set[str] = set()
        self._subclasses: set[str] = set()
        self._all = False
        self._filters: list[tuple[str, str]] = []

    def wants(self, name: str, subclass: str | None) -> bool:
        """Whether an event of this kind is subscribed to, filters aside."""
        if self._all:
            return True
        if name == "CUSTOM":
            return subclass in self._subclasses
        return name in self._names

    def passes(self, encoded: EncodedEvent) -> bool:
        """Whether the filters let the event through: one positive match, no negative one."""
        if not self._filters:
            return True
        send = False
        for header, pattern in self._filters:
            value = encoded.event.get(header)
            if value is None:
                continue
            negative = pattern.startswith("-")
            if send and not negative:
                continue
            if _matches(value, pattern.lstrip("+- ")):
                if negative:
                    return False
                send = True
        return send

    def event(self, words: list[str]) -> str:
        """`event [plain|json] NAME... CUSTOM SUBCLASS...`; adds to what was subscribed."""
        encoding = (
            words[0].lower() if words and words[0].lower() in ("plain", "json", "xml") else ""
        )
        if encoding == "xml":
            return "-ERR xml events are not simulated"
        names = words[1:] if encoding else words
        if not encoding and names and names[0].upper() not in EVENT_NAMES:
            names = names[1:]  # `event bogus ALL`: the first word is taken for the format
        known = self._select(names)
        if known is None:
            return "-ERR no keywords supplied"
        if encoding:
            self.encoding = encoding
        self.listening = True
        wanted, subclasses = known
        self._all = self._all or "ALL" in wanted
        self._names |= wanted
        self._subclasses |= subclasses
        return f"+OK event listener enabled {self.encoding}"

    def nixevent(self, words: list[str]) -> str:
        """`nixevent NAME... CUSTOM SUBCLASS...`."""
        known = self._select(words)
        if known is None:
            return "-ERR no keywords supplied"
        names, subclasses = known
        if "ALL" in names:
            self._all, self._names, self._subclasses = False, set(), set()
        elif self._all:
            self._all = False
            self._names = set(EVENT_NAMES) - {"ALL"}
        self._names -= names
        self._subclasses -= subclasses
        return "+OK events nixed"

    def noevents(self) -> str:
        """`noevents`."""
        if not self.listening:
            return "-ERR not listening for events"
        self.listening = False
        self._all, self._names, self._subclasses = False, set(), set()
        return "+OK no longer listening for events"

    def filter(self, text: str) -> str:
        """`filter HEADER PATTERN`, `filter delete HEADER [PATTERN]`, `filter delete all`."""
        words = text.split(" ", 2)
        if words[0] == "delete":
            return self._delete_filter(words[1:])
        header, _, pattern = text.partition(" ")
        if not pattern:
            return "-ERR invalid syntax"
        self._filters.append((header, pattern))
        return f"+OK filter added. [{header}]=[{pattern}]"

    def _delete_filter(self, words: list[str]) -> str:
        if not words:
            return "-ERR invalid syntax"
        header, pattern = words[0], words[1] if len(words) > 1 else ""
        self._filters = [
            item
            for item in self._filters
            if header != "all" and not (item[0] == header and pattern in ("", item[1]))
        ]
        return f"+OK filter deleted. [{header}][{pattern}]"

    def _select(self, words: list[str]) -> tuple[set[str], set[str]] | None:
        """Known event names and, behind CUSTOM, subclasses; None when there is no name at all."""
        names: set[str] = set()
        subclasses: set[str] = set()
        custom = False
        for word in words:
            if custom:
                subclasses.add(word)
            elif word.upper() in EVENT_NAMES:
                names.add(word.upper())
                custom = word.upper() == "CUSTOM"
        if not names:
            return None
        names.discard("CUSTOM")
        return names, subclasses


def _matches(value: str, pattern: str) -> bool:
    if pattern.startswith("/"):
        return re.search(pattern.strip("/"), value) is not None
    return value.casefold() == pattern.casefold()
