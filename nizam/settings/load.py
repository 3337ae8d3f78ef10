"""Reading the settings: each value from the first place that has it, all problems at once.

A value is taken from the command line, the environment (`NAME`), the file that `NAME_FILE` names,
systemd's credentials directory (a file called `NAME`, upper or lower case), the TOML file, and
else the default. In the TOML file a secret `x` can be given as `x_file` too.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from nizam.errors import NizamError
from nizam.settings import misspelt, parsers, redis_checks
from nizam.settings.declarations import (
    NODE_FIELDS,
    NOT_NEEDED,
    NUMBERED,
    SETTINGS,
    Setting,
)
from nizam.settings.problem import SettingError
from nizam.settings.values import (
    BackupSettings,
    DatabaseSettings,
    HttpSettings,
    LiveSettings,
    MailSettings,
    NodeSettings,
    PusherSettings,
    RealtimeSettings,
    RecordingSettings,
    RedisSettings,
    RetentionSettings,
    Settings,
    SipSettings,
    WebhookSettings,
    XmlClient,
)

MIN_RTP_PORTS = 100
_MAX_FILE_BYTES = 1 << 20
_UNSET = ("", "null", "(null)")


class SettingsError(NizamError):
    """One or more settings are wrong; `problems` names all of them, one a line in the text."""

    code = "settings_invalid"
    title = "The settings are not valid"

    def __init__(self, problems: Iterable[SettingError]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.detail for problem in self.problems))


@attrs.frozen
class Loaded:
    """The settings, where each came from, and what was accepted without being needed.

    `values` are the parsed values and `origins` the words for where they came from, both by the
    setting's name in the environment; origins lacks what has its default.
    """

    settings: Settings
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    notes: tuple[str, ...]


@attrs.frozen
class _Given:
    name: str
    """How the person who set it knows it: the environment's name or the key in the file."""
    origin: str
    value: Any


def load(
    config: Path | None,
    environment: Mapping[str, str],
    options: Mapping[str, str] | None = None,
) -> Loaded:
    """Read the settings from the file `config`, if any, and the mapping `environment`.

    `options` come from the command line, by the setting's name in the environment, and win.
    Raises SettingsError with every problem found; no message holds a secret.
    """
    reader = _Reader(environment, options or {})
    reader.read_file(config)
    values = {setting.name: reader.value_of(setting) for setting in SETTINGS}
    for name, prefix in NUMBERED.items():
        values[name] = reader.hosts(name, prefix, values[name])
    nodes = reader.nodes(values)
    clients = reader.xml_clients(values, nodes)
    reader.check_combinations(values, nodes)
    if reader.problems:
        raise SettingsError(reader.problems)
    settings = _settings(values, nodes, clients)
    return Loaded(settings, values, reader.origins, tuple(reader.notes))


