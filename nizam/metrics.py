"""The metrics that dashboards and alerts rely on, each declared once.

Whoever measures imports the metric from here; `/metrics` shows them all. Gauges whose truth lies
elsewhere (queue depth, pool use) are set by a function when they are asked for, where the owner
can say so cheaply.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_QUICK = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1.0, 2.5)
_LATE = (*_QUICK, 5.0, 15.0, 60.0, 300.0)
_SLOW = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)

HTTP_REQUEST_SECONDS = Histogram(
    "nizam_http_request_seconds",
    "Time to answer a request of the API, by route template.",
    ("route", "method", "status"),
    buckets=_QUICK,
    registry=REGISTRY,
)
HTTP_REFUSED = Counter(
    "nizam_http_refused_total",
    "Requests that were no sound HTTP, too large or too slow, before any route was asked.",
    ("status",),
    registry=REGISTRY,
)
XML_REQUEST_SECONDS = Histogram(
    "nizam_xml_request_seconds",
    "Time to answer a question of FreeSWITCH.",
    ("section", "outcome"),
    buckets=_QUICK,
    registry=REGISTRY,
)
FLOW_REQUEST_SECONDS = Histogram(
    "nizam_flow_request_seconds",
    "Time that requests of call flows to servers of tenants took, by how they ended.",
    ("outcome",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15),
    registry=REGISTRY,
)
SNAPSHOT_AGE_SECONDS = Gauge(
    "nizam_snapshot_age_seconds",
    "Seconds since the routing data was last known to be current.",
    registry=REGISTRY,
)
ESL_CONNECTED = Gauge(
    "nizam_esl_connected",
    "1 while the event socket of the node is connected and signed in.",
    ("node",),
    registry=REGISTRY,
)
ESL_RECONNECTS_TOTAL = Counter(
    "nizam_esl_reconnects_total",
    "Times the event socket of the node was connected again.",
    ("node",),
    registry=REGISTRY,
)
ESL_REFUSALS_TOTAL = Counter(
    "nizam_esl_refusals_total",
    "Times the node refused our password, our address or our subscription.",
    ("node", "reason"),
    registry=REGISTRY,
)
ESL_EVENT_LAG_SECONDS = Histogram(
    "nizam_esl_event_lag_seconds",
    "Time from FreeSWITCH firing an event to NIZAM reading it.",
    ("node",),
    buckets=_QUICK,
    registry=REGISTRY,
)
CALL_COMMANDS_TOTAL = Counter(
    "nizam_call_commands_total",
    "Commands to calls, by what was asked and by done or the code of the problem.",
    ("verb", "outcome"),
    registry=REGISTRY,
)
CALL_LIMITS_REACHED_TOTAL = Counter(
    "nizam_call_limits_reached_total",
    "Times a call found a limit reached.",
    ("scope", "kind"),
    registry=REGISTRY,
)
CALL_LIMITS_LOCAL_TOTAL = Counter(
    "nizam_call_limits_local_total",
    "Calls that were counted by one instance alone, because Redis was away or slow.",
    registry=REGISTRY,
)
CALL_LIMITS_SHARED = Gauge(
    "nizam_call_limits_shared",
    "1 while calls are counted over all instances, 0 while each counts by itself.",
    registry=REGISTRY,
)
CALL_LIMIT_SECONDS = Histogram(
    "nizam_call_limit_seconds",
    "Time to count a call under its limits, before it is answered.",
    buckets=_QUICK,
    registry=REGISTRY,
)
FRAUD_BLOCKED_TOTAL = Counter(
    "nizam_fraud_blocked_total",
    "Calls that were not let out because they looked like toll fraud, by what gave them away.",
    ("reason",),
    registry=REGISTRY,
)
NOTICES_TOTAL = Counter(
    "nizam_notices_total",
    "Events that followed from decisions themselves, such as calls for help and blocked fraud.",
    ("type",),
    registry=REGISTRY,
)
EVENTS_STORED_TOTAL = Counter(
    "nizam_events_stored_total",
    "Events committed to PostgreSQL.",
    ("type",),
    registry=REGISTRY,
)
EVENTS_SHED_TOTAL = Counter(
    "nizam_events_shed_total",
    "Events dropped because no buffer had room left.",
    ("class",),
    registry=REGISTRY,
)
EVENTS_WAITING = Gauge(
    "nizam_events_waiting",
    "Events and CDRs taken and not in PostgreSQL yet: in memory, or in Redis while it is away.",
    registry=REGISTRY,
)
INTAKE_ACTIVE = Gauge(
    "nizam_intake_active",
    "1 while this instance stores what the node says, 0 while it stands by for the one that does.",
    ("node",),
    registry=REGISTRY,
)
INTAKE_TAKEOVERS_TOTAL = Counter(
    "nizam_intake_takeovers_total",
    "Times this instance began to store what a node says, after another one or an earlier process.",
    ("node",),
    registry=REGISTRY,
)
INTAKE_KEPT_BYTES = Gauge(
    "nizam_intake_kept_bytes",
    "Bytes kept of what the node said while this instance stands by, until the other one has it.",
    ("node",),
    registry=REGISTRY,
)
INTAKE_REFUSED_TOTAL = Counter(
    "nizam_intake_refused_total",
    "Transactions refused because the node had become another instance's: they changed no row.",
    ("node",),
    registry=REGISTRY,
)
EVENTS_SPILLED = Gauge(
    "nizam_events_spilled",
    "Those of the events that wait that are in Redis, because PostgreSQL does not take them.",
    registry=REGISTRY,
)
EVENT_STORE_SECONDS = Histogram(
    "nizam_event_store_seconds",
    "Time from the oldest event of a transaction happening until it was committed, by transaction.",
    buckets=_LATE,
    registry=REGISTRY,
)
CDR_POSTS_TOTAL = Counter(
    "nizam_cdr_posts_total",
    "Records that switches posted, by the answer: 200 stored, 400 no record, 401 wrong password,"
    " 413 too large, 503 not stored, which the switch keeps.",
    ("status",),
    registry=REGISTRY,
)
ACTIVE_CALLS = Gauge(
    "nizam_active_calls",
    "Calls in progress; tenants beyond the cap are counted as 'other'.",
    ("tenant",),
    registry=REGISTRY,
)
REGISTRATIONS = Gauge("nizam_registrations", "Phones registered.", registry=REGISTRY)
LIVE_ITEMS = Gauge(
    "nizam_live_items",
    "What the live state holds, by kind: calls, registrations, gateways, links, conferences or"
    " parked_calls.",
    ("kind",),
    registry=REGISTRY,
)
LIVE_REFUSED_TOTAL = Counter(
    "nizam_live_refused_total",
    "Times that something was not shown in the live state, because there was too much of its kind"
    " in all or of its tenant.",
    ("kind", "scope"),
    registry=REGISTRY,
)
GATEWAY_UP = Gauge(
    "nizam_gateway_up", "1 while the gateway answers.", ("gateway",), registry=REGISTRY
)
WEBHOOK_QUEUE_DEPTH = Gauge(
    "nizam_webhook_queue_depth",
    "Webhook deliveries waiting, by state: ready, processing, delayed or dead.",
    ("state",),
    registry=REGISTRY,
)
WEBHOOK_OLDEST_SECONDS = Gauge(
    "nizam_webhook_oldest_seconds",
    "Age of the oldest delivery that waits for its first attempt.",
    registry=REGISTRY,
)
WEBHOOK_WAIT_SECONDS = Histogram(
    "nizam_webhook_wait_seconds",
    "Time from an event happening until the first request that delivers it began.",
    buckets=_LATE,
    registry=REGISTRY,
)
WEBHOOK_ATTEMPT_SECONDS = Histogram(
    "nizam_webhook_attempt_seconds",
    "Time that an attempt to deliver took.",
    ("outcome",),
    buckets=_SLOW,
    registry=REGISTRY,
)
WEBHOOK_DELIVERIES_TOTAL = Counter(
    "nizam_webhook_deliveries_total",
    "Deliveries that ended, and attempts that failed, by outcome.",
    ("outcome",),
    registry=REGISTRY,
)
MAILS_TOTAL = Counter(
    "nizam_mails_total",
    "Emails by outcome: sent, failed (tried again), dead (given up after a day).",
    ("outcome",),
    registry=REGISTRY,
)
MEDIA_SWEPT_TOTAL = Counter(
    "nizam_media_swept_total",
    "Media files that no object had and that were removed.",
    registry=REGISTRY,
)
MEDIA_ROOT_UP = Gauge(
    "nizam_media_root_up",
    "1 while files can be written to the media root and read, 0 while it is away, full or hangs.",
    ("root",),
    registry=REGISTRY,
)
MEDIA_ROOT_FREE_BYTES = Gauge(
    "nizam_media_root_free_bytes", "Room left in the media root.", ("root",), registry=REGISTRY
)
MEDIA_ROOT_SIZE_BYTES = Gauge(
    "nizam_media_root_size_bytes",
    "Size of the file system that has the media root.",
    ("root",),
    registry=REGISTRY,
)
DB_POOL_IN_USE = Gauge("nizam_db_pool_in_use", "Connections in use.", ("pool",), registry=REGISTRY)
DB_WAIT_SECONDS = Histogram(
    "nizam_db_wait_seconds",
    "Time spent waiting for a free connection.",
    ("pool",),
    buckets=_QUICK,
    registry=REGISTRY,
)
REPLICA_LAG_SECONDS = Gauge(
    "nizam_replica_lag_seconds",
    "How far the replica is behind the primary.",
    ("replica",),
    registry=REGISTRY,
)
REPLICA_UP = Gauge(
    "nizam_replica_up", "Whether the replica answers.", ("replica",), registry=REGISTRY
)
DB_READS_TOTAL = Counter(
    "nizam_db_reads_total",
    "Lists and reports where there are replicas, by the server that they were read from, and why:"
    " replica; for the primary own_change, lag, lost, unknown.",
    ("server", "why"),
    registry=REGISTRY,
)
RECORDINGS_TOTAL = Counter(
    "nizam_recordings_total",
    "Recorded files by what became of them: available, damaged, missing, stored, upload_failed,"
    " deleted.",
    ("outcome",),
    registry=REGISTRY,
)
RECORDINGS_WAITING = Gauge(
    "nizam_recordings_waiting",
    "Recorded files with which something is left to do, by state.",
    ("state",),
    registry=REGISTRY,
)
RECORDINGS_OLDEST_SECONDS = Gauge(
    "nizam_recordings_oldest_seconds",
    "How long the oldest of the files that wait has been complete.",
    registry=REGISTRY,
)
VOICEMAIL_TOTAL = Counter(
    "nizam_voicemail_messages_total",
    "Messages in mailboxes by what became of them: available, damaged, missing, deleted.",
    ("outcome",),
    registry=REGISTRY,
)
SCHEDULER_LEADING = Gauge(
    "nizam_scheduler_leading",
    "1 while this instance leads the scheduled work: one instance does at any time.",
    registry=REGISTRY,
)
SCHEDULED_TASK_LAST_SUCCESS = Gauge(
    "nizam_scheduled_task_last_success_timestamp_seconds",
    "When the task last succeeded on this instance, in seconds since 1970.",
    ("task",),
    registry=REGISTRY,
)
SCHEDULED_TASK_SECONDS = Histogram(
    "nizam_scheduled_task_seconds",
    "Time that a turn of the task took, by outcome: succeeded or failed.",
    ("task", "outcome"),
    buckets=_SLOW,
    registry=REGISTRY,
)
SCHEDULED_TASK_REMOVED = Counter(
    "nizam_scheduled_task_removed_total",
    "Rows, files and keys that the task has removed.",
    ("task",),
    registry=REGISTRY,
)
REALTIME_CLIENTS = Gauge(
    "nizam_realtime_clients",
    "Streams that are open on this instance: websocket or sse.",
    ("kind",),
    registry=REGISTRY,
)
REALTIME_SENT_TOTAL = Counter(
    "nizam_realtime_sent_total",
    "Events given to clients of streams, each client counted.",
    ("kind",),
    registry=REGISTRY,
)
REALTIME_MISSED_TOTAL = Counter(
    "nizam_realtime_missed_total",
    "Events that clients were told they missed, because they read too slowly.",
    registry=REGISTRY,
)
REALTIME_CLOSED_TOTAL = Counter(
    "nizam_realtime_closed_total",
    "Streams that were ended from our side, by close code.",
    ("code",),
    registry=REGISTRY,
)
REALTIME_LAG_SECONDS = Histogram(
    "nizam_realtime_lag_seconds",
    "Time from an event happening to its having been given to every client of this instance.",
    buckets=_QUICK,
    registry=REGISTRY,
)
PUSHER_EVENTS_TOTAL = Counter(
    "nizam_pusher_events_total",
    "Events given to a Pusher-protocol service: published, or refused by it and given up.",
    ("outcome",),
    registry=REGISTRY,
)
CHECK_OK = Gauge(
    "nizam_check_ok",
    "1 while the check of /api/health is ok, 0 while it is degraded or has failed.",
    ("check",),
    registry=REGISTRY,
)
BACKUP_TIMESTAMP_SECONDS = Gauge(
    "nizam_backup_timestamp_seconds",
    "When the last backup of a part ended, in seconds since 1970: postgresql, redis, freeswitch "
    "or media.",
    ("part",),
    registry=REGISTRY,
)
BACKUP_SIZE_BYTES = Gauge(
    "nizam_backup_size_bytes",
    "The size of the last backup of a part.",
    ("part",),
    registry=REGISTRY,
)
REACTOR_STALL_SECONDS = Histogram(
    "nizam_reactor_stall_seconds",
    "How late a timer of the reactor fired: how long something held it.",
    buckets=_QUICK,
    registry=REGISTRY,
)
BUILD_INFO = Gauge(
    "nizam_build_info", "1, with the version as a label.", ("version",), registry=REGISTRY
)


def _from_the_start(counter: Counter, *values: str) -> None:
    """A counter that appears with its first increment seems never to have risen: those that alerts
    wait for are exported from the start."""
    for value in values:
        counter.labels(value)


_from_the_start(CDR_POSTS_TOTAL, "200", "400", "401", "413", "503")
_from_the_start(EVENTS_SHED_TOTAL, "rejected")
_from_the_start(MAILS_TOTAL, "sent", "failed", "dead")
_from_the_start(
    RECORDINGS_TOTAL, "available", "damaged", "missing", "stored", "upload_failed", "deleted"
)
REDIS_CONNECTIONS = Gauge(
    "nizam_redis_connections",
    "Connections for commands to Redis that are signed in, by its kind: single, sentinel, cluster.",
    ("kind",),
    registry=REGISTRY,
)
REDIS_CONNECTION_FAILURES = Counter(
    "nizam_redis_connection_failures_total",
    "Attempts to connect to Redis that failed.",
    ("kind",),
    registry=REGISTRY,
)
REDIS_FAILOVERS = Counter(
    "nizam_redis_failovers_total",
    "Times that another Redis server was found to be a master.",
    ("kind",),
    registry=REGISTRY,
)
REDIS_REFUSALS = Counter(
    "nizam_redis_refusals_total",
    "Commands that Redis refused for a reason of its own, such as oom, misconf or readonly.",
    ("reason",),
    registry=REGISTRY,
)
for _reason in ("oom", "misconf", "readonly", "noperm"):
    REDIS_REFUSALS.labels(_reason)
REDIS_REDIRECTIONS = Counter(
    "nizam_redis_redirections_total",
    "Commands that a node of a Redis Cluster sent on to another: moved or ask.",
    ("kind",),
    registry=REGISTRY,
)
