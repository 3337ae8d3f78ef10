"""Typed settings from a TOML file, the environment and credential files.

`load` reads them; what there is to set is declared once in `declarations`, and from there come
the checks, `etc/nizam.toml` and what `check-config` shows. Reactor-free and quick to import, so
that `--help` and `--check-config` answer at once.
"""

from nizam.settings.load import Loaded, SettingsError, load
from nizam.settings.values import (
    DatabaseSettings,
    HttpSettings,
    LiveSettings,
    MailSettings,
    NodeSettings,
    RecordingSettings,
    RedisSettings,
    RetentionSettings,
    Role,
    Secret,
    SecretKey,
    Settings,
    SipSettings,
    WebhookSettings,
    XmlClient,
)

__all__ = [
    "DatabaseSettings",
    "HttpSettings",
    "LiveSettings",
    "Loaded",
    "MailSettings",
    "NodeSettings",
    "RecordingSettings",
    "RedisSettings",
    "RetentionSettings",
    "Role",
    "Secret",
    "SecretKey",
    "Settings",
    "SettingsError",
    "SipSettings",
    "WebhookSettings",
    "XmlClient",
    "load",
]