class _Reader:
    def __init__(self, environment: Mapping[str, str], options: Mapping[str, str]) -> None:
        self._environment = environment
        self._options = options
        self._file: dict[str, Any] = {}
        self._file_nodes: list[Any] = []
        self._file_name = ""
        self.problems: list[SettingError] = []
        self.notes: list[str] = []
        self.origins: dict[str, str] = {}

    # -- the file

    def read_file(self, config: Path | None) -> None:
        if config is None:
            return
        self._file_name = str(config)
        try:
            with config.open("rb") as file:
                tables = tomllib.load(file)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._problem("--config", f"{config}: {reason}", "a readable TOML file")
            return
        nodes = tables.pop("nodes", [])
        if isinstance(nodes, list):
            self._file_nodes = nodes
        else:
            self._problem("nodes", "this is not a list of tables", "[[nodes]] tables")
        self._flatten("", tables)

    def _flatten(self, prefix: str, table: dict[str, Any]) -> None:
        sections = {s.key.partition(".")[0] for s in SETTINGS if s.key and "." in s.key}
        known = {s.key for s in SETTINGS if s.key} | {s.name for s in SETTINGS}
        known |= {f"{s.key}_file" for s in SETTINGS if s.key and s.secret}
        prefixes = (*NUMBERED.values(), *NOT_NEEDED)
        for name, value in table.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict) and key in sections and not prefix:
                self._flatten(f"{key}.", value)
            elif key in known or key.startswith(prefixes):
                self._file[key] = value
            else:
                close = difflib.get_close_matches(key, sorted(known | sections), n=1)
                accepted = f"perhaps {close[0]}" if close else "the keys of etc/nizam.toml"
                self._problem(key, f"there is no such setting in {self._file_name}", accepted)

    # -- one setting

    def value_of(self, setting: Setting) -> Any:
        given = self._given(setting)
        if given is None:
            return setting.default
        self.origins[setting.name] = given.origin
        return self._parse(setting, given)

    def _parse(self, setting: Setting, given: _Given) -> Any:
        try:
            return setting.parse(given.value)
        except ValueError as error:
            self._problem(given.name, str(error), setting.accepted)
            return setting.default

    def _given(self, setting: Setting) -> _Given | None:
        name = setting.name
        if name in self._options:
            return _Given(f"--{setting.key}", "the command line", self._options[name])
        value = self._environment.get(name, "")
        file_name = self._environment.get(f"{name}_FILE", "")
        if value not in _UNSET and file_name:
            self._problem(name, f"given twice, here and as {name}_FILE", "one of the two")
        if value not in _UNSET:
            return _Given(name, "the environment", value)
        if file_name:
            return self._from_file(f"{name}_FILE", Path(file_name))
        if directory := self._environment.get("CREDENTIALS_DIRECTORY"):
            for candidate in (Path(directory, name), Path(directory, name.lower())):
                if candidate.is_file():
                    return self._from_file(name, candidate)
        return self._from_toml(setting)

    def _from_toml(self, setting: Setting) -> _Given | None:
        found = [key for key in (setting.key, setting.name) if key in self._file]
        secret_file = f"{setting.key}_file"
        if secret_file in self._file:
            found.append(secret_file)
        if len(found) > 1:
            self._problem(found[0], f"given twice, here and as {found[1]}", "one of the two")
        if not found or found[0] is None or self._file[found[0]] in _UNSET:
            return None
        key, value = found[0], self._file[found[0]]
        if key == secret_file:
            return self._from_file(key, Path(str(value)))
        return _Given(key, self._file_name, value)

    def _from_file(self, name: str, path: Path) -> _Given | None:
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES).decode()
        except OSError as error:
            self._problem(name, f"{path}: {error.strerror}", "the path of a readable file")
            return None
        except UnicodeDecodeError:
            self._problem(name, f"{path} is not UTF-8 text", "a text file")
            return None
        return _Given(name, str(path), content.strip("\r\n"))

    # -- what is more than one value

    def hosts(
        self, name: str, prefix: str, listed: tuple[str, ...]
    ) -> tuple[tuple[str, int | None], ...]:
        """NAME_1 and so on in the order of their numbers, or else the list."""
        given = [_Given(it, "the environment", value) for it, value in self._numbered(prefix)]
        if given:
            self.origins[name] = "the environment"
        else:
            given = [_Given(name, self._file_name, host) for host in listed]
        found = []
        for item in given:
            try:
                found.append(parsers.host_and_port(item.value))
            except ValueError as error:
                self._problem(item.name, str(error), "a host name or an IP address, or host:port")
        return tuple(found)

    def _numbered(self, prefix: str) -> list[tuple[str, str]]:
        known = {it for setting in SETTINGS for it in (setting.name, f"{setting.name}_FILE")}
        named = [
            (name, str(value))
            for source in (self._file, self._environment)
            for name, value in source.items()
            if name.startswith(prefix) and name not in known and value not in _UNSET
        ]
        for name, _ in named:
            if not name.removeprefix(prefix).isdecimal():
                self._problem(name, "there is no number at its end", f"{prefix}1, {prefix}2 ...")
        latest = {name: value for name, value in named if name.removeprefix(prefix).isdecimal()}
        return sorted(latest.items(), key=lambda item: int(item[0].removeprefix(prefix)))

    def nodes(self, values: Mapping[str, Any]) -> tuple[NodeSettings, ...]:
        found = []
        if values["ESL_HOST"] is not None:
            fields = {field: values[setting.name] for field, setting in NODE_FIELDS.items()}
            found.append(self._node("ESL_PASSWORD", fields))
        for index, table in enumerate(self._file_nodes):
            found.append(self._node_of_table(f"nodes[{index}]", table))
        return tuple(node for node in found if node is not None)

    def _node_of_table(self, place: str, table: Any) -> NodeSettings | None:
        if not isinstance(table, dict):
            self._problem(place, "this is not a table", "a [[nodes]] table")
            return None
        fields = {field: setting.default for field, setting in NODE_FIELDS.items()}
        for key, value in table.items():
            field = key.removesuffix("_file") if key not in NODE_FIELDS else key
            setting = NODE_FIELDS.get(field)
            if setting is None or (field != key and not setting.secret):
                self._problem(f"{place}.{key}", "there is no such field", ", ".join(NODE_FIELDS))
                continue
            given: _Given | None = _Given(f"{place}.{key}", self._file_name, value)
            if field != key:
                given = self._from_file(f"{place}.{key}", Path(str(value)))
            if given is not None:
                fields[field] = self._parse(setting, given)
        if "name" not in table or "esl_host" not in table:
            self._problem(place, "name and esl_host are needed", "both of them")
            return None
        return self._node(f"{place}.esl_password", fields)

    def _node(self, password_name: str, fields: Mapping[str, Any]) -> NodeSettings | None:
        if fields["esl_password"] is None:
            if not any(problem.name.startswith(password_name) for problem in self.problems):
                self._problem(password_name, "missing", NODE_FIELDS["esl_password"].accepted)
            return None
        return NodeSettings(**fields)

    def xml_clients(
        self, values: Mapping[str, Any], nodes: tuple[NodeSettings, ...]
    ) -> tuple[XmlClient, ...]:
        """Who may ask: each node, and [freeswitch] also when it names no event socket."""
        asking = [(node.name, node.xml_username, node.xml_password) for node in nodes]
        own = ("NIZAM_NODE_NAME", "NIZAM_XML_USERNAME", "NIZAM_XML_PASSWORD")
        if values["ESL_HOST"] is None and (values[own[1]] or values[own[2]]):
            name, username, password = (values[name] for name in own)
            asking.append((name, username, password))
        found = []
        for name, username, password in asking:
            if username is not None and password is not None:
                found.append(XmlClient(name, username, password))
            elif username is not None or password is not None:
                self._problem(
                    f"the node {name}: NIZAM_XML_USERNAME and NIZAM_XML_PASSWORD",
                    "only one of the two is given",
                    "both or none",
                )
            else:
                self.notes.append(
                    f"the node {name} has no XML credentials (NIZAM_XML_USERNAME, "
                    "NIZAM_XML_PASSWORD): its questions are refused until it has some"
                )
        usernames = [client.username for client in found]
        for username in sorted({name for name in usernames if usernames.count(name) > 1}):
            self._problem(
                "nodes", f"two have the XML user {username!r}", "a user of its own for each"
            )
        return tuple(found)

    def check_combinations(
        self, values: Mapping[str, Any], nodes: tuple[NodeSettings, ...]
    ) -> None:
        if values["APP_DEBUG"] and values["APP_ENV"] == "production":
            self._problem("APP_DEBUG", "true in production", "false while APP_ENV is production")
        if values["NIZAM_RECORDINGS_STORAGE"] == "s3" and not values["NIZAM_S3_BUCKET"]:
            self._problem("NIZAM_S3_BUCKET", "not set", "the bucket that recordings are moved to")
        if (values["NIZAM_S3_ACCESS_KEY_ID"] is None) != (
            values["NIZAM_S3_SECRET_ACCESS_KEY"] is None
        ):
            self._problem("NIZAM_S3_SECRET_ACCESS_KEY", "one without the other", "both or neither")
        if values["BROADCAST_CONNECTION"] == "pusher":
            for name in ("PUSHER_APP_ID", "PUSHER_APP_KEY", "PUSHER_APP_SECRET"):
                if values[name] is None:
                    self._problem(name, "missing", "what the Pusher-protocol service has given")
        self.problems += redis_checks.problems(values)
        if values["NIZAM_SIP_RTP_PORT_LAST"] - values["NIZAM_SIP_RTP_PORT_FIRST"] < MIN_RTP_PORTS:
            self._problem(
                "NIZAM_SIP_RTP_PORT_LAST",
                f"leaves fewer than {MIN_RTP_PORTS} ports from NIZAM_SIP_RTP_PORT_FIRST on",
                "a higher port: each leg of a call takes two",
            )
        names = [node.name for node in nodes]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._problem("nodes", f"two nodes are called {name!r}", "a name of its own for each")
        if not values["NIZAM_SECRET_KEYS"]:
            self.notes.append(
                "NIZAM_SECRET_KEYS is not set: stored passwords are encrypted with a key that is "
                "kept in the database beside them"
            )
        for name in sorted({*self._environment, *self._file}):
            for prefix, note in NOT_NEEDED.items():
                if name.startswith(prefix):
                    self.notes.append(f"{name}: {note}")
        self.notes += misspelt.notes(self._environment, (it.name for it in SETTINGS))

    def _problem(self, name: str, problem: str, accepted: str) -> None:
        self.problems.append(SettingError(name, problem, accepted))


