"""Settings: where they come from, what is refused and how it is said, and that secrets stay so."""

from __future__ import annotations

import base64
import ipaddress
import subprocess
import sys
import tomllib
from pathlib import Path

import attrs
import psycopg2.extensions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.settings import Role, Secret, Settings, SettingsError, load
from nizam.settings.declarations import SETTINGS
from nizam.settings.render import example_file, page, render_effective

REPOSITORY = Path(__file__).parent.parent.parent

COMPANIONS = {
    "ESL_HOST": "fs1",
    "ESL_PASSWORD": "event socket",
    "NIZAM_XML_USERNAME": "fs1",
    "NIZAM_XML_PASSWORD": "questions",
    "NIZAM_S3_ACCESS_KEY_ID": "id",
    "NIZAM_S3_SECRET_ACCESS_KEY": "signs",
    "REDIS_SENTINEL_1": "s1:26379",
}
"""What some secrets are refused without."""

GUIDE = {
    "APP_ENV": "production",
    "APP_DEBUG": "false",
    "APP_URL": "https://api.nizam.example.com",
    "DB_CONNECTION": "pgsql",
    "DB_HOST": "your-rds-endpoint.region.rds.amazonaws.com",
    "DB_PORT": "5432",
    "DB_DATABASE": "nizam",
    "DB_USERNAME": "nizam_app",
    "DB_PASSWORD": "strong password/@:",
    "REDIS_HOST": "your-redis-endpoint",
    "REDIS_PASSWORD": "redis-password",
    "REDIS_PORT": "6379",
    "QUEUE_CONNECTION": "redis",
    "CACHE_STORE": "redis",
    "SESSION_DRIVER": "redis",
    "ESL_HOST": "freeswitch.internal",
    "ESL_PORT": "8021",
    "ESL_PASSWORD": "esl-password",
    "SANCTUM_STATEFUL_DOMAINS": "dashboard.nizam.example.com",
    "API_RATE_LIMIT": "60",
    "DB_READ_HOST_1": "replica-1",
    "DB_READ_HOST_2": "replica-2:5433",
    "REDIS_CLIENT": "phpredis",
    "BROADCAST_CONNECTION": "reverb",
    "REVERB_APP_ID": "nizam",
    "REVERB_APP_SECRET": "nizam-secret",
    "PUSHER_APP_SECRET": "your-secret",
    "LOG_CHANNEL": "stderr",
    "LOG_LEVEL": "info",
}
KEY = base64.b64encode(bytes(range(32))).decode()


def settings(environment: dict[str, str], file: str = "", folder: Path | None = None) -> Settings:
    return load(written(file, folder), environment).settings


def written(file: str, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    path = folder / "nizam.toml"
    path.write_text(file)
    return path


def problems(
    environment: dict[str, str], file: str = "", folder: Path | None = None
) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load(written(file, folder), environment)
    return {problem.name: problem.problem for problem in caught.value.problems}


def test_the_deployment_guides_environment_is_accepted_as_it_is() -> None:
    loaded = load(None, GUIDE)
    found = loaded.settings
    assert found.production
    assert found.database.hosts == (("your-rds-endpoint.region.rds.amazonaws.com", 5432),)
    assert found.database.read_hosts == (("replica-1", 5432), ("replica-2", 5433))
    assert found.cors_origins == ("https://dashboard.nizam.example.com",)
    (node,) = found.nodes
    assert (node.esl_host, node.esl_port) == ("freeswitch.internal", 8021)
    assert node.esl_password.reveal() == "esl-password"
    assert found.roles == set(Role)
    assert {note.split(":")[0] for note in loaded.notes} >= {"REVERB_APP_ID"}
    assert found.pusher.connection == "reverb"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NIZAM_HTTP_PROT", "NIZAM_HTTP_PORT"),
        ("DB_USER", "DB_USERNAME"),
        ("REDIS_PASWORD_FILE", "REDIS_PASSWORD_FILE"),
        ("ESL_PASSWRD", "ESL_PASSWORD"),
    ],
)
def test_a_name_that_only_looks_like_a_setting_is_told_of(name: str, meant: str) -> None:
    (note,) = (it for it in load(None, {name: "x"}).notes if it.startswith(f"{name}: "))
    assert note.endswith(f"perhaps {meant}")


