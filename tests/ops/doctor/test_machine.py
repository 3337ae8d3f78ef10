"""Clocks, certificates, disks, the machine and names, as the doctor sees them."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from nizam.ops.doctor import Area, Context, clocks, examine, names, process
from nizam.ops.doctor.certificates import API, judge
from nizam.ops.doctor.disk import judge_room
from nizam.settings import load
from tests.deploy.balancers import NAME, make_certificate
from tests.ops.doctor.findings import FAILURE, NOTE, WARNING, found_with, is_right, is_wrong
from tests.ops.doctor.switches import Node

GONE = {"DB_PORT": "1", "REDIS_PORT": "1"}


# -- clocks


async def test_clocks_that_go_together_are_well(node: Node, environment: dict[str, str]) -> None:
    node.environment = environment
    found = await node.found(Area.CLOCKS)
    is_right(found, "clocks.skew")
    assert len([it for it in found if it.check == "clocks.skew"]) == 3


def test_clocks_that_do_not_are_told_of() -> None:
    times = iter((100.0, 100.2))
    assert clocks.offset_of(lambda: 103.1, lambda: next(times)) == pytest.approx(3.0)
    is_wrong([clocks.judge_skew("redis", 3.0)], "clocks.skew", WARNING, "3.000 s ahead")
    is_wrong([clocks.judge_skew("redis", -70.0)], "clocks.skew", FAILURE, "70.000 s behind")
    is_wrong([clocks.judge_kernel(5)], "clocks.synchronised", NOTE, "nothing keeps")
    is_right([clocks.judge_kernel(0)], "clocks.synchronised")
    is_wrong(found_with(GONE, Area.CLOCKS), "clocks.skew", NOTE, "not reached")


# -- certificates


@contextmanager
def serving(certificate: Path) -> Iterator[int]:
    """A port that shows it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
                with connection, context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1)
            except ssl.SSLError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def test_the_certificate_of_the_api_must_be_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", _loopback)
    with serving(certificate) as port:
        url = {"APP_URL": f"https://{NAME}:{port}"}
        found = found_with(GONE | url, Area.CERTIFICATES)
        is_wrong(found, "certificates.api", FAILURE, "not believed: self")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("fullchain.pem")))
        # Believed, and made for a day.
        found = found_with(GONE | url, Area.CERTIFICATES)
        is_wrong(found, "certificates.api", WARNING, f"{NAME}, for 0 days")
    found = found_with(GONE | url, Area.CERTIFICATES)
    is_wrong(found, "certificates.api", FAILURE, "refused")
    with serving(make_certificate(tmp_path, 90)) as port:
        url = {"APP_URL": f"https://{NAME}:{port}"}
        is_right(found_with(GONE | url, Area.CERTIFICATES), "certificates.api")


def _loopback(host: object, port: object, *rest: object, **more: object) -> list[object]:
    address = ("127.0.0.1", port)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]


