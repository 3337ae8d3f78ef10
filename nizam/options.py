"""The command line of `twistd nizam`: reads the settings, before any reactor is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import ClassVar

from twisted.logger import ILogObserver
from twisted.python.usage import Options as UsageOptions

from nizam.ops.logs import observer
from nizam.settings import Loaded, SettingsError, load
from nizam.settings.render import render_effective

CONDITION_DOES_NOT_HOLD = 1


class Options(UsageOptions):
    """`loaded` holds the settings once the options are parsed.

    Settings that are wrong end the process with exit status 1 and one line for each of them.
    """

    synopsis = "[options]"
    longdesc = (
        "Settings come from the file given with --config, the environment and credential files; "
        "etc/nizam.toml lists them all."
    )
    optParameters: ClassVar[list[list[str | None]]] = [  # noqa: N815 - Twisted's name
        ["config", "c", None, "A TOML file with settings (default: NIZAM_CONFIG, else none)."],
        [
            "roles",
            "r",
            None,
            "What this process does, with commas between; wins over the settings.",
        ],
    ]
    optFlags: ClassVar[list[list[str | None]]] = [  # noqa: N815 - Twisted's name
        ["check-config", None, "Check the settings, show the effective ones, and end."],
    ]

    loaded: Loaded

    def postOptions(self) -> None:  # noqa: N802 - Twisted's name
        """Read the settings; with --check-config show them and end here."""
        config = self["config"] or os.environ.get("NIZAM_CONFIG")
        options = {"NIZAM_ROLES": self["roles"]} if self["roles"] is not None else {}
        try:
            self.loaded = load(Path(config) if config else None, os.environ, options)
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(CONDITION_DOES_NOT_HOLD) from None
        if self["check-config"]:
            sys.stdout.write(render_effective(self.loaded))
            raise SystemExit(0)
        self._log_to_stderr()

    def _log_to_stderr(self) -> None:
        """Make JSON lines on stderr what twistd logs to, unless it was told something else."""
        twistd = self.parent
        if twistd is None or any(twistd.get(name) for name in ("logger", "logfile", "syslog")):
            return
        # twistd takes only the name of a function without arguments.
        json_lines.level = self.loaded.settings.log_level
        twistd["logger"] = f"{__name__}.json_lines"


class _JsonLines:
    level = "info"

    def __call__(self) -> ILogObserver:
        return observer(sys.stderr, self.level)


json_lines = _JsonLines()
