"""The settings that are accepted, but not wise."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from nizam.ops.doctor import Area, Context, examine
from nizam.ops.doctor.configuration import refused
from nizam.ops.doctor.passwords import weakness
from nizam.settings import SettingsError, load
from tests.ops.doctor.findings import FAILURE, NOTE, WARNING, Wrong, found_with, is_right, is_wrong

STRONG = "aK3fjd92Kd82jfLq0vPz"
WISE = {
    "APP_URL": "https://192.0.2.7",
    "DB_PASSWORD": f"{STRONG}-db",
    "REDIS_PASSWORD": f"{STRONG}-redis",
    "ESL_HOST": "127.0.0.1",
    "ESL_PASSWORD": f"{STRONG}-esl",
    "NIZAM_XML_USERNAME": "fs1",
    "NIZAM_XML_PASSWORD": f"{STRONG}-xml",
    "NIZAM_SECRET_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}",
    "NIZAM_TRUSTED_PROXIES": "127.0.0.1/32",
    "NIZAM_METRICS_TOKEN": f"{STRONG}-metrics",
    "MAIL_HOST": "127.0.0.1",
    "MAIL_FROM_ADDRESS": "nizam@example.com",
}
NAMED = {"DB_USERNAME": "acme-pbx-database"}
S3 = {"NIZAM_RECORDINGS_STORAGE": "s3", "NIZAM_S3_BUCKET": "b"}


def test_wise_settings_are_well() -> None:
    is_right(
        found_with(WISE, Area.CONFIGURATION),
        *("configuration.settings", "configuration.notes", "configuration.debug"),
        *("configuration.passwords", "configuration.reused-passwords"),
        *("configuration.secret-keys", "configuration.secret-files", "configuration.app-url"),
        *("configuration.listening", "configuration.metrics", "configuration.xml-networks"),
        *("configuration.trusted-proxies", "configuration.webhook-networks"),
        *(
            "configuration.cors",
            "configuration.mail",
            "configuration.database-tls",
            "configuration.redis-tls",
        ),
        "configuration.clear-text",
    )


@pytest.mark.parametrize(
    "case",
    [
        Wrong("configuration.notes", NOTE, "REVERB_PORT", {"REVERB_PORT": "1"}),
        Wrong("configuration.debug", WARNING, "on", {"APP_ENV": "staging", "APP_DEBUG": "true"}),
        Wrong("configuration.passwords", FAILURE, "default", {"ESL_PASSWORD": "ClueCon"}),
        Wrong(
            "configuration.passwords",
            FAILURE,
            "the name",
            {"DB_PASSWORD": "acme-pbx-database"} | NAMED,
        ),
        Wrong("configuration.passwords", WARNING, "8 characters", {"REDIS_PASSWORD": "kd83kf9a"}),
        Wrong("configuration.passwords", WARNING, "again", {"REDIS_PASSWORD": "ab" * 16}),
        Wrong(
            "configuration.reused-passwords",
            WARNING,
            "REDIS_PASSWORD",
            {"REDIS_PASSWORD": f"{STRONG}-db"},
        ),
        Wrong("configuration.secret-keys", WARNING, "not set", {"NIZAM_SECRET_KEYS": ""}),
        Wrong("configuration.app-url", WARNING, "not encrypted", {"APP_URL": "http://192.0.2.7"}),
        Wrong("configuration.app-url", WARNING, "alone", {"APP_URL": "http://127.0.0.1"}),
        Wrong("configuration.listening", WARNING, "public", {"NIZAM_HTTP_HOST": "9.9.9.9"}),
        Wrong("configuration.listening", NOTE, "every address", {"NIZAM_HTTP_HOST": "0.0.0.0"}),
        Wrong(
            "configuration.metrics",
            WARNING,
            "not set",
            {"NIZAM_HTTP_HOST": "10.0.0.5", "NIZAM_METRICS_TOKEN": ""},
        ),
        Wrong("configuration.xml-networks", WARNING, "everywhere", {"NIZAM_HTTP_HOST": "10.0.0.5"}),
        Wrong("configuration.trusted-proxies", WARNING, "not set", {"NIZAM_TRUSTED_PROXIES": ""}),
        Wrong(
            "configuration.trusted-proxies",
            FAILURE,
            "everybody",
            {"NIZAM_TRUSTED_PROXIES": "0.0.0.0/0"},
        ),
        Wrong(
            "configuration.webhook-networks",
            FAILURE,
            "169.254.0.0/16",
            {"NIZAM_WEBHOOK_ALLOWED_NETWORKS": "169.254.0.0/16"},
        ),
        Wrong(
            "configuration.cors",
            WARNING,
            "http://192.0.2.8",
            {"SANCTUM_STATEFUL_DOMAINS": "http://192.0.2.8"},
        ),
        Wrong("configuration.mail", NOTE, "no emails", {"MAIL_HOST": ""}),
        Wrong(
            "configuration.mail",
            WARNING,
            "none, to 192.0.2.9",
            {"MAIL_HOST": "192.0.2.9", "MAIL_ENCRYPTION": "none"},
        ),
        Wrong(
            "configuration.database-tls", WARNING, "prefer, to 10.1.1.1", {"DB_HOST": "10.1.1.1"}
        ),
        Wrong("configuration.redis-tls", WARNING, "false, to 10.1.1.1", {"REDIS_HOST": "10.1.1.1"}),
        Wrong(
            "configuration.clear-text",
            WARNING,
            "http://192.0.2.9",
            S3 | {"NIZAM_S3_ENDPOINT": "http://192.0.2.9"},
        ),
    ],
    ids=lambda case: f"{case.check.partition('.')[2]}: {case.text}",
)
def test_what_is_unwise_is_named(case: Wrong) -> None:
    there = found_with(WISE | dict(case.change), Area.CONFIGURATION)
    is_wrong(there, case.check, case.severity, case.text)
    for secret in ("ClueCon", STRONG, "kd83kf9a"):
        assert secret not in repr(there)


def test_settings_that_are_refused_are_all_named() -> None:
    with pytest.raises(SettingsError) as raised:
        load(None, {"DB_PORT": "x", "REDIS_PORT": "y"})
    there = refused(raised.value)
    is_wrong(there, "configuration.settings", FAILURE, "DB_PORT")
    is_wrong(there, "configuration.settings", FAILURE, "REDIS_PORT")


def test_a_file_of_secrets_that_everybody_may_read_is_named(tmp_path: Path) -> None:
    secret, config = tmp_path / "db", tmp_path / "nizam.toml"
    secret.write_text(STRONG)
    config.write_text("")
    secret.chmod(0o644)
    config.chmod(0o640)
    environment = {it: value for it, value in WISE.items() if it != "DB_PASSWORD"}
    loaded = load(config, environment | {"DB_PASSWORD_FILE": str(secret)})
    context = Context(loaded, config)
    found = examine(context, [Area.CONFIGURATION])
    is_wrong(found, "configuration.secret-files", WARNING, str(secret))
    secret.chmod(0o640)
    is_right(examine(context, [Area.CONFIGURATION]), "configuration.secret-files")


@pytest.mark.parametrize(
    ("password", "at_once"),
    [
        ("ClueCon", True),
        ("CLUECON", True),
        (" changeme ", True),
        ("fs1", True),
        ("", False),
        ("x" * 40, False),
        ("shortbutrandom", False),
    ],
)
def test_what_can_be_guessed(password: str, at_once: bool) -> None:
    reason = weakness(password, ("fs1",))
    assert reason is not None
    assert reason[0] is at_once


def test_what_cannot_be_guessed() -> None:
    assert weakness("8d1f0b64c7a94e52", ("fs1",)) is None
