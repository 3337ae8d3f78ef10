"""What private servers of every kind have in common."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from nizam.embedded.process import LOOPBACK, ServerProcess


class PrivateServer(ABC):
    """A server whose whole state is in `folder`, with its log in the file `log`. Usable as a
    context manager."""

    def __init__(
        self,
        name: str,
        folder: Path,
        log: str,
        stop_signals: Sequence[tuple[signal.Signals, float]],
    ) -> None:
        self.host = LOOPBACK
        self.port = 0
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._process = ServerProcess(name, self._folder / log, stop_signals)
        self._password = ""
        self._version = ""

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None when it does not run."""
        return self._process.pid

    @property
    def password(self) -> str:
        """The password that it asks for, made at the first start."""
        return self._password

    @property
    def version(self) -> str:
        """The version of the server in use, such as `15.8`; empty before the start."""
        return self._version

    @abstractmethod
    def start(self) -> None:
        """Start the server and wait until it serves."""

    def stop(self) -> None:
        """Stop the server; its data stays."""
        self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
