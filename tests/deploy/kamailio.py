"""Kamailio as a process with the configuration that deploy/ ships, and SIP nodes and phones around
it that do no more than they are told."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.deploy.files import DEPLOY, tool

FOLDER = DEPLOY / "kamailio"
PROXY = "127.0.0.10"
SIP_PORT = 25060
CARRIER_PORT = 25080
CRLF = "\r\n"


def modules() -> str:
    """Where the modules of Debian's packages lie."""
    program = Path(tool("kamailio", "kamailio"))
    for root in (program.parent.parent / "debian", Path("/")):
        for found in root.glob("usr/lib/*-linux-gnu/kamailio/modules"):
            if (found / "tls.so").exists() and (found / "websocket.so").exists():
                return str(found)
    pytest.skip("Kamailio's modules for TLS and WebSocket are not here")


def shipped(folder: Path, *defined: str, listed: str | None = None) -> Path:
    """A copy of what is shipped, for this machine; `defined` are the options that are turned on."""
    for it in FOLDER.iterdir():
        (folder / it.name).write_bytes(it.read_bytes())
    local = (folder / "local.cfg").read_text()
    for old, new in (
        ("10.0.0.4:5060", f"{PROXY}:{SIP_PORT}"),
        ("10.0.0.4:5061", f"{PROXY}:{SIP_PORT + 1}"),
        ("10.0.0.4:5080", f"{PROXY}:{CARRIER_PORT}"),
        ("CARRIER_PORT 5080", f"CARRIER_PORT {CARRIER_PORT}"),
        ("10.0.0.4:443", f"{PROXY}:{SIP_PORT + 2}"),
        ("/etc/kamailio", str(folder)),
        ("/run/kamailio", str(folder)),
        *((f"##!define {it}", f"#!define {it}") for it in defined),
    ):
        assert old in local, old
        local = local.replace(old, new)
    (folder / "local.cfg").write_text(local)
    if listed is not None:
        (folder / "dispatcher.list").write_text(listed)
    return folder / "kamailio.cfg"


def checked(config: Path) -> tuple[int, str]:
    """What `kamailio -c` says."""
    command = [tool("kamailio", "kamailio"), "-c", "-L", modules(), "-f", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def running(config: Path) -> Iterator[Callable[..., str]]:
    """Kamailio, while the block lasts; gives what asks it as kamcmd does."""
    folder = config.parent
    options = ("-DD", "-E", "-m", "32", "-M", "8", "-w", str(folder), "-Y", str(folder))
    command = [tool("kamailio", "kamailio"), *options, "-L", modules(), "-f", str(config)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    debian = Path(command[0]).parent.parent / "debian" / "usr" / "sbin" / "kamcmd"
    kamcmd = str(debian) if debian.exists() else "kamcmd"

    def ask(*arguments: str) -> str:
        words = [kamcmd, "-s", f"unix:{folder}/kamailio_ctl", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout + done.stderr

    try:
        until(lambda: "URI: sip:" in ask("dispatcher.list"), 20)
        yield ask
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(condition: Callable[[], object], seconds: float) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@attrs.frozen
class Message:
    """A SIP message, as far as tests look at it."""

    first: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, data: bytes) -> Message:
        """From a datagram."""
        first, *lines = data.decode().split(f"{CRLF}{CRLF}", 1)[0].split(CRLF)
        pairs = (line.partition(":") for line in lines)
        return cls(first, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))

    def all(self, name: str) -> list[str]:
        """The values of a header, one for each line."""
        return [value for key, value in self.headers if key == name.lower()]

    def get(self, name: str) -> str:
        """The only value of a header; empty without one."""
        return next(iter(self.all(name)), "")

    @property
    def method(self) -> str:
        """That of the request, or of the request that was answered."""
        return self.get("cseq").split()[-1]

    @property
    def status(self) -> int:
        """Of an answer; 0 of a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0

    def answer(self, status: int, *more: str) -> bytes:
        """The answer to this request, with further header lines."""
        copied = [
            f"{name}: {value}"
            for name, value in self.headers
            if name in {"via", "from", "call-id", "cseq", "record-route"}
        ]
        to = self.get("to")
        tag = "" if "tag=" in to or status == 100 else ";tag=answered"
        lines = [f"SIP/2.0 {status} Said", *copied, f"To: {to}{tag}", *more, "Content-Length: 0"]
        return f"{CRLF.join(lines)}{CRLF}{CRLF}".encode()


class Endpoint:
    """A SIP address over UDP; what comes in is kept, and answered as `says` says: a status for
    each method, None for no answer."""

    def __init__(self, address: str, port: int = SIP_PORT, **says: int | None) -> None:
        self.address, self.port = address, port
        self.says: dict[str, int | None] = {"OPTIONS": 200, "REGISTER": 200, "INVITE": 200, **says}
        self.heard: list[Message] = []
        self.contact = f"Contact: <sip:user@{address}:{port}>"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._socket.settimeout(0.1)
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be gone."""
        self._ended = True
        self._thread.join()
        self._socket.close()

    def requests(self, method: str) -> list[Message]:
        """What it was asked."""
        return [it for it in list(self.heard) if not it.status and it.method == method]

    def answers(self, method: str) -> list[int]:
        """What it was answered, but for 100."""
        found = [it for it in list(self.heard) if it.status > 100]
        return [it.status for it in found if it.method == method]

    def send(
        self, method: str, user: str, to: tuple[str, int], *more: str, uri: str | None = None
    ) -> None:
        """A new request of this user."""
        number = os.urandom(6).hex()
        lines = (
            f"{method} {uri or 'sip:acme.example.test'} SIP/2.0",
            f"Via: SIP/2.0/UDP 192.168.1.2:5060;branch=z9hG4bK{number};rport",
            f"From: <sip:{user}@acme.example.test>;tag={number}",
            f"To: <sip:{user}@acme.example.test>",
            f"Call-ID: {number}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:{user}@192.168.1.2:5060>",
            "Max-Forwards: 70",
            *more,
            "Content-Length: 0",
        )
        self._socket.sendto(f"{CRLF.join(lines)}{CRLF}{CRLF}".encode(), to)

    def _run(self) -> None:
        while not self._ended:
            try:
                data, sender = self._socket.recvfrom(65535)
            except TimeoutError:
                continue
            if not data.strip():
                continue
            message = Message.read(data)
            self.heard.append(message)
            status = self.says.get(message.method)
            if message.status or status is None or message.method == "ACK":
                continue
            if message.method == "INVITE":
                self._socket.sendto(message.answer(100), sender)
            self._socket.sendto(message.answer(status, self.contact), sender)


def destinations(said: str) -> dict[str, str]:
    """The address of each node to its state in `kamcmd dispatcher.list`: A when it is well, I
    when it is not, D when it gets nothing new."""
    return dict(re.findall(r"URI: sip:([0-9.]+):\d+\s+FLAGS: (\w)", said))
