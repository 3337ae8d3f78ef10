"""The event socket through the shipped stunnel configurations: both ends for real, the simulated
switch behind them."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.threads import deferToThread

from nizam.embedded.process import free_port
from nizam.ops.doctor import Area
from nizam.ops.doctor.event_socket import event_socket
from nizam.ops.doctor.running import ProbeError
from nizam.sim.switch import SimulatedSwitch
from tests.certificates import Authority
from tests.deploy.files import DEPLOY, tool
from tests.kv.servers import wait_for
from tests.ops.doctor.findings import found_with, is_right
from tests.pages import commands

PASSWORD = "e5d1-of-the-event-socket"
SWITCH = "fs1.example.com"
reactor: Any = installed_reactor


def configured(name: str, folder: Path, **changes: str) -> Path:
    """A shipped file with this machine's paths and ports: everything else is as it is shipped."""
    text = (DEPLOY / "stunnel" / name).read_text()
    usual = {
        "foreground = no": "foreground = yes",
        f"pid = /run/stunnel4/{name.removesuffix('.conf')}.pid": "pid =",
        "setuid = stunnel4\n": "",
        "setgid = stunnel4\n": "",
        "syslog = yes": "syslog = no",
        "/etc/stunnel/tls": str(folder),
    }
    for before, after in {**usual, **changes}.items():
        assert before in text, before
        text = text.replace(before, after)
    file = folder / name
    file.write_text(text)
    return file


@contextmanager
def running(file: Path, port: int) -> Iterator[None]:
    """stunnel with this file, which listens on `port`."""
    with file.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen([tool("stunnel", "stunnel4"), file], stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or _listens(port))
        assert process.poll() is None, file.with_suffix(".log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def machine(folder: Path, authority: Authority, name: str) -> Path:
    """A folder with what a machine has in /etc/stunnel/tls."""
    folder.mkdir()
    authority.issue(folder, name)
    return folder


def at_switch(folder: Path, port: int, event_socket: int, **more: str) -> Path:
    """The switch's side: TLS on `port`, the event socket behind it."""
    ports = {"0.0.0.0:8022": f"127.0.0.1:{port}", "127.0.0.1:8021": f"127.0.0.1:{event_socket}"}
    return configured("switch.conf", folder, **ports, **more)


def at_nizam(folder: Path, port: int, switch: int) -> Path:
    """NIZAM's side: in clear on `port`, the switch's side at `switch`."""
    ports = {"127.0.0.1:18021": f"127.0.0.1:{port}", f"{SWITCH}:8022": f"127.0.0.1:{switch}"}
    return configured("nizam.conf", folder, **ports)


def ask(port: int) -> str:
    """What the switch behind a port says that it is."""
    with event_socket("127.0.0.1", port, PASSWORD) as found:
        return found.api("version")


@pytest_twisted.async_yield_fixture
async def event_socket_port() -> AsyncIterator[int]:
    switch = SimulatedSwitch(reactor, password=PASSWORD)
    await switch.start()
    yield switch.esl_port
    await switch.stop()


@pytest.mark.time_limit(60)
async def test_nizam_reaches_the_switch_and_strangers_do_not(
    tmp_path: Path, event_socket_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a greeting that never comes.
    monkeypatch.setattr("nizam.ops.doctor.event_socket.ANSWER_SECONDS", 1.0)
    ours = Authority(tmp_path / "ours")
    outside, inside = free_port(), free_port()
    there = machine(tmp_path / "switch", ours, SWITCH)
    here = machine(tmp_path / "nizam", ours, "nizam1.example.com")
    stranger = machine(tmp_path / "stranger", Authority(tmp_path / "theirs"), SWITCH)

    def look() -> None:
        with (
            running(at_switch(there, outside, event_socket_port), outside),
            running(at_nizam(here, inside, outside), inside),
        ):
            node = {"ESL_HOST": "127.0.0.1", "ESL_PORT": str(inside), "ESL_PASSWORD": PASSWORD}
            is_right(found_with(node | {"DB_PORT": "1"}, Area.NODES), "nodes.reachable")
            assert greeted(outside, here)
            # In clear, without a certificate, with another authority's, with an old TLS.
            with pytest.raises((ProbeError, OSError)):
                ask(outside)
            assert not greeted(outside, None)
            assert not greeted(outside, stranger)
            assert not greeted(outside, here, ssl.TLSVersion.TLSv1_1)

    await deferToThread(look)


@pytest.mark.time_limit(60)
async def test_nizam_does_not_speak_to_somebody_in_the_place_of_the_switch(
    tmp_path: Path, event_socket_port: int
) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    here = machine(tmp_path / "nizam", ours, "nizam1.example.com")
    lax = {"requireCert = yes": "requireCert = no", "verifyChain = yes": "verifyChain = no"}
    places = [(ours, SWITCH, True), (theirs, SWITCH, False), (ours, "fs2.example.com", False)]

    def look() -> None:
        for number, (authority, name, spoken_to) in enumerate(places):
            there = machine(tmp_path / str(number), authority, name)
            outside, inside = free_port(), free_port()
            with (
                running(at_switch(there, outside, event_socket_port, **lax), outside),
                running(at_nizam(here, inside, outside), inside),
            ):
                if spoken_to:
                    assert ask(inside).startswith("FreeSWITCH Version")
                else:
                    with pytest.raises((ProbeError, OSError)):
                        ask(inside)

    await deferToThread(look)


def greeted(
    port: int, shown: Path | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> bool:
    """Whether the event socket says something to whoever shows these certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    if shown is not None:
        context.load_cert_chain(shown / "server.crt", shown / "server.key")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as connection,
            context.wrap_socket(connection) as secured,
        ):
            return secured.recv(100).startswith(b"Content-Type: auth/request")
    except OSError:
        return False


def test_the_commands_of_the_page_make_certificates_that_the_authority_vouches_for(
    tmp_path: Path,
) -> None:
    openssl = tool("openssl", "openssl")
    lines = [it for it in commands("security.md") if it.startswith("openssl ")]
    assert len(lines) == 3
    check = f"{openssl} verify -CAfile ca.crt -verify_hostname {SWITCH} server.crt"
    for line in [*lines, check]:
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == "server.crt: OK\n"
