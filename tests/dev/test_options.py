"""What `nizam dev` makes of its command line, and what it prints."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from nizam.dev.folder import StateFolder
from nizam.dev.guide import Running, guide
from nizam.dev.options import DevOptions, dev_settings, parse_node
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.settings import Role, Settings, SettingsError

REPOSITORY = Path(__file__).parent.parent.parent


def options(path: Path, **changed: object) -> DevOptions:
    given: dict[str, object] = {
        "state_dir": path,
        "host": "127.0.0.1",
        "port": 8080,
        "simulate": True,
        "calls_per_second": 1.0,
    }
    return DevOptions(**given | changed)  # type: ignore[arg-type]


def settings(
    path: Path, environment: Mapping[str, str] | None = None, **changed: object
) -> Settings:
    folder = StateFolder(path)
    folder.take()
    return dev_settings(
        options(path, **changed),
        folder,
        PrivatePostgres(path / "postgres"),
        PrivateRedis(path / "redis"),
        esl_port=8021,
        environment=environment or {},
    )


@pytest.fixture(autouse=True)
def servers_that_have_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers are not started here, so they get the ports that a start would give them."""
    for kind in (PrivatePostgres, PrivateRedis):
        original = kind.__init__

        def started(self: object, folder: Path, original: object = original) -> None:
            original(self, folder)  # type: ignore[operator]
            self.port = 5000  # type: ignore[attr-defined]

        monkeypatch.setattr(kind, "__init__", started)


@pytest.mark.parametrize(
    ("text", "host", "port", "password"),
    [
        ("fs1=10.0.0.5:8021:ClueCon", "10.0.0.5", 8021, "ClueCon"),
        ("fs1=[::1]:8021:a:b=c", "::1", 8021, "a:b=c"),
        ("fs1=switch.example.com:1:x", "switch.example.com", 1, "x"),
    ],
)
def test_a_node_is_read_from_one_word(text: str, host: str, port: int, password: str) -> None:
    node = parse_node(text)
    assert (node.name, node.esl_host, node.esl_port) == ("fs1", host, port)
    assert node.esl_password.reveal() == password


@pytest.mark.parametrize("text", ["", "fs1", "fs1=h:8021", "fs1=h:x:p", "=h:1:p", "fs1=h:70000:p"])
def test_anything_else_is_no_node(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_node(text)


def test_the_environment_says_where_emails_go(tmp_path: Path) -> None:
    mail = settings(tmp_path, {"MAIL_HOST": "127.0.0.1", "MAIL_ENCRYPTION": "none"}).mail
    assert (mail.host, mail.port, mail.security) == ("127.0.0.1", 587, "none")


def test_the_environment_says_where_the_sip_profiles_of_a_node_listen(tmp_path: Path) -> None:
    given = {"NIZAM_SIP_INTERNAL_IP": "127.0.0.1", "NIZAM_SIP_INTERNAL_PORT": "15060"}
    sip = settings(tmp_path, given | {"DB_HOST": "elsewhere", "DB_PORT": "1"}).sip
    assert (sip.internal_ip, sip.internal_port) == ("127.0.0.1", 15060)


def test_the_daemon_does_everything_with_the_simulated_switch_as_its_node(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found.roles == set(Role)
    assert [(node.name, node.esl_port) for node in found.nodes] == [("sim", 8021)]
    assert [client.username for client in found.xml_clients] == ["freeswitch"]
    assert not found.production


def test_without_it_questions_are_answered_all_the_same(tmp_path: Path) -> None:
    found = settings(tmp_path, simulate=False)
    assert found.nodes == ()
    assert [client.username for client in found.xml_clients] == ["freeswitch"]


def test_own_nodes_come_beside_the_simulated_one(tmp_path: Path) -> None:
    found = settings(tmp_path, nodes=(parse_node("fs1=10.0.0.5:8021:x"),))
    assert [node.name for node in found.nodes] == ["sim", "fs1"]


def test_two_nodes_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="sim"):
        settings(tmp_path, nodes=(parse_node("sim=10.0.0.5:8021:x"),))


@pytest.mark.parametrize(
    ("host", "http"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("10.0.0.5", "http://10.0.0.5:8080"),
    ],
)
def test_the_address_shown_is_one_that_can_be_opened(tmp_path: Path, host: str, http: str) -> None:
    assert options(tmp_path, host=host).http == http


RUNNING = Running(
    http="http://127.0.0.1:8080",
    api_key="nzm_dev_key",
    tenant_id="01937a5e-0000-7000-8000-000000000001",
    tenant_domain="acme.example.test",
    xml_username="freeswitch",
    xml_password="secret",
    database_dsn="postgresql://",
    redis_url="redis://",
    esl_host="127.0.0.1",
    esl_port=8021,
    esl_password="ClueCon",
    receiver="http://127.0.0.1:9000",
    user_email="admin@acme.example.test",
    user_password="correct horse",
)


def test_dev_json_has_the_fields_that_programs_read() -> None:
    found = json.loads(json.dumps(RUNNING.dev_json()))
    assert set(found) >= {
        "http",
        "api_key",
        "tenant_id",
        "tenant_domain",
        "xml_url",
        "xml_username",
        "xml_password",
        "cdr_url",
        "database_dsn",
        "redis_url",
    }
    assert found["esl"] == {"host": "127.0.0.1", "port": 8021, "password": "ClueCon"}
    assert found["xml_url"] == "http://127.0.0.1:8080/freeswitch/xml"


def test_the_lines_to_paste_are_whole_shell_commands() -> None:
    text = guide(RUNNING, Path("/state"), simulated=True)
    joined = text.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines() if line.strip().startswith("curl")]
    assert len(lines) == 7
    for line in lines:
        words = shlex.split(line)
        assert sum(word.startswith("http://127.0.0.1:") for word in words) == 1, line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--node", "nonsense"], "it is not NAME=HOST:PORT:PASSWORD"),
        (["--host", "example.com"], "'example.com' is not an IP address"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--cps", "-1"], "-1.0 is not in the range"),
    ],
)
def test_wrong_usage_is_told_with_exit_status_2(arguments: list[str], complaint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nizam.cli", "dev", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
