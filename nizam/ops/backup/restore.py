"""Restoring a backup: first what would be done, then doing it.

The order is that of the deployment guide: nobody works on the database, then PostgreSQL, Redis, the
migrations that have come since, the media root, and FreeSWITCH's configuration. What is in use is
not overwritten: a database is moved aside, Redis is dumped before it is emptied, files stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs

from nizam.ops.backup import archive, tree
from nizam.ops.backup import manifest as manifests
from nizam.ops.backup.errors import BackupError, Damaged
from nizam.ops.backup.folder import name_of
from nizam.ops.backup.load import check_files, check_version, scratch_redis
from nizam.ops.backup.manifest import Manifest
from nizam.ops.backup.redis_dump import dump as dump_redis
from nizam.ops.backup.redis_keys import bring_back, forget_copies
from nizam.ops.backup.redis_servers import places_of, servers_of
from nizam.ops.backup.running import running
from nizam.ops.backup.target import State, Target
from nizam.ops.backup.writing import FOLDER_MODE, Progress, said
from nizam.settings import Settings
from nizam.store.migrate import pending, upgrade

PARTS: Final = ("database", "redis", "media", "configuration")


@attrs.frozen(kw_only=True)
class Wishes:
    """What is wanted. `only` are parts, all that the backup has when it is empty."""

    only: Sequence[str] = ()
    replace: bool = False
    force: bool = False
    configuration_to: Path | None = None
    configuration_in_place: bool = False


@attrs.frozen(kw_only=True)
class Plan:
    """What will be done, in `steps` for people, and in the order of `parts`."""

    backup: Path
    manifest: Manifest
    parts: tuple[str, ...]
    steps: tuple[str, ...]
    configuration: Path
    moment: str


def plan_restore(
    settings: Settings,
    backup: Path,
    wishes: Wishes,
    progress: Progress,
    now: datetime | None = None,
) -> Plan:
    """Look at the backup and at where it is to go. Nothing is changed.

    Raises BackupError when it cannot be restored or must not be, saying what would allow it.
    """
    manifest = manifests.read(backup)
    check_version(manifest)
    parts = _parts(manifest, wishes.only)
    moment = name_of(now or datetime.now(UTC))
    configuration = _configuration(settings, manifest, wishes)
    looked = bool({"database", "redis"} & set(parts)) and not wishes.force
    if found := running(settings.database.direct_dsn()) if looked else []:
        raise BackupError(
            f"instances are running: {'; '.join(found)}. Stop them all first (systemctl stop "
            "nizam), or give --force"
        )
    steps = []
    if "database" in parts:
        steps.append(_database_step(settings, wishes))
        if "redis" not in parts:
            steps.append("Redis: what copies the database is forgotten, the rest stays")
    if "redis" in parts:
        steps.append(_redis_step(settings, manifest, wishes))
    if "media" in parts and manifest.media is not None:
        kept = "replaced" if wishes.replace else "kept"
        steps.append(
            f"media: {manifest.media.files} files into {settings.media_root}; files there that are "
            f"others are {kept}, none is removed"
        )
    if "configuration" in parts:
        steps.append(f"FreeSWITCH's configuration into {configuration}")
        if configuration.exists() and not wishes.configuration_in_place:
            raise BackupError(
                f"{configuration} is there already: name another folder with --configuration-to"
            )
    if problems := list(check_files(backup, manifest, progress)):
        raise Damaged(f"{backup} is damaged: {'; '.join(problems)}. Restore another one")
    return Plan(
        backup=backup,
        manifest=manifest,
        parts=parts,
        steps=tuple(steps),
        configuration=configuration,
        moment=moment,
    )


def carry_out(settings: Settings, plan: Plan, wishes: Wishes, progress: Progress) -> list[str]:
    """Do what the plan says; what was done, one line each. Raises BackupError."""
    done = []
    if "database" in plan.parts:
        done += _database(settings, plan, progress)
    if "redis" in plan.parts:
        done += _redis(settings, plan, progress)
    elif "database" in plan.parts:
        done += _forget(settings)
    if "database" in plan.parts:
        missing = pending(settings.database.direct_dsn())
        upgrade(settings.database.direct_dsn())
        done.append(f"migrations: {', '.join(missing) if missing else 'none since'}")
    if "media" in plan.parts:
        put = tree.put_back(plan.backup, settings.media_root, wishes.replace, progress)
        done.append(f"media: {put.restored} files put back, {put.present} were there")
        if put.different:
            shown = ", ".join(put.different[:5]) + (" ..." if len(put.different) > 5 else "")
            done.append(
                f"media: {len(put.different)} files there are others and stay ({shown}); "
                "--replace puts those of the backup into their places"
            )
    if "configuration" in plan.parts:
        done += _put_configuration(plan)
    return done


def _parts(manifest: Manifest, only: Sequence[str]) -> tuple[str, ...]:
    there = {
        "database": True,
        "redis": bool(manifest.redis),
        "media": manifest.media is not None,
        "configuration": manifest.freeswitch is not None,
    }
    for part in only:
        if not there[part]:
            name = "freeswitch" if part == "configuration" else part
            why = manifest.left_out.get(name, "it was not there")
            raise BackupError(f"the backup has no {part}: {why}")
    return tuple(it for it in PARTS if there[it] and (not only or it in only))


def _configuration(settings: Settings, manifest: Manifest, wishes: Wishes) -> Path:
    place = settings.backup.freeswitch_configuration
    if wishes.configuration_in_place:
        return place
    return wishes.configuration_to or place.with_name(f"{place.name}.from-{manifest.name}")


def _database_step(settings: Settings, wishes: Wishes) -> str:
    target = Target(settings.database.direct_dsn())
    where = f"{target.name} at {settings.database.address}"
    match target.state():
        case State.MISSING:
            return f"PostgreSQL: the database {where} is made and filled"
        case State.EMPTY:
            return f"PostgreSQL: the empty database {where} is filled"
        case State.IN_USE if wishes.replace:
            return f"PostgreSQL: the database {where} is moved aside and replaced"
    raise BackupError(
        f"the database {where} is not empty: with --replace it is moved aside under another name"
    )


def _redis_step(settings: Settings, manifest: Manifest, wishes: Wishes) -> str:
    servers = servers_of(settings.redis)
    names = ", ".join(it.name for it in servers)
    full = []
    for server in servers:
        with server.connected() as connection:
            if int(connection.ask("DBSIZE")):
                full.append(server.name)
    if full and not wishes.replace:
        raise BackupError(
            f"Redis at {', '.join(full)} is not empty: with --replace it is dumped and then emptied"
        )
    keys = sum(it.keys for it in manifest.redis)
    emptied = "dumped, emptied and filled" if full else "filled"
    return f"Redis: {names} is {emptied}, with what only it had of about {keys} keys"


def _database(settings: Settings, plan: Plan, progress: Progress) -> list[str]:
    target = Target(settings.database.direct_dsn())
    facts = plan.manifest.database
    rows = f"{sum(facts.tables.values())} rows of {len(facts.tables)} tables"
    if target.state() is State.IN_USE:
        aside, made = target.replace(plan.backup, facts, plan.moment, progress)
        done = [f"PostgreSQL: {rows}; the former database is {aside} now"]
    else:
        made = target.fill(plan.backup, facts, progress)
        done = [f"PostgreSQL: {rows}"]
    if made:
        done.append(f"PostgreSQL: made the roles {', '.join(made)}, without login")
    return done


def _redis(settings: Settings, plan: Plan, progress: Progress) -> list[str]:
    done = []
    targets = servers_of(settings.redis)
    for number, server in enumerate(targets, 1):
        with server.connected() as connection:
            if int(connection.ask("DBSIZE")):
                aside = settings.backup.folder / f"replaced-{plan.moment}-redis-{number}.rdb"
                with said(aside):
                    aside.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
                dump_redis(server, aside, progress)
                connection.ask("FLUSHDB")
                done.append(f"Redis: what was at {server.name} is in {aside} now")
    with places_of(settings.redis) as places:
        keys = 0
        for facts in plan.manifest.redis:
            with scratch_redis(plan.backup, facts) as source:
                keys += bring_back(source, places, progress)
    return [*done, f"Redis: {keys} keys; queues and copies come from PostgreSQL"]


def _forget(settings: Settings) -> list[str]:
    number = 0
    for server in servers_of(settings.redis):
        with server.connected() as connection:
            number += forget_copies(connection)
    return [f"Redis: {number} keys forgotten that copied the database"]


def _put_configuration(plan: Plan) -> list[str]:
    facts = plan.manifest.freeswitch
    assert facts is not None  # noqa: S101 - the plan has it
    place = plan.configuration
    done = []
    if place.exists():
        aside = place.with_name(f"{place.name}.before-{plan.moment}")
        with said(place, "moved"):
            place.rename(aside)
        done.append(f"FreeSWITCH: the former configuration is {aside} now")
    archive.unpack(plan.backup / facts.file, place)
    return [*done, f"FreeSWITCH: {facts.files} files in {place}"]
