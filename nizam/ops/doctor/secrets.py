"""The secrets of the settings: can they be guessed, are they used twice, who can read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.passwords import weakness
from nizam.ops.doctor.running import Context, Probe
from nizam.settings import Secret
from nizam.settings.declarations import SETTINGS

_check = Declaring(Area.CONFIGURATION)

PASSWORDS = _check(
    "passwords",
    "each password and token of the settings: defaults, names, short ones",
    "A password that programs come with, or a short one, is found by trying.",
    "Make one with `openssl rand -base64 24`, set it here and at the server that it is for.",
)
REUSED = _check(
    "reused-passwords",
    "whether one password is used twice",
    "Whoever learns one of them has the other as well.",
    "Give each server and each node a password of its own: `openssl rand -base64 24`.",
    Severity.WARNING,
)
SECRET_KEYS = _check(
    "secret-keys",
    "whether stored secrets are encrypted with a key that is not beside them",
    "The key is then kept in the database: a stolen database or backup gives every SIP password.",
    'Set NIZAM_SECRET_KEYS="k1:$(openssl rand -base64 32)" on every instance, then '
    "`nizam secrets rotate --forget-stored-key`: docs/secrets.md.",
    Severity.WARNING,
)
SECRET_FILES = _check(
    "secret-files",
    "who can read the files that secrets are taken from",
    "Every user of the machine could read the passwords.",
    "chmod 640 and chown root:nizam, or LoadCredential= in the unit of systemd.",
    Severity.WARNING,
)
CHECKS = (PASSWORDS, REUSED, SECRET_KEYS, SECRET_FILES)


def probes(context: Context) -> list[Probe]:
    """One probe: nothing here has to be waited for."""
    return [Probe(PASSWORDS, "settings", partial(_look, context))]


def _look(context: Context) -> Iterator[Finding]:
    yield from _secrets(context)
    yield from _files(context)


def secrets_of(context: Context) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """The secrets of the settings by their names, each with the names that it goes with."""
    settings, values = context.settings, context.loaded.values
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for setting in SETTINGS:
        value = values[setting.name]
        key = setting.key or ""
        if isinstance(value, Secret) and not key.startswith("freeswitch."):
            user = values.get(setting.name.replace("PASSWORD", "USERNAME"))
            found[setting.name] = value.reveal(), (str(user),) if user else ()
    for node in settings.nodes:
        found[f"ESL_PASSWORD of {node.name}"] = node.esl_password.reveal(), (node.name,)
    for client in settings.xml_clients:
        names = (client.node, client.username)
        found[f"NIZAM_XML_PASSWORD of {client.node}"] = client.password.reveal(), names
    return found


def _secrets(context: Context) -> Iterator[Finding]:
    settings = context.settings
    found = secrets_of(context)
    weak = {name: weakness(*it) for name, it in found.items()}
    for name, reason in weak.items():
        if reason is not None:
            at_once, text = reason
            severity = Severity.FAILURE if at_once else Severity.WARNING
            yield PASSWORDS.wrong(name, text, severity)
    if not any(weak.values()):
        yield PASSWORDS.ok("settings", f"{len(found)} passwords and tokens, none easily guessed")
    used: dict[str, list[str]] = {}
    for name, (text, _) in found.items():
        used.setdefault(text, []).append(name)
    reused = [names for names in used.values() if len(names) > 1]
    yield from (REUSED.wrong(names[0], f"the same as {', '.join(names[1:])}") for names in reused)
    if not reused:
        yield REUSED.ok("settings", "each is used once")
    yield SECRET_KEYS.judge(
        "NIZAM_SECRET_KEYS",
        None if settings.secret_keys else "not set",
        f"{len(settings.secret_keys)} keys, not kept in the database",
        Severity.WARNING if settings.production else Severity.NOTE,
    )


def _files(context: Context) -> Iterator[Finding]:
    secret = {it.name for it in SETTINGS if it.secret}
    origins = context.loaded.origins
    paths = {Path(it) for name, it in origins.items() if name in secret and it.startswith("/")}
    if context.config is not None:
        paths.add(context.config)
    open_ones = [it for it in sorted(paths) if it.is_file() and it.stat().st_mode & 0o004]
    yield from (
        SECRET_FILES.wrong(str(it), "every user of this machine may read it") for it in open_ones
    )
    if not open_ones:
        yield SECRET_FILES.ok("settings", f"{len(paths)} files, none open to every user")
