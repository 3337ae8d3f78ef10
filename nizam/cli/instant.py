"""Instants as people write them: with an offset from UTC, or as the clocks of a place show them."""

from __future__ import annotations

from datetime import UTC, datetime

import click


def instant(text: str, time_zone: str | None) -> datetime:
    """The instant that `text` (ISO 8601) is. Without an offset it is what the clocks in the IANA
    time zone show, or UTC.

    Raises BadParameter for what is no time, for a zone that is not known, and for what the clocks
    there never show, or show twice, because of daylight saving.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text} is no time such as 2026-12-24T18:00 or 2026-12-24T18:00+01:00",
            param_hint="--at",
        ) from None
    if moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC) if time_zone is None else _on_the_clock(moment, time_zone)


def _on_the_clock(moment: datetime, time_zone: str) -> datetime:
    from zoneinfo import ZoneInfo

    from nizam.model.values import known_time_zone

    try:
        zone = ZoneInfo(known_time_zone(time_zone))
    except ValueError as error:
        raise click.BadParameter(f"{time_zone} {error}", param_hint="--time-zone") from None
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    shown = first.utcoffset(), second.utcoffset()
    try:
        exists = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
    except OverflowError:
        raise click.BadParameter(f"{moment} is out of range", param_hint="--at") from None
    if not exists:
        message = f"the clocks in {time_zone} never show {moment}: an hour is left out that night"
        raise click.BadParameter(message, param_hint="--at")
    if shown[0] != shown[1]:
        choices = " or ".join(it.isoformat() for it in (first, second))
        message = f"the clocks in {time_zone} show {moment} twice: say {choices}"
        raise click.BadParameter(message, param_hint="--at")
    return first
