"""Which account a server runs as, and the command prefix that gets it there.

PostgreSQL refuses to run as root. A folder below one that only root may open (a root home, a
`mktemp -d`) stays usable: the server keeps the one capability that lets it pass through.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

import attrs

from nizam.embedded.process import EmbeddedServerError

_UNPRIVILEGED = ("postgres", "nobody")
_SEARCH_CAPABILITY = "dac_read_search"


@attrs.frozen
class Account:
    """The user and group ids that a server runs with."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give `path` to this account; only root can, and only root needs to."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def account_for(folder: Path) -> Account:
    """The account for servers whose data is in `folder`: our own, or an unprivileged one for root.

    A folder that an unprivileged account owns already keeps that owner.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in _UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user.pw_uid, user.pw_gid)
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and none of the users {', '.join(_UNPRIVILEGED)} exists"
    )


def command_prefix(account: Account, paths: Iterable[Path], *, end_signal: str) -> list[str]:
    """What to put before a command so that it runs as `account` and ends when we end.

    `paths` must be reachable; `end_signal` (INT, TERM) is sent by the kernel when our process
    dies, so that not even SIGKILL leaves a server behind. Uses setpriv(1) of util-linux.
    """
    setpriv = shutil.which("setpriv", path=f"{os.environ.get('PATH', '')}:/usr/bin:/bin")
    if setpriv is None:
        if os.geteuid() == 0:
            raise EmbeddedServerError("setpriv (package util-linux) is needed to start as root")
        return []
    prefix = [setpriv, "--pdeathsig", end_signal]
    if os.geteuid() == 0:
        prefix += [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        kept = f"-all,+{_SEARCH_CAPABILITY}" if _any_closed(paths, account) else "-all"
        prefix += [f"--inh-caps={kept}", f"--ambient-caps={kept}"]
    return prefix


def _any_closed(paths: Iterable[Path], account: Account) -> bool:
    folders = {parent for path in paths for parent in path.resolve().parents}
    return any(not _may_search(folder.stat(), account) for folder in folders)


def _may_search(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def account_name(account: Account) -> str:
    """`user:group` for messages; numbers where there are no names."""
    try:
        user = pwd.getpwuid(account.uid).pw_name
    except KeyError:
        user = str(account.uid)
    try:
        group = grp.getgrgid(account.gid).gr_name
    except KeyError:
        group = str(account.gid)
    return f"{user}:{group}"