def _settings(
    values: Mapping[str, Any],
    nodes: tuple[NodeSettings, ...],
    xml_clients: tuple[XmlClient, ...],
) -> Settings:
    tables: dict[str, dict[str, Any]] = {"": {}}
    for setting in SETTINGS:
        if setting.key:
            table, _, field = setting.key.rpartition(".")
            tables.setdefault(table, {})[field] = values[setting.name]
    database = tables["database"]
    database["read_hosts"] = tuple(
        (host, port or database["port"]) for host, port in database["read_hosts"]
    )
    return Settings(
        **tables[""],
        http=HttpSettings(**tables["http"]),
        database=DatabaseSettings(**database),
        redis=RedisSettings(**redis_checks.completed(tables["redis"])),
        live=LiveSettings(**tables["live"]),
        sip=SipSettings(**tables["sip"]),
        webhooks=WebhookSettings(**tables["webhooks"]),
        realtime=RealtimeSettings(**tables["realtime"]),
        pusher=PusherSettings(**tables["pusher"]),
        mail=MailSettings(**tables["mail"]),
        recordings=RecordingSettings(**tables["recordings"]),
        retention=RetentionSettings(**tables["retention"]),
        backup=BackupSettings(**tables["backup"]),
        nodes=nodes,
        xml_clients=xml_clients,
    )
