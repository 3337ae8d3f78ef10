"""The firewall lets through what the documentation says, shown by packets, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.deploy.files import DEPLOY, REPOSITORY, tool
from tests.deploy.packets import ADMIN, ATTEMPTS, INSIDE, OUTSIDE
from tests.pages import commands

FILE = DEPLOY / "nftables/nizam.nft"
PUBLIC = {("tcp", it) for it in (443, 5060, 5061, 5080)} | {
    ("udp", it) for it in (5060, 5080, 16384, 24000, 32768)
}
PRIVATE = {("tcp", it) for it in (8021, 5432, 6379, 8080)}
SSH = ("tcp", 22)
EXPECTED = {OUTSIDE: PUBLIC, INSIDE: PUBLIC | PRIVATE | {SSH}, ADMIN: PUBLIC | {SSH}}
DEADLINE_SECONDS = 30


def namespaced(*command: str) -> subprocess.CompletedProcess[str]:
    """Run it in a network of its own, where it may do everything; skip where there can be none."""
    unshare = tool("unshare", "util-linux")
    able = subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False, timeout=10)
    if able.returncode != 0:
        pytest.skip("this machine lets nobody make a network namespace")
    return subprocess.run(
        [unshare, "-rn", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def test_the_commands_of_the_page_check_it_put_it_in_force_and_show_it() -> None:
    lines = [it for it in commands("security.md") if it.startswith("nft ")]
    assert len(lines) == 3
    # In force twice: it has to replace itself.
    twice = " && ".join([*lines[:2], *lines])
    nft = tool("nft", "nftables")
    done = namespaced("sh", "-c", re.sub(r"\bnft (?=-|list)", f"{nft} ", twice))
    assert (done.returncode, done.stderr) == (0, "")
    assert "policy drop" in done.stdout
    assert done.stdout.count("dport 443 accept") == 1


def test_packets_come_through_only_where_they_should() -> None:
    tool("ip", "iproute2")
    nft = tool("nft", "nftables")
    done = namespaced(sys.executable, "-m", "tests.deploy.packets", nft, str(FILE))
    assert done.returncode == 0, done.stderr
    came = {tuple(it) for it in json.loads(done.stdout)}
    expected = {
        (source, protocol, port)
        for source, protocol, port in ATTEMPTS
        if (protocol, port) in EXPECTED[source]
    }
    assert came == expected


def test_rtp_is_open_where_the_switch_uses_it() -> None:
    switch = (REPOSITORY / "etc/freeswitch/autoload_configs/switch.conf.xml").read_text()
    first, last = (
        re.findall(rf'name="rtp-{it}-port" value="(\d+)"', switch)[0] for it in ("start", "end")
    )
    assert f"udp dport {first}-{last} accept" in FILE.read_text()


def test_the_documentation_names_the_same_ports() -> None:
    text = (REPOSITORY / "docs/security.md").read_text()
    rows = re.findall(r"^\| (tcp|udp) \| ([^|]+) \| (\w+) \|", text, re.M)
    named = {who: set[tuple[str, str]]() for who in ("everybody", "internal", "administrators")}
    for protocol, ports, who in rows:
        named[who] |= {(protocol, it.strip()) for it in ports.split(",")}
    assert named["everybody"] == {
        *(("tcp", it) for it in ("443", "5060", "5061", "5080")),
        *(("udp", it) for it in ("5060", "5080", "16384-32768")),
    }
    assert named["internal"] == {(protocol, str(port)) for protocol, port in PRIVATE}
    assert named["administrators"] == {("tcp", "22")}
