"""PostgreSQL and Redis."""

from __future__ import annotations

from nizam.settings import parsers as p
from nizam.settings.declarations.setting import FILE, HOST, PORT, SECRET, TEXT, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "DB_HOST",
        "database.host",
        p.hosts,
        "127.0.0.1",
        f"{HOST}, with an optional :port; several with commas between them",
        "The primary, or PgBouncer. Several: the one that takes changes is the primary.",
    ),
    Setting("DB_PORT", "database.port", p.port, 5432, PORT, "The port of hosts without one."),
    Setting(
        "DB_DIRECT_HOST",
        "database.direct_host",
        p.hosts,
        None,
        "as DB_HOST",
        "The servers themselves, when DB_HOST is a PgBouncer in transaction mode: for LISTEN, "
        "migrations and commands.",
        example="postgres.example.com",
    ),
    Setting("DB_DATABASE", "database.name", p.text, "nizam", TEXT, "The database's name."),
    Setting("DB_USERNAME", "database.username", p.text, "nizam", TEXT, "The role to log in as."),
    Setting(
        "DB_PASSWORD", "database.password", p.secret, None, SECRET, "Its password.", secret=True
    ),
    Setting(
        "DB_SSLMODE",
        "database.sslmode",
        p.word("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "prefer",
        "disable, allow, prefer, require, verify-ca or verify-full",
        "libpq's sslmode.",
    ),
    Setting(
        "DB_SSLROOTCERT",
        "database.sslrootcert",
        p.text,
        None,
        "the path of a file, or system",
        "The certificate authorities to trust, for verify-ca and verify-full.",
        example="/etc/ssl/certs/ca-certificates.crt",
    ),
    Setting(
        "DB_READ_HOST",
        "database.read_hosts",
        p.words,
        (),
        f"{HOST}, each with an optional :port",
        "Read replicas, which list queries go to. In the environment: DB_READ_HOST_1, _2 ...",
        example=["replica-1.example.com"],
    ),
    Setting(
        "NIZAM_DB_POOL_SIZE",
        "database.pool_size",
        p.integer(2, 200),
        8,
        "a whole number from 2 to 200",
        "Connections of this process to the primary.",
    ),
    Setting(
        "NIZAM_DB_READ_POOL_SIZE",
        "database.read_pool_size",
        p.integer(1, 200),
        4,
        "a whole number from 1 to 200",
        "Connections of this process to each read replica.",
    ),
    Setting(
        "NIZAM_DB_MAX_REPLICA_LAG_MS",
        "database.max_replica_lag_ms",
        p.integer(50, 600_000),
        5000,
        "a whole number from 50 to 600000",
        "A replica that is further behind is not read from. Whoever changed something sees it in "
        "any case.",
    ),
    Setting("REDIS_HOST", "redis.host", p.host, "127.0.0.1", HOST, "The server."),
    Setting("REDIS_PORT", "redis.port", p.port, 6379, PORT, "Its port."),
    Setting(
        "REDIS_USERNAME", "redis.username", p.text, None, TEXT, "The ACL user, if not the default."
    ),
    Setting(
        "REDIS_PASSWORD", "redis.password", p.secret, None, SECRET, "Its password.", secret=True
    ),
    Setting(
        "REDIS_DB",
        "redis.database",
        p.integer(0, 1023),
        0,
        "a whole number from 0 to 1023",
        "The number of the database.",
    ),
    Setting(
        "REDIS_TLS",
        "redis.tls",
        p.boolean,
        False,
        "true or false",
        "Whether to speak TLS with Redis and its Sentinels; the certificates have to be for the "
        "names by which they are called here.",
    ),
    Setting(
        "REDIS_TLS_CA",
        "redis.tls_ca",
        p.readable_file,
        None,
        FILE,
        "The certificate authorities to trust, those of the system without it.",
        example="/etc/nizam/redis-ca.pem",
    ),
    Setting(
        "REDIS_TLS_CERT",
        "redis.tls_certificate",
        p.readable_file,
        None,
        FILE,
        "Our certificate, for servers that ask for one (tls-auth-clients).",
        example="/etc/nizam/redis-client.pem",
    ),
    Setting(
        "REDIS_TLS_KEY",
        "redis.tls_key",
        p.readable_file,
        None,
        FILE,
        "Its key.",
        example="/etc/nizam/redis-client.key",
    ),
    Setting(
        "REDIS_SENTINELS",
        "redis.sentinels",
        p.words,
        (),
        f"{HOST}, each with an optional :port",
        "The Sentinels that know which server is the master; REDIS_HOST and REDIS_PORT then count "
        "for nothing. In the environment also: REDIS_SENTINEL_1, _2 ...",
        example=["sentinel-1.example.com:26379"],
    ),
    Setting(
        "REDIS_SENTINEL_SERVICE",
        "redis.sentinel_service",
        p.text,
        "mymaster",
        TEXT,
        "What the Sentinels call the master.",
    ),
    Setting(
        "REDIS_SENTINEL_USERNAME",
        "redis.sentinel_username",
        p.text,
        None,
        TEXT,
        "The ACL user at the Sentinels, if not the default.",
    ),
    Setting(
        "REDIS_SENTINEL_PASSWORD",
        "redis.sentinel_password",
        p.secret,
        None,
        SECRET,
        "The password that the Sentinels ask for, which is not that of Redis.",
        secret=True,
    ),
    Setting(
        "REDIS_CLUSTER",
        "redis.cluster",
        p.cluster,
        None,
        "redis (or true), false",
        "Whether Redis is a Redis Cluster; with seeds it is. Without any, REDIS_HOST is the seed.",
        example=True,
    ),
    Setting(
        "REDIS_CLUSTER_SEED",
        "redis.cluster_seeds",
        p.words,
        (),
        f"{HOST}, each with an optional :port",
        "Nodes of the cluster, of which one has to be there at the start; the others are learned. "
        "In the environment: REDIS_CLUSTER_SEED_1, _2 ...",
        example=["redis-node-1:6379"],
    ),
    Setting(
        "NIZAM_LIMITS_TIMEOUT_MS",
        "redis.limits_timeout_ms",
        p.integer(1, 5000),
        20,
        "a whole number from 1 to 5000",
        "How long a call with limits waits for Redis before this instance counts by itself.",
    ),
)