def test_other_names_in_the_environment_are_nobodys_concern() -> None:
    others = ("NIZAM_CONFIG", "NIZAM_URL", "NIZAM_API_KEY", "NIZAM_API_PORT", "NIZAM_XML_PORT")
    links = (
        "REDIS_PORT_6379_TCP",
        "NIZAM_XML_SERVICE_HOST",
        "APP_NAME",
        "HOME",
        "NIZAM_XML_PORT_80",
    )
    notes = load(None, dict.fromkeys((*others, *links), "x")).notes
    assert not [it for it in notes if "no such setting" in it]


def test_a_pusher_service_is_a_cluster_of_pusher_or_a_host() -> None:
    app = {"PUSHER_APP_ID": "7", "PUSHER_APP_KEY": "k", "PUSHER_APP_SECRET": "s"}
    chosen = app | {"BROADCAST_CONNECTION": "pusher"}
    us2 = settings(chosen | {"PUSHER_APP_CLUSTER": "us2"}).pusher
    assert us2.url == "https://api-us2.pusher.com"
    own = {"PUSHER_HOST": "soketi", "PUSHER_PORT": "6001", "PUSHER_SCHEME": "http"}
    soketi = settings(chosen | own).pusher
    assert soketi.url == "http://soketi:6001"
    assert problems({"BROADCAST_CONNECTION": "pusher"}).keys() == app.keys()


def test_dsns_are_read_by_libpq_as_they_were_meant() -> None:
    database = settings(GUIDE).database
    parsed = psycopg2.extensions.parse_dsn(database.dsn())
    assert parsed["host"] == "your-rds-endpoint.region.rds.amazonaws.com"
    assert (parsed["user"], parsed["password"]) == ("nizam_app", "strong password/@:")
    assert (parsed["port"], parsed["dbname"], parsed["sslmode"]) == ("5432", "nizam", "prefer")
    assert [
        (dsn["host"], dsn["port"])
        for dsn in map(psycopg2.extensions.parse_dsn, database.read_dsns())
    ] == [("replica-1", "5432"), ("replica-2", "5433")]


def test_several_hosts_are_looked_through_for_the_one_that_takes_changes() -> None:
    given = {"DB_HOST": "pg-1, pg-2:5433,[::1]:5434", "DB_PORT": "6000", "DB_DIRECT_HOST": "pg-1"}
    found = settings(given).database
    parsed = psycopg2.extensions.parse_dsn(found.dsn())
    assert (parsed["host"], parsed["port"]) == ("pg-1,pg-2,::1", "6000,5433,5434")
    assert parsed["target_session_attrs"] == "read-write"
    assert found.address == "pg-1:6000, pg-2:5433, ::1:5434"
    direct = psycopg2.extensions.parse_dsn(found.direct_dsn())
    assert (direct["host"], direct["port"]) == ("pg-1", "6000")
    assert found.pooled
    assert not settings({"DB_HOST": "pg-1"}).database.pooled