def test_the_dates_of_a_certificate_are_judged(tmp_path: Path) -> None:
    text = make_certificate(tmp_path).with_name("fullchain.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(text)
    now = datetime.now(UTC)
    is_wrong(
        [judge(API, "u", certificate, now + timedelta(days=10, hours=1))],
        API.name,
        FAILURE,
        "ended 9",
    )
    is_wrong([judge(API, "u", certificate, now - timedelta(days=9))], API.name, FAILURE, "begins")


async def test_certificates_of_sip_profiles_are_looked_at(node: Node, tmp_path: Path) -> None:
    is_right(await node.found(Area.CERTIFICATES), "certificates.sip")
    folder = tmp_path / "certificate"
    folder.mkdir()
    node.hostname = socket.gethostname()
    (node.folder / "tls").mkdir()
    (node.folder / "tls/agent.pem").write_text("-----BEGIN CERTIFICATE-----\nnone\n")
    with serving(make_certificate(folder)) as port:
        node.tls_ports = {"internal": port}
        found = await node.found(Area.CERTIFICATES)
        is_wrong(found, "certificates.sip", WARNING, f"127.0.0.1:{port}: {NAME}, for 0 days")
        is_wrong(found, "certificates.sip", FAILURE, "agent.pem: there is no certificate")
    found = await node.found(Area.CERTIFICATES)
    is_wrong(found, "certificates.sip", FAILURE, "no TLS there")


def test_the_authorities_of_the_database_are_looked_at(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    for name, severity, text in (
        ("fullchain.pem", WARNING, "for 0 days"),
        ("privkey.pem", FAILURE, "no certificate"),
        ("missing.pem", FAILURE, "No such file"),
    ):
        there = {"DB_SSLROOTCERT": str(tmp_path / name)}
        found = found_with(GONE | there, Area.CERTIFICATES)
        is_wrong(found, "certificates.authorities", severity, text)
    there = {"DB_SSLROOTCERT": "/etc/ssl/certs/ca-certificates.crt"}
    if Path(there["DB_SSLROOTCERT"]).exists():
        is_right(found_with(GONE | there, Area.CERTIFICATES), "certificates.authorities")


# -- disks


def test_folders_as_nizam_wants_them_are_well(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    there = {"NIZAM_MEDIA_ROOT": str(tmp_path), "NIZAM_BACKUP_FOLDER": str(tmp_path)}
    found = found_with(GONE | there, Area.DISK)
    is_right(found, "disk.media-root", "disk.permissions")
    assert f"backup folder {tmp_path}" in {it.subject for it in found}


def test_folders_that_are_missing_or_open_are_told_of(tmp_path: Path) -> None:
    found = found_with(GONE | {"NIZAM_MEDIA_ROOT": "/nowhere"}, Area.DISK)
    is_wrong(found, "disk.media-root", FAILURE, "does not exist")
    tmp_path.chmod(0o755)
    found = found_with(GONE | {"NIZAM_MEDIA_ROOT": str(tmp_path)}, Area.DISK)
    is_wrong(found, "disk.permissions", WARNING, "755")


@pytest.mark.parametrize(
    ("free", "inodes", "space", "number"),
    [(0.5, 0.5, None, None), (0.05, 0.05, WARNING, WARNING), (0.001, 0.01, FAILURE, FAILURE)],
)
def test_room_is_judged(free: float, inodes: float, space: object, number: object) -> None:
    blocks = 100 * 2**30 // 4096
    left = int(blocks * free)
    values = (4096, 4096, blocks, left, left, 1000, int(1000 * inodes), int(1000 * inodes), 0, 255)
    found = list(judge_room("disk", os.statvfs_result(values)))
    if space is None:
        is_right(found, "disk.space", "disk.inodes")
    else:
        assert space in (WARNING, FAILURE)
        assert number in (WARNING, FAILURE)
        is_wrong(found, "disk.space", space, "MiB free")
        is_wrong(found, "disk.inodes", number, "inodes free")


# -- the daemon and its machine


def a_process(folder: Path, limit: str) -> Path:
    folder.mkdir()
    (folder / "cmdline").write_bytes(b"/opt/nizam/bin/python\0/opt/nizam/bin/twistd\0-n\0nizam\0")
    (folder / "limits").write_text(f"Max open files            {limit}        524288     files\n")
    return folder


def test_what_a_daemon_is_granted_is_judged(tmp_path: Path) -> None:
    needed = process.files_needed(load(None, {}).settings)
    assert needed > 10_000
    poor = a_process(tmp_path / "12", "1024")
    assert process.is_daemon(poor)
    found = list(process.judge_daemons([poor], needed))
    is_wrong(found, "process.open-files", WARNING, "1024 files")
    rich = list(process.judge_daemons([a_process(tmp_path / "13", "unlimited")], needed))
    is_right(rich, "process.open-files")
    user = os.getuid()
    if user == 0:
        is_wrong(rich, "process.user", WARNING, "it runs as root")
        os.chown(tmp_path / "13", 12345, -1)
    is_right(process.judge_daemons([tmp_path / "13"], needed), "process.user")


def test_a_machine_is_judged(tmp_path: Path) -> None:
    (tmp_path / "sys/net/core").mkdir(parents=True)
    (tmp_path / "sys/net/core/somaxconn").write_text("128\n")
    (tmp_path / "meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 100000 kB\n")
    found = list(process.judge_machine(load(None, {}).settings, tmp_path))
    is_wrong(found, "process.backlog", WARNING, "128")
    is_wrong(found, "process.memory", WARNING, "2%")
    assert not process.is_daemon(tmp_path)
    (tmp_path / "sys/net/core/somaxconn").write_text("4096\n")
    (tmp_path / "meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n")
    found = list(process.judge_machine(load(None, {}).settings, tmp_path))
    is_right(found, "process.backlog", "process.memory")


@pytest.mark.parametrize(
    ("shown", "severity", "text"),
    [
        ({"LoadState": "not-found"}, None, ""),
        ({"LoadState": "loaded", "ActiveState": "active", "WatchdogUSec": "30s"}, None, ""),
        ({"LoadState": "loaded", "ActiveState": "failed"}, WARNING, "it is failed"),
        ({"LoadState": "loaded", "ActiveState": "active", "NRestarts": "9"}, WARNING, "9 times"),
        ({"LoadState": "loaded", "ActiveState": "active", "WatchdogUSec": "0"}, NOTE, "watchdog"),
    ],
)
def test_a_unit_is_judged(shown: dict[str, str], severity: object, text: str) -> None:
    found = [process.judge_unit(shown)]
    if severity is None:
        is_right(found, "process.unit")
    else:
        assert severity in (WARNING, NOTE)
        is_wrong(found, "process.unit", severity, text)


def test_time_zones_of_tenants_must_be_known() -> None:
    here = {"Europe/Berlin", "UTC"}
    is_right([process.judge_zones({"UTC": True}, here)], "process.time-zones")
    unknown = process.judge_zones({"Mars/Olympus": False}, here)
    is_wrong([unknown], "process.time-zones", FAILURE, "not known here: Mars/Olympus")
    strange = process.judge_zones({"UTC": False}, here)
    is_wrong([strange], "process.time-zones", FAILURE, "not known there: UTC")
    is_wrong([process.judge_zones({}, set())], "process.time-zones", FAILURE, "no time zone data")


def test_this_machine_is_looked_at(environment: dict[str, str]) -> None:
    found = found_with(environment, Area.PROCESS)
    is_right(found, "process.time-zones")
    assert {it.check for it in found} >= {"process.open-files", "process.memory", "process.unit"}


# -- names


def test_names_that_are_known_are_well() -> None:
    found = found_with(GONE | {"DB_HOST": "localhost"}, Area.NAMES)
    is_right(found, "names.known", "names.fast")


def test_names_that_are_not_are_told_of_with_what_names_them() -> None:
    given = {"REDIS_HOST": "redis.doctor.invalid", "APP_URL": "https://pbx.doctor.invalid"}
    found = found_with(GONE | given, Area.NAMES)
    is_wrong(found, "names.known", FAILURE, "redis.doctor.invalid: named by REDIS_HOST")
    is_wrong(found, "names.known", FAILURE, "pbx.doctor.invalid: named by APP_URL")
    is_wrong([names.judge_speed("db", 3.0)], "names.fast", WARNING, "3000 ms")


# -- all of them


def test_what_hangs_is_told_of_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def hang(host: str) -> list[object]:
        gate.wait(5)
        return []

    monkeypatch.setattr(names, "addresses_of", hang)
    context = Context(load(None, GONE | {"DB_HOST": "localhost"}))
    found = examine(context, [Area.NAMES], seconds=0.1)
    gate.set()
    is_wrong(found, "names.known", FAILURE, "localhost: not finished within 0.1 s")
