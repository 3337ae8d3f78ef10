"""What becomes of each command on a page: which test runs it as it stands there, or why none can.

A command for which there is nothing here fails `tests/test_page_commands.py`.
"""

from __future__ import annotations

import re

import attrs

from tests.pages import PAGES, REPOSITORY, commands_of, parts, words


@attrs.frozen
class RunBy:
    """Commands of a page that begin so are run by this test, which reads the page.

    Such a test may be a rehearsal; the page names it then.
    """

    page: str
    test: str
    starts: str = ""


@attrs.frozen
class NotHere:
    """Why commands with this program cannot be run by a test."""

    program: str
    why: str


TOUR = "tests/daemon/test_page_commands.py"
"""Runs every `nizam` and `curl` that no other test runs, against one daemon."""

MACHINE = "tests/deploy/test_page_commands.py"
"""Runs what puts files in their places, in a folder that stands for the machine."""

RUN_BY = (
    RunBy("README.md", "tests/dev/test_walk_through.py", "DEV="),
    RunBy("README.md", "tests/dev/test_walk_through.py", "field()"),
    RunBy("README.md", "tests/dev/test_walk_through.py", "HTTP="),
    RunBy("README.md", "tests/dev/test_walk_through.py", "curl "),
    RunBy("docs/api.md", "tests/dev/test_walk_through.py"),
    RunBy("docs/audit.md", "tests/dev/test_walk_through.py"),
    RunBy("docs/authentication.md", "tests/dev/test_walk_through.py"),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "install -m 755 deploy/post"),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "install -d "),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "install -m 644 deploy/post"),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "sudo -u postgres pg_"),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "mv "),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "tar "),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "cp "),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "cat "),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "touch "),
    RunBy("docs/backup.md", "tests/deploy/test_point_in_time.py", "chown "),
    RunBy("docs/backup.md", "tests/ops/backup/test_page.py", "nizam "),
    RunBy("docs/backup.md", "tests/ops/backup/test_page.py", "DB_DATABASE=nizam_look nizam "),
    RunBy("docs/backup.md", "tests/ops/backup/test_page.py", "createdb "),
    RunBy("docs/calendars.md", "tests/cli/test_calendar.py"),
    RunBy("docs/cli.md", "tests/cli/test_docs.py"),
    RunBy("docs/documents.md", "tests/cli/test_documents_page.py"),
    RunBy("docs/import-export.md", "tests/cli/test_tables.py"),
    RunBy("docs/media.md", "tests/cli/test_sounds.py", "nizam "),
    RunBy("docs/monitoring.md", "tests/deploy/test_prometheus.py", "promtool "),
    RunBy("docs/monitoring.md", "tests/deploy/test_watched.py", "curl "),
    RunBy("docs/operating.md", "tests/cli/test_tenant_end.py", "jq "),
    RunBy("docs/postgresql.md", "tests/store/test_postgresql_page.py", "pg_basebackup "),
    RunBy("docs/security.md", "tests/deploy/test_firewall.py", "nft "),
    RunBy("docs/security.md", "tests/deploy/test_stunnel.py", "openssl "),
    RunBy("docs/tenants.md", "tests/cli/test_tenants_page.py"),
    *(RunBy("", MACHINE, it) for it in ("install ", "nginx ", "haproxy ", "kamailio ")),
    *(
        RunBy("", MACHINE, it)
        for it in ("cat ", "cp ", "openssl ", "echo ", "cd ", "secrets/", "ln ")
    ),
    *(RunBy("", TOUR, it) for it in ("nizam ", "/opt/nizam/bin/nizam ", "curl ", "export ")),
    *(RunBy("", TOUR, it) for it in ("journalctl ", "NIZAM_SECRET_KEYS=", "NIZAM_CONFIG=")),
)
"""The first that fits counts. Those without a page run their commands on every page."""

NOT_HERE = (
    NotHere("docker", "there is no Docker where the tests run"),
    NotHere("kubectl", "there is no cluster"),
    NotHere("nc", "asks whether another machine can be reached"),
    NotHere("pip", "makes an environment: script/environment and script/check-dockerfile do it so"),
    NotHere("python", "takes minutes"),
    NotHere("python3", "makes the environment for pip"),
    NotHere("script/audit", "asks PyPI"),
    NotHere("script/rehearse", "takes minutes"),
    NotHere("script/server", "goes on until it is stopped: tests/dev runs what it starts"),
    NotHere("script/test", "runs the tests"),
    NotHere("systemctl", "asks the machine's systemd"),
    NotHere("systemd-sysusers", "makes users of the machine"),
)


@attrs.frozen
class Part:
    """A part of a command, where it stands."""

    page: str
    line: int
    text: str

    @property
    def program(self) -> str:
        """What it runs, without its folder if that is where the page has it installed."""
        found = (it for it in words(self.text) if not _SETTING.match(it))
        return re.sub(r"^/opt/nizam[\d.-]*/bin/", "", next(found, ""))

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


_SETTING = re.compile(r"[A-Z_]+=")


def every_part() -> list[Part]:
    """All parts of all commands of all pages, in their order."""
    return [
        Part(command.page, command.line, text)
        for page in PAGES
        for command in commands_of(page)
        for text in parts(command.text)
    ]


def run_by(part: Part) -> RunBy | None:
    """The test that runs it."""
    for it in RUN_BY:
        if it.page in ("", part.page) and part.text.startswith(it.starts):
            return it
    return None


def not_here(part: Part) -> NotHere | None:
    """Why no test does."""
    return next((it for it in NOT_HERE if it.program == part.program), None)


def parts_run_by(test: str) -> list[Part]:
    """What one test has to run."""
    found = [(it, run_by(it)) for it in every_part()]
    return [part for part, how in found if how is not None and how.test == test]


def is_there(path: str) -> bool:
    """Whether a file or folder of the checkout is there."""
    return (REPOSITORY / path).exists()