@pytest.mark.parametrize("host", ["/var/run/postgresql", "::1", "10.1.2.3"])
def test_every_kind_of_host_survives_the_dsn(host: str) -> None:
    dsn = settings({"DB_HOST": host}).database.dsn()
    assert psycopg2.extensions.parse_dsn(dsn)["host"] == host


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("APP_ENV", "prod", "'prod' is not supported"),
        ("APP_DEBUG", "maybe", "'maybe' is neither true nor false"),
        ("APP_URL", "ftp://example.com", "not an http or https URL"),
        ("APP_URL", "http://", "not an http or https URL"),
        ("APP_URL", "http://host:99999", "Port out of range"),
        ("DB_CONNECTION", "mysql", "'mysql' is not supported"),
        ("DB_PORT", "0", "0 is out of range"),
        ("DB_PORT", "54x2", "'54x2' is not a whole number"),
        ("DB_PORT", "9" * 5000, "is not a whole number"),
        ("DB_PORT", "tcp://10.0.0.1:5432", "enableServiceLinks"),
        ("NIZAM_SIP_RTP_PORT_LAST", "16400", "fewer than 100 ports"),
        ("DB_HOST", "a host", "is not a host name or an IP address"),
        ("DB_HOST", "pg-1,pg-2:0", "0 is out of range"),
        ("DB_HOST", ",", "no host is named"),
        ("DB_READ_HOST_1", "a b", "is not a host name"),
        ("DB_READ_HOST_x", "replica", "there is no number at its end"),
        ("REDIS_PORT", "70000", "70000 is out of range"),
        ("REDIS_CLIENT", "memcached", "'memcached' is not supported"),
        ("REDIS_CLUSTER", "predis", "is neither true nor false"),
        ("REDIS_CLUSTER_SEED_1", "redis node:6379", "is not a host name"),
        ("REDIS_CLUSTER_SEED_one", "redis-node-1:6379", "there is no number at its end"),
        ("REDIS_SENTINEL_1", "sentinel-1:x", "is not a whole number"),
        ("REDIS_TLS", "rediss", "is neither true nor false"),
        ("REDIS_TLS_CA", "/nowhere/ca.pem", "No such file"),
        ("QUEUE_CONNECTION", "database", "'database' is not supported"),
        ("CACHE_STORE", "file", "'file' is not supported"),
        ("SESSION_DRIVER", "cookie", "'cookie' is not supported"),
        ("LOG_CHANNEL", "stack", "'stack' is not supported"),
        ("LOG_LEVEL", "loud", "'loud' is not supported"),
        ("BROADCAST_CONNECTION", "ably", "'ably' is not supported"),
        ("API_RATE_LIMIT", "-1", "-1 is out of range"),
        ("NIZAM_ROLES", "xml,web", "'web' is no role"),
        ("NIZAM_ROLES", ",", "no role is named"),
        ("NIZAM_HTTP_HOST", "localhost", "does not appear to be an IPv4 or IPv6 address"),
        ("NIZAM_XML_ALLOWED_NETWORKS", "10.0.0.1/8", "has host bits set"),
        ("NIZAM_BACKUP_FOLDER", "state", "'state' is not an absolute path"),
        ("NIZAM_SECRET_KEYS", "k1", "a part is not ID:BASE64"),
        ("NIZAM_SECRET_KEYS", "k1:AAAA", "the key k1 has 3 bytes instead of 32"),
        ("NIZAM_SECRET_KEYS", f"k1:{KEY},k1:{KEY}", "two keys have the same id"),
        ("DB_PASSWORD_FILE", "/nowhere", "/nowhere: No such file or directory"),
    ],
)
def test_a_value_that_is_not_supported_is_named_with_its_problem(
    name: str, value: str, problem: str
) -> None:
    assert problem in problems({name: value})[name]


def test_all_problems_are_told_at_once_with_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            written('[redis]\nport = "x"\n[nope]\na = 1\n', tmp_path),
            {"DB_PORT": "x", "APP_ENV": "production", "APP_DEBUG": "true", "ESL_HOST": "fs"},
        )
    lines = str(caught.value).splitlines()
    assert {line.split(":")[0] for line in lines} == {
        "redis.port",
        "nope",
        "DB_PORT",
        "APP_DEBUG",
        "ESL_PASSWORD",
    }
    assert all("; accepted: " in line for line in lines)


