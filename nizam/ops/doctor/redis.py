"""Redis: is it there, does it keep what it is given, and who else gets in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from nizam.kv.slots import SLOTS
from nizam.ops.doctor.addresses import is_loopback, is_public
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.redis_server import (
    Place,
    RedisAsked,
    RefusedError,
    redis_asked,
    redis_connected,
)
from nizam.ops.doctor.running import Context, Probe, ProbeError
from nizam.settings import RedisSettings

MINIMUM = 7
MOST_MEMORY_SHARE = 0.8
MOST_CLIENTS_SHARE = 0.8
_check = Declaring(Area.REDIS)

REACHABLE = _check(
    "reachable",
    "whether Redis lets NIZAM in",
    "Webhooks wait, limits are counted by each instance for itself, and nobody can sign in anew.",
    "Start it, open its port to this machine, or correct REDIS_HOST, REDIS_PORT, REDIS_USERNAME "
    "and REDIS_PASSWORD.",
)
VERSION = _check(
    "version",
    f"whether it is Redis or Valkey {MINIMUM} or newer",
    "NIZAM uses commands that older ones lack.",
    "Upgrade it.",
)
PRIMARY = _check(
    "primary",
    "whether it takes changes",
    "A replica refuses every change.",
    "Let REDIS_HOST name the primary, or have Sentinel say which it is.",
)
PERSISTENCE = _check(
    "persistence",
    "whether the append-only file is on, is written, and how often it is synced",
    "Queued webhooks and events that wait for PostgreSQL die with Redis otherwise.",
    "Set `appendonly yes` and `appendfsync everysec` in redis.conf, and make room on its disk.",
)
POLICY = _check(
    "memory-policy",
    "whether maxmemory-policy is noeviction, and nothing was evicted",
    "Any other policy drops queues and counters when memory is short.",
    "Set `maxmemory-policy noeviction`.",
)
MEMORY = _check(
    "memory",
    f"whether maxmemory is set and less than {MOST_MEMORY_SHARE:.0%} of it is used",
    "Without a limit the kernel ends Redis, or something beside it, when memory is short; at the "
    "limit Redis refuses what NIZAM stores.",
    "Set maxmemory to what the machine can spare; find large lists with `nizam queue monitor`.",
    Severity.WARNING,
)
CLIENTS = _check(
    "clients",
    f"whether fewer than {MOST_CLIENTS_SHARE:.0%} of maxclients are connected",
    "Instances that are added get no connection.",
    "Raise maxclients, and LimitNOFILE of its unit.",
    Severity.WARNING,
)
EXPOSURE = _check(
    "exposure",
    "whether it can be used without a password, and where it listens",
    "Redis without a password on a network lets whoever reaches it run code on that machine.",
    "Set requirepass or an ACL user, `bind` to loopback or the private network, and close 6379 in "
    "the firewall: docs/security.md.",
)
REPLICAS = _check(
    "replicas",
    "whether the replicas of Redis follow",
    "After a failover to one that does not, queued webhooks are lost.",
    "Look into the log of the replica, and at the network between.",
    Severity.WARNING,
)

AGREEMENT = _check(
    "agreement",
    "whether the Sentinels name one master and are enough to replace it, or the cluster serves "
    "every slot",
    "Nobody takes over when the master ends, or a part of all keys cannot be used.",
    "Start the ones that are away; `SENTINEL CKQUORUM` and `redis-cli --cluster check` say more.",
)

CHECKS = (
    *(REACHABLE, VERSION, PRIMARY, PERSISTENCE, POLICY, MEMORY, CLIENTS, EXPOSURE, REPLICAS),
    AGREEMENT,
)


def probes(context: Context) -> list[Probe]:
    """The server."""
    settings = context.settings.redis
    if settings.kind == "single":
        place = (settings.host, settings.port)
        return [Probe(REACHABLE, named(place), partial(_look, settings, place))]
    shown = ", ".join(f"{host}:{port}" for host, port in settings.places)
    subject = f"redis {settings.kind} {shown}"
    look = _sentinels if settings.kind == "sentinel" else _cluster
    return [Probe(REACHABLE, subject, partial(look, subject, settings))]


def named(place: Place) -> str:
    """What a server is called in findings."""
    return f"redis {place[0]}:{place[1]}"


def _sentinels(subject: str, settings: RedisSettings) -> Iterator[Finding]:
    masters: dict[Place, list[str]] = {}
    for place in settings.sentinels:
        name = f"sentinel {place[0]}:{place[1]}"
        try:
            with redis_asked(settings, place, sentinel=True) as sentinel:
                service = settings.sentinel_service
                found = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
                if found is None:
                    yield AGREEMENT.wrong(name, f"it knows no {service}")
                    continue
                masters.setdefault((found[0], int(found[1])), []).append(name)
                sentinel.ask("SENTINEL", "CKQUORUM", service)
        except (ProbeError, OSError) as error:
            yield AGREEMENT.wrong(name, str(error), Severity.WARNING)
        else:
            yield AGREEMENT.ok(name, f"the master of {service} is {found[0]}:{found[1]}")
    if len(masters) > 1:
        shown = ", ".join(f"{host}:{port}" for host, port in masters)
        yield AGREEMENT.wrong(subject, f"they name {len(masters)} masters: {shown}")
    if not masters:
        raise ProbeError("no Sentinel names a master")
    for place in masters:
        yield from _look(settings, place)


def _cluster(subject: str, settings: RedisSettings) -> Iterator[Finding]:
    problems, masters = [], set[Place]()
    for place in settings.cluster_seeds:
        try:
            with redis_asked(settings, place) as server:
                lines = (it.partition(":") for it in str(server.ask("CLUSTER", "INFO")).split())
                yield judge_cluster(named(place), {name: value for name, _, value in lines})
                for _, _, (host, port, *_), *_ in server.ask("CLUSTER", "SLOTS"):
                    # One without an address means the one that it was asked at.
                    masters.add((host or place[0], int(port)))
        except (ProbeError, OSError) as error:
            problems.append(AGREEMENT.wrong(named(place), str(error), Severity.WARNING))
    yield from problems
    if not masters:
        raise ProbeError("no server of the cluster answers")
    for place in sorted(masters):
        try:
            yield from _look(settings, place)
        except (ProbeError, OSError) as error:
            yield REACHABLE.wrong(named(place), str(error))


def judge_cluster(subject: str, info: Mapping[str, str]) -> Finding:
    """Judges what CLUSTER INFO says."""
    state, covered = info.get("cluster_state"), info.get("cluster_slots_ok", "0")
    return AGREEMENT.judge(
        subject,
        f"the cluster is {state}: {covered} of {SLOTS} slots are served"
        if state != "ok" or covered != str(SLOTS)
        else None,
        f"all slots are served, by {info.get('cluster_size')} masters",
    )


def _look(settings: RedisSettings, place: Place) -> Iterator[Finding]:
    subject = named(place)
    with redis_asked(settings, place) as server:
        info = server.info()
        yield judge_loading(subject, info, settings.username)
        yield from judge_state(subject, info, server.configured("appendfsync"))
        yield _exposure(subject, settings, place, server)


def judge_loading(subject: str, info: Mapping[str, str], username: str | None) -> Finding:
    """Judges whether it lets NIZAM in and answers already."""
    loading = None
    if info.get("loading") == "1":
        share = info.get("loading_loaded_perc", "0")
        loading = f"it is loading its data ({share}%), and answers nothing before"
    mend = "Wait for its end; its log says how far it is."
    return REACHABLE.judge(subject, loading, f"as {username or 'default'}", mend=mend)


def judge_state(subject: str, info: Mapping[str, str], synced: str | None) -> Iterator[Finding]:
    """Judges what INFO says, and `appendfsync` where that may be asked for."""
    version = info.get("redis_version", "0")
    old = int(version.split(".")[0]) < MINIMUM
    yield VERSION.judge(subject, f"Redis {version}" if old else None, f"Redis {version}")
    slave = info.get("role") == "slave"
    mode = info.get("redis_mode", "standalone")
    yield PRIMARY.judge(subject, "it is a replica" if slave else None, f"takes changes, {mode}")
    yield _persistence(subject, info, synced)
    policy = info.get("maxmemory_policy", "noeviction")
    evicted = int(info.get("evicted_keys", "0"))
    problem = None
    if policy != "noeviction":
        problem = f"maxmemory-policy is {policy}, which drops queues"
    elif evicted:
        problem = f"{evicted} keys were evicted since it started"
    yield POLICY.judge(subject, problem, policy)
    yield _memory(subject, info)
    connected, most = (int(info.get(it, "0")) for it in ("connected_clients", "maxclients"))
    full = most and connected > MOST_CLIENTS_SHARE * most
    seen = f"{connected} of {most or 'unknown'} clients"
    yield CLIENTS.judge(subject, seen if full else None, seen)
    yield from _replicas(subject, info)


def _persistence(subject: str, info: Mapping[str, str], synced: str | None) -> Finding:
    if info.get("aof_enabled") != "1":
        return PERSISTENCE.wrong(subject, "the append-only file is off, so queues die with it")
    for what in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"):
        if info.get(what, "ok") != "ok":
            return PERSISTENCE.wrong(subject, f"{what} is {info[what]}: its disk may be full")
    if synced == "no":
        detail = "appendfsync is no: a power cut takes what the kernel has not written"
        return PERSISTENCE.wrong(subject, detail, Severity.WARNING)
    return PERSISTENCE.ok(subject, f"append-only file, synced {synced or 'as it is configured'}")


def _memory(subject: str, info: Mapping[str, str]) -> Finding:
    used, most = (int(info.get(it, "0")) for it in ("used_memory", "maxmemory"))
    if most == 0:
        return MEMORY.wrong(
            subject, f"{used // 2**20} MiB are used, and there is no limit", Severity.NOTE
        )
    seen = f"{used // 2**20} of {most // 2**20} MiB are used"
    full = Severity.FAILURE if used > 0.95 * most else Severity.WARNING
    return MEMORY.judge(subject, seen if used > MOST_MEMORY_SHARE * most else None, seen, full)


def _replicas(subject: str, info: Mapping[str, str]) -> Iterator[Finding]:
    texts = [value for name, value in info.items() if name.startswith("slave") and "=" in value]
    found = [dict(it.split("=", 1) for it in text.split(",")) for text in texts]
    bad = [it for it in found if it.get("state") != "online" or int(it.get("lag", "0") or 0) > 10]
    for it in bad:
        yield REPLICAS.wrong(
            f"redis replica {it.get('ip')}:{it.get('port')}",
            f"{it.get('state')}, {it.get('lag')} s without a word",
        )
    if not bad:
        yield REPLICAS.ok(subject, f"{len(found)} follow")


def _exposure(subject: str, settings: RedisSettings, place: Place, server: RedisAsked) -> Finding:
    local = is_loopback(place[0])
    open_door = _lets_in_without_password(settings, place)
    bound = (server.configured("bind") or "").split()
    public = [it for it in bound if is_public(it.lstrip("-"))]
    if is_public(place[0]):
        public.append(place[0])
    if open_door:
        severity = Severity.WARNING if local and not public else Severity.FAILURE
        return EXPOSURE.wrong(subject, "it takes commands without a password", severity)
    if public:
        return EXPOSURE.wrong(subject, f"it listens on {', '.join(public)}, a public address")
    return EXPOSURE.ok(subject, f"a password, on {' '.join(bound) or place[0]}")


def _lets_in_without_password(settings: RedisSettings, place: Place) -> bool:
    with redis_connected(settings, place) as server:
        try:
            server.ask("PING")
        except RefusedError:
            return False
    return True
