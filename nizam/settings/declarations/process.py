"""The process itself."""

from __future__ import annotations

from pathlib import Path

from nizam.settings import parsers as p
from nizam.settings.declarations.setting import LEVELS, Setting
from nizam.settings.values import Role

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "APP_ENV",
        "environment",
        p.word("production", "staging", "development", "local", "testing"),
        "production",
        "production, staging, development, local or testing",
        "What kind of system this is.",
    ),
    Setting(
        "APP_DEBUG",
        "debug",
        p.boolean,
        False,
        "true or false; never true in production",
        "Whether internal errors show their traceback to the client.",
    ),
    Setting(
        "APP_URL",
        "app_url",
        p.http_url,
        "http://127.0.0.1:8080",
        "an http or https URL",
        "The address by which clients reach this system.",
    ),
    Setting(
        "NIZAM_ROLES",
        "roles",
        p.roles,
        frozenset(Role),
        f"any of {', '.join(Role)}",
        "What this process does; --roles takes precedence.",
    ),
    Setting(
        "LOG_LEVEL",
        "log_level",
        p.word(*LEVELS),
        "info",
        ", ".join(LEVELS),
        "The least severe log lines to write.",
    ),
    Setting(
        "API_RATE_LIMIT",
        "api_rate_limit",
        p.integer(1, 1_000_000),
        60,
        "a whole number from 1 to 1000000",
        "API requests a minute for each key, or each address without one.",
    ),
    Setting(
        "API_TENANT_RATE_LIMIT",
        "api_tenant_rate_limit",
        p.integer(1, 10_000_000),
        6000,
        "a whole number from 1 to 10000000",
        "API requests a minute for all keys and users of one tenant together.",
    ),
    Setting(
        "SANCTUM_STATEFUL_DOMAINS",
        "cors_origins",
        p.origins,
        (),
        "host names with an optional port, or origins such as https://console.example.com",
        "Where browsers may call the API from: the console's addresses.",
        example=["console.example.com"],
    ),
    Setting(
        "NIZAM_MEDIA_ROOT",
        "media_root",
        p.media_directory,
        Path("/var/lib/nizam/media"),
        "an absolute path of letters, digits, blanks and _.+-, the same on every FreeSWITCH node",
        "Prompts, greetings, voicemail and recordings.",
    ),
    Setting(
        "NIZAM_SPEECH",
        "speech",
        p.speech,
        None,
        "ENGINE:VOICE; unset: texts are not spoken",
        "The text-to-speech module that every FreeSWITCH node has loaded, for call flows.",
        example="flite:slt",
    ),
    Setting(
        "NIZAM_SECRET_KEYS",
        "secret_keys",
        p.secret_keys,
        (),
        "ID:BASE64 with 32 random bytes each, such as k1:$(openssl rand -base64 32)",
        "Keys that encrypt stored passwords. The first encrypts, all decrypt.",
        secret=True,
        example=["k1:BASE64"],
    ),
)
