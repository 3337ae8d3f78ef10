"""Two machines made of network namespaces: one behind a firewall, one that tries to reach it.

`unshare -rn python -m tests.deploy.packets NFT FILE` prints, as JSON, which of ATTEMPTS, each a
source, a protocol and a port, came through. The first process is the machine behind the firewall;
it starts the second in a namespace of its own.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

INSIDE, ADMIN, OUTSIDE = "10.0.0.2", "192.168.0.2", "203.0.113.2"
_MACHINES = {INSIDE: "10.0.0.1", ADMIN: "192.168.0.1", OUTSIDE: "203.0.113.1"}
_WAIT_SECONDS = 0.8
_LINK_SECONDS = 10.0
TCP = (22, 80, 443, 5060, 5061, 5080, 5432, 6379, 8021, 8080, 9090)
UDP = (53, 5060, 5080, 16383, 16384, 24000, 32768, 32769)
ATTEMPTS = [
    (source, protocol, port)
    for source in _MACHINES
    for protocol, ports in (("tcp", TCP), ("udp", UDP))
    for port in ports
]


def _behind(nft: str, file: str) -> None:
    other = subprocess.Popen(
        ["unshare", "-n", sys.executable, "-m", __spec__.name if __spec__ else __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "here\n"
    _run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
    _run("ip", "link", "set", "far", "netns", str(other.pid))
    for address in _MACHINES.values():
        _run("ip", "address", "add", f"{address}/24", "dev", "near")
    _run("ip", "link", "set", "near", "up")
    _run("ip", "link", "set", "lo", "up")
    listening = [socket.create_server(("0.0.0.0", it), backlog=16) for it in TCP]
    for port in UDP:
        listening.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        listening[-1].bind(("0.0.0.0", port))
    _run(nft, "-f", file)
    answers, _ = other.communicate("go\n", timeout=20)
    # Whether a datagram has come its receiver knows alone.
    came = {tuple(it) for it in json.loads(answers)}
    for it in listening[len(TCP) :]:
        it.setblocking(False)
        while True:
            try:
                _, (source, _) = it.recvfrom(100)
            except BlockingIOError:
                break
            came.add((source, "udp", it.getsockname()[1]))
    sys.stdout.write(json.dumps(sorted(came)))


def _other() -> None:
    sys.stdout.write("here\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for address in _MACHINES:
        _run("ip", "address", "add", f"{address}/24", "dev", "far")
    _run("ip", "link", "set", "far", "up")
    # A link that was just made carries nothing yet; one port is open to everybody.
    until = time.monotonic() + _LINK_SECONDS
    while not all(_try((it, "tcp", 443)) for it in _MACHINES) and time.monotonic() < until:
        pass
    with ThreadPoolExecutor(len(ATTEMPTS)) as threads:
        came = list(threads.map(_try, ATTEMPTS))
    sys.stdout.write(json.dumps([it for it, good in zip(ATTEMPTS, came, strict=True) if good]))


def _try(attempt: tuple[str, str, int]) -> bool:
    source, protocol, port = attempt
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as it:
        it.bind((source, 0))
        it.settimeout(_WAIT_SECONDS)
        try:
            it.connect((_MACHINES[source], port))
        except OSError:
            return False
        if protocol == "udp":
            it.send(b"?")
            return False
        return True


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=10, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _behind(*sys.argv[1:])
    else:
        _other()