@pytest.mark.parametrize(
    ("file", "name", "problem"),
    [
        ("[database]\nhots = 'x'", "database.hots", "there is no such setting"),
        ("[databse]\nhost = 'x'", "databse", "there is no such setting"),
        ("loglevel = 'info'", "loglevel", "there is no such setting"),
        ("database = 3", "database", "there is no such setting"),
        ("[database.host]\na = 1", "database.host", "is not text"),
        ("[database]\nport = 5432.5", "database.port", "5432.5 is not a whole number"),
        ("[database]\nport = true", "database.port", "True is not a whole number"),
        ("debug = 1.5", "debug", "neither true nor false"),
        ("roles = [1]", "roles", "1 is not text"),
        ("nodes = 3", "nodes", "this is not a list of tables"),
        ("nodes = [3]", "nodes[0]", "this is not a table"),
        ("[[nodes]]\nname = 'a'", "nodes[0]", "name and esl_host are needed"),
        ("[[nodes]]\nname = 'a'\nesl_host = 'h'", "nodes[0].esl_password", "missing"),
        ("[[nodes]]\nnam = 'a'", "nodes[0].nam", "there is no such field"),
        ("[[nodes]]\nname_file = 'a'", "nodes[0].name_file", "there is no such field"),
        ("DB_PORT = 'x'", "DB_PORT", "'x' is not a whole number"),
        ("[database]\nport = 1\n[redis]\nport = 2\nDB_PORT=3", "redis.DB_PORT", "no such setting"),
        ("app_url = 'http://a'\nAPP_URL = 'http://b'", "app_url", "given twice"),
        ("not toml", "--config", "nizam.toml: Expected '='"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(
    tmp_path: Path, file: str, name: str, problem: str
) -> None:
    assert problem in problems({}, file, tmp_path)[name]


def test_a_close_name_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"perhaps database\.host"):
        load(written("[database]\nhots = 'x'", tmp_path), {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml: No such file or directory"):
        load(tmp_path / "gone.toml", {})


def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written("roles = ['xml']\nlog_level = 'error'\n[database]\nport = 1\n", tmp_path)
    found = load(
        file, {"NIZAM_ROLES": "api", "LOG_LEVEL": "debug"}, {"NIZAM_ROLES": "intake"}
    ).settings
    assert (found.roles, found.log_level, found.database.port) == (
        frozenset({Role.INTAKE}),
        "debug",
        1,
    )


@pytest.mark.parametrize("unset", ["", "null"])
def test_an_empty_value_is_an_unset_one(unset: str) -> None:
    assert settings({"REDIS_PASSWORD": unset, "DB_PORT": unset}).redis.password is None


def test_secrets_come_from_files_and_credentials(tmp_path: Path) -> None:
    (tmp_path / "database").write_text("from a file\n")
    (tmp_path / "redis_password").write_text("from systemd\n")
    (tmp_path / "esl").write_text("from the file's file\n")
    file = f"[[nodes]]\nname = 'a'\nesl_host = 'h'\nesl_password_file = '{tmp_path}/esl'\n"
    found = settings(
        {
            "DB_PASSWORD_FILE": str(tmp_path / "database"),
            "CREDENTIALS_DIRECTORY": str(tmp_path),
        },
        file,
        tmp_path,
    )
    assert found.database.password == Secret("from a file")
    assert found.redis.password == Secret("from systemd")
    assert found.nodes[0].esl_password == Secret("from the file's file")


def test_every_secret_can_come_from_a_file_and_from_a_credential(tmp_path: Path) -> None:
    secret = [it for it in SETTINGS if it.secret]
    assert len(secret) >= 10
    for it in secret:
        key = f"k1:{base64.b64encode(bytes(32)).decode()}"
        text = key if it.name == "NIZAM_SECRET_KEYS" else f"secret of {it.name}"
        kept = tmp_path / it.name
        kept.write_text(f"{text}\n")
        expected = it.parse(text)
        beside = {name: value for name, value in COMPANIONS.items() if name != it.name}
        ways = {f"{it.name}_FILE": str(kept)}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        for environment in ways:
            loaded = load(None, beside | environment)
            assert loaded.values[it.name] == expected, it.name
            assert loaded.origins[it.name] == str(kept)
            assert text not in repr(loaded)
        table, _, field = (it.key or "").rpartition(".")
        lines = f"[{table}]\n" if table else ""
        config = tmp_path / "nizam.toml"
        config.write_text(f"{lines}{field}_file = '{kept}'\n")
        assert load(config, beside).values[it.name] == expected, it.name
        kept.unlink()


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it").write_text("two")
    given = {"DB_PASSWORD": "one", "DB_PASSWORD_FILE": str(tmp_path / "it")}
    assert "given twice" in problems(given)["DB_PASSWORD"]


def test_nodes_come_from_the_environment_and_the_file(tmp_path: Path) -> None:
    found = settings(
        {
            "ESL_HOST": "fs-1",
            "ESL_PASSWORD": "p1",
            "NIZAM_XML_USERNAME": "u",
            "NIZAM_XML_PASSWORD": "p",
        },
        "[[nodes]]\nname = 'b'\nesl_host = 'fs-2'\nesl_password = 'p2'\nesl_port = 9\n",
        tmp_path,
    )
    assert [(n.name, n.esl_host, n.esl_port) for n in found.nodes] == [
        ("freeswitch", "fs-1", 8021),
        ("b", "fs-2", 9),
    ]


def test_two_nodes_of_one_name_are_refused(tmp_path: Path) -> None:
    node = "[[nodes]]\nname = 'a'\nesl_host = 'h'\nesl_password = 'p'\n"
    assert "two nodes are called 'a'" in problems({}, node * 2, tmp_path)["nodes"]


@pytest.mark.parametrize("event_socket", [{"ESL_HOST": "h", "ESL_PASSWORD": "p"}, {}])
def test_half_of_the_xml_credentials_is_refused(event_socket: dict[str, str]) -> None:
    (problem,) = problems({**event_socket, "NIZAM_XML_USERNAME": "u"}).values()
    assert problem == "only one of the two is given"


def test_who_may_ask_is_each_node_and_one_that_has_no_event_socket(tmp_path: Path) -> None:
    found = settings(
        {"NIZAM_XML_USERNAME": "u", "NIZAM_XML_PASSWORD": "p"},
        "[[nodes]]\nname = 'b'\nesl_host = 'h'\nesl_password = 'q'\n"
        "xml_username = 'v'\nxml_password = 'r'\n",
        tmp_path,
    )
    assert [(c.node, c.username, c.password.reveal()) for c in found.xml_clients] == [
        ("b", "v", "r"),
        ("freeswitch", "u", "p"),
    ]
    assert [node.name for node in found.nodes] == ["b"]


def test_one_xml_user_for_two_nodes_is_refused(tmp_path: Path) -> None:
    node = "esl_host = 'h'\nesl_password = 'q'\nxml_username = 'v'\nxml_password = 'r'\n"
    file = f"[[nodes]]\nname = 'a'\n{node}[[nodes]]\nname = 'b'\n{node}"
    assert "two have the XML user 'v'" in problems({}, file, tmp_path)["nodes"]


def test_console_domains_become_origins() -> None:
    given = "a.example.com:8443, http://b.example.com/, localhost:5173, [::1]:3000"
    assert settings({"SANCTUM_STATEFUL_DOMAINS": given}).cors_origins == (
        "https://a.example.com:8443",
        "http://b.example.com",
        "http://localhost:5173",
        "http://[::1]:3000",
    )


def test_networks_and_keys_are_typed() -> None:
    found = settings(
        {"NIZAM_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1", "NIZAM_SECRET_KEYS": f"k1:{KEY}"}
    )
    assert found.webhooks.allowed_networks == (
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )
    assert [(key.id, key.key) for key in found.secret_keys] == [("k1", bytes(range(32)))]


SECRETS = [setting for setting in SETTINGS if setting.secret]


@pytest.mark.parametrize("name", [setting.name for setting in SECRETS])
@given(value=st.text(min_size=8).filter(lambda text: "\0" not in text))
def test_no_secret_is_ever_shown(name: str, value: str) -> None:
    value = f"s3cret{value}"
    environment = {"ESL_HOST": "h", "ESL_PASSWORD": "p", name: value}
    try:
        loaded = load(None, environment)
    except SettingsError as error:
        shown = f"{error} {error.problems!r}"
    else:
        shown = f"{loaded.settings!r} {render_effective(loaded)}"
    assert value not in shown


def test_a_secret_of_the_wrong_type_is_not_shown(tmp_path: Path) -> None:
    for line in ("[database]\npassword = 4711", "secret_keys = 4711", "secret_keys = [4711]"):
        assert "4711" not in str(problems({}, line, tmp_path))


def test_effective_settings_tell_where_each_came_from(tmp_path: Path) -> None:
    file = written("[http]\nport = 9000\n", tmp_path)
    shown = render_effective(load(file, {"DB_HOST": "db", "DB_PASSWORD": "hush"}))
    assert f"http.port = 9000  # {file}" in shown
    assert 'database.host = "db"  # the environment' in shown
    assert 'database.password = "***"  # the environment' in shown
    assert "redis.port = 6379  # default" in shown
    assert "hush" not in shown


def test_every_declared_key_has_a_place_and_every_place_a_key() -> None:
    def fields(kind: type, prefix: str = "") -> set[str]:
        found: set[str] = set()
        for field in attrs.fields(attrs.resolve_types(kind)):
            nested = attrs.has(field.type)
            found |= fields(field.type, f"{field.name}.") if nested else {prefix + field.name}
        return found

    keys = {setting.key for setting in SETTINGS if setting.key}
    nodes = {key for key in keys if key.startswith("freeswitch.")}
    assert keys - nodes == fields(Settings) - {"nodes", "xml_clients"}


@pytest.mark.parametrize(
    ("file", "text"), [("etc/nizam.toml", example_file()), ("docs/settings.md", page())]
)
def test_the_written_files_are_current(file: str, text: str) -> None:
    assert (REPOSITORY / file).read_text() == text, "run: python -m nizam.settings.render"


def test_the_example_file_holds_the_defaults() -> None:
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line
        for line in example_file().partition("# [[nodes]]")[0].splitlines()
        if "# an example" not in line
    ]
    tables = tomllib.loads("\n".join(lines))
    for setting in SETTINGS:
        if setting.key and setting.default not in (None, ()):
            table, _, field = setting.key.rpartition(".")
            given = (tables[table] if table else tables)[field]
            assert setting.parse(given) == setting.default, setting.key


def test_the_example_file_is_accepted() -> None:
    assert load(REPOSITORY / "etc/nizam.toml", {}).settings == load(None, {}).settings


def test_reading_settings_imports_no_reactor() -> None:
    code = (
        "import sys; from nizam.settings import load; load(None, {}); "
        "assert not {'twisted', 'pydantic', 'psycopg2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=20)
