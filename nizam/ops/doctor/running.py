"""Probes, which look at one thing each, and running them side by side, each with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from nizam.ops.doctor.finding import Check, Finding
from nizam.settings import Loaded, Settings

PROBE_SECONDS = 10.0
"""How long one probe may take."""

ANSWER_SECONDS = 5.0
"""How long one server may take for an answer."""


class ProbeError(Exception):
    """What a probe is about cannot be reached, or cannot be asked; the text says why."""


class NotReachedError(ProbeError):
    """The server cannot be asked at all. That is wrong once, for the check that is about it; other
    probes that need the server (`told_elsewhere`) only say that they know nothing."""


@attrs.frozen
class Context:
    """What the doctor is told: the settings, where from, and where FreeSWITCH's files would lie
    if it ran on this machine."""

    loaded: Loaded
    config: Path | None = None
    freeswitch_folder: Path = Path("/etc/freeswitch")

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.loaded.settings


@attrs.frozen
class Probe:
    """Looks at one thing and finds something of it; blocking.

    When it raises ProbeError or OSError, or takes too long, `reach` is what is wrong. With
    `told_elsewhere` NotReachedError is no more than a note.
    """

    reach: Check
    subject: str
    look: Callable[[], Iterable[Finding]]
    told_elsewhere: bool = attrs.field(default=False, kw_only=True)


def run_all(probes: Sequence[Probe], seconds: float = PROBE_SECONDS) -> list[Finding]:
    """What they find, in their order; what one found before it was over stays."""
    until = time.monotonic() + seconds
    turns = [_Turn(it, seconds) for it in probes]
    for turn in turns:
        turn.start()
    return [it for turn in turns for it in turn.result(until)]


class _Turn(threading.Thread):
    # A daemon: one that hangs in a look-up of a name must not keep the command from ending.

    def __init__(self, probe: Probe, seconds: float) -> None:
        super().__init__(name=f"doctor: {probe.subject}", daemon=True)
        self._probe = probe
        self._seconds = seconds
        self._found: list[Finding] = []

    def run(self) -> None:
        try:
            for finding in self._probe.look():
                self._found.append(finding)
        except (ProbeError, OSError) as error:
            detail = " ".join(str(error).split()) or type(error).__name__
            check, subject = self._probe.reach, self._probe.subject
            if isinstance(error, NotReachedError) and self._probe.told_elsewhere:
                self._found.append(check.note(subject, f"not known: {detail}"))
            else:
                self._found.append(check.wrong(subject, detail))
        except Exception as error:
            detail = f"could not be checked: {type(error).__name__}: {error}"
            self._found.append(self._probe.reach.wrong(self._probe.subject, detail))

    def result(self, until: float) -> Iterator[Finding]:
        self.join(max(until - time.monotonic(), 0))
        late = self.is_alive()
        yield from list(self._found)
        if late:
            detail = f"not finished within {self._seconds:g} s"
            yield self._probe.reach.wrong(self._probe.subject, detail)
