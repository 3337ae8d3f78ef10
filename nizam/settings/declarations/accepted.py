"""What is accepted for the deployment guide's sake, and only checked."""

from __future__ import annotations

from nizam.settings import parsers as p
from nizam.settings.declarations.setting import Setting

SETTINGS: tuple[Setting, ...] = (
    Setting("DB_CONNECTION", None, p.word("pgsql"), "pgsql", "pgsql", "PostgreSQL is the one."),
    Setting("QUEUE_CONNECTION", None, p.word("redis"), "redis", "redis", "Queues are in Redis."),
    Setting("CACHE_STORE", None, p.word("redis"), "redis", "redis", "Caches are in Redis."),
    Setting("SESSION_DRIVER", None, p.word("redis"), "redis", "redis", "Sessions are in Redis."),
    Setting("LOG_CHANNEL", None, p.word("stderr"), "stderr", "stderr", "Logs go to stderr."),
    Setting(
        "REDIS_CLIENT",
        None,
        p.word("phpredis", "predis", "txredisapi"),
        "txredisapi",
        "phpredis, predis or txredisapi, which make no difference",
        "The client library is built in.",
    ),
)
