"""Which faults happen when: drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Final

import attrs

FIRST_SECONDS: Final = 1.0


@attrs.frozen
class Kind:
    """A kind of fault. `seconds` is the range of how long it lasts; `about` says what is done.

    `events` when events may be missing because of it, in a node.gap; `repeats` when webhooks that
    had come may come again. `storage` is what cannot be reached meanwhile.
    """

    name: str
    about: str
    seconds: tuple[float, float]
    events: bool = False
    repeats: bool = False
    storage: str = ""

    @property
    def group(self) -> str:
        """What it is done to."""
        return self.name.partition("-")[2]

    @property
    def action(self) -> str:
        """What is done."""
        return self.name.partition("-")[0]


_INSTANT: Final = (0.0, 0.0)
_LINK: Final = {
    "slow": ("each piece comes 20 to 200 ms later", (0.5, 3.0)),
    "slice": ("bytes come in pieces of 200 at most", (0.5, 3.0)),
    "stall": ("connections stay open but nothing moves", (0.3, 3.0)),
    "reset": ("every connection is ended by RST", _INSTANT),
    "cut": ("connections are reset and new ones refused", (0.1, 3.0)),
    "blackhole": ("what is sent is swallowed, then connections are reset", (0.3, 3.0)),
}


def _links(place: str, words: str, *, events: bool, repeats: bool, storage: str) -> Iterator[Kind]:
    for action, (about, seconds) in _LINK.items():
        breaks = action in ("stall", "reset", "cut", "blackhole")
        yield Kind(
            f"{action}-{place}",
            f"{words}: {about}",
            seconds,
            events=events and breaks,
            repeats=repeats,
            storage=storage if breaks else "",
        )


FAULTS: Final[Mapping[str, Kind]] = {
    it.name: it
    for it in (
        Kind(
            "kill-daemon",
            "kill -9 of an instance; it is started again",
            (0.1, 2.0),
            events=True,
            repeats=True,
        ),
        Kind(
            "kill-postgres",
            "kill -9 of PostgreSQL and all its processes",
            (0.1, 2.0),
            repeats=True,
            storage="postgres",
        ),
        Kind("kill-redis", "kill -9 of Redis", (0.1, 2.0), repeats=True, storage="redis"),
        Kind("restart-redis", "Redis ends on request", (0.1, 2.0), repeats=True, storage="redis"),
        Kind(
            "freeze-daemon",
            "SIGSTOP to an instance, then SIGCONT",
            (0.5, 3.0),
            events=True,
            repeats=True,
        ),
        Kind(
            "freeze-postgres",
            "SIGSTOP to PostgreSQL, then SIGCONT",
            (0.5, 4.0),
            repeats=True,
            storage="postgres",
        ),
        Kind(
            "freeze-redis",
            "SIGSTOP to Redis, then SIGCONT",
            (0.5, 4.0),
            repeats=True,
            storage="redis",
        ),
        Kind("flush-redis", "FLUSHALL", _INSTANT, repeats=True),
        *_links("esl", "event socket", events=True, repeats=False, storage=""),
        Kind(
            "corrupt-esl",
            "event socket: bytes come that nobody sent",
            (0.2, 1.0),
            events=True,
        ),
        *_links("postgres", "PostgreSQL", events=False, repeats=True, storage="postgres"),
        *_links("redis", "Redis", events=False, repeats=True, storage="redis"),
        Kind("blackhole-webhooks", "half of the endpoints never answer", (0.5, 4.0), repeats=True),
        Kind("fail-webhooks", "half of the endpoints answer 503", (0.5, 4.0)),
    )
}


@attrs.frozen
class Step:
    """One fault of a schedule: begins `at` seconds after the start, or as soon as the one before
    has been recovered from, and lasts `seconds`. `chance` decides what else is drawn."""

    at: float
    kind: Kind
    seconds: float
    chance: float

    def __str__(self) -> str:
        return f"{self.at:7.2f} s  {self.kind.name:20s} {self.seconds:5.2f} s"


def chosen(names: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds of these names; `kill` and `esl` are all that do or hit that, `all` is every one.

    Raises ValueError that says what there is.
    """
    wanted = list(names)
    for name in wanted:
        if not any(_means(name, kind) for kind in FAULTS.values()):
            groups = sorted({it.group for it in FAULTS.values()})
            actions = sorted({it.action for it in FAULTS.values()})
            raise ValueError(
                f"there is no fault {name!r}: take all, one of {', '.join(FAULTS)},"
                f" what is done ({', '.join(actions)}) or what it is done to ({', '.join(groups)})"
            )
    return tuple(it for it in FAULTS.values() if any(_means(name, it) for name in wanted))


def draw(
    seed: int,
    kinds: Sequence[Kind],
    seconds: float,
    *,
    pause: tuple[float, float] = (0.5, 2.5),
    stretch: float = 1.0,
    most: int | None = None,
    lasting: tuple[float, float] | None = None,
) -> tuple[Step, ...]:
    """The faults of a run of so many seconds: one at a time, `pause` apart, each kind once before
    any comes again. `stretch` makes them last longer, `lasting`
    says from and to how many seconds whatever the kind."""
    random = Random(seed)
    steps: list[Step] = []
    at = FIRST_SECONDS
    bag: list[Kind] = []
    while kinds and (most is None or len(steps) < most):
        bag = bag or random.sample(kinds, len(kinds))
        kind = bag.pop()
        low, high = lasting or kind.seconds
        lasts = random.uniform(low, high * stretch)
        if at + lasts > seconds:
            break
        steps.append(Step(round(at, 2), kind, round(lasts, 2), random.random()))
        at += lasts + random.uniform(*pause)
    return tuple(steps)


def _means(name: str, kind: Kind) -> bool:
    return name in ("all", kind.name, kind.group, kind.action)
