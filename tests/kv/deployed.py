"""Servers with the files of deploy/redis, and TLS."""

from __future__ import annotations

import re
from pathlib import Path

from nizam.embedded.process import LOOPBACK
from tests.certificates import Authority
from tests.deploy.files import DEPLOY, tool

FILES = DEPLOY / "redis"
PASSWORDS = {it: f"pw-{it}" for it in ("nizam", "replica", "sentinel", "watcher", "operator")}


class Deployed:
    """The files, adapted to `folder` as an operator adapts them: places, passwords, one machine.

    Without `tls` they are as for a network that is trusted.
    """

    def __init__(self, folder: Path, *, tls: bool = True, names: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.tls = tls
        self.authority = Authority(folder / "tls")
        self.authority.issue(folder / "tls", *(names or (LOOPBACK,)))
        for path in FILES.iterdir():
            (folder / path.name).write_text(self._adapted(path.read_text()))

    @property
    def program(self) -> Path:
        """A server that can speak TLS. The test is skipped where there is none."""
        return Path(tool("redis-server-tls", "redis-server"))

    @property
    def authorities(self) -> Path:
        """The file of whom to trust."""
        return self.authority.file

    def included(self, name: str) -> str:
        """What has a server read this file before its own settings, as an operator's does."""
        return f"include {self.folder / name}\n"

    def sentinel(self, port: int) -> str:
        """The file of a Sentinel, which it will write, for a master on this port."""
        text = (self.folder / "sentinel.conf").read_text()
        return text.replace("redis-1.example.com 6379", f"{LOOPBACK} {port}")

    def _adapted(self, text: str) -> str:
        # Each server has these for itself.
        text = re.sub(r"(?m)^(port|tls-port|bind|dir) .*$", "", text)
        text = text.replace("/etc/redis/tls/", f"{self.folder}/tls/")
        text = text.replace("/etc/redis/", f"{self.folder}/")
        for name, password in PASSWORDS.items():
            text = text.replace(f"change-me-{name}", password)
        if not self.tls:
            text = re.sub(r"(?m)^(tls-.*|include .*tls\.conf)$", "", text)
        return text
