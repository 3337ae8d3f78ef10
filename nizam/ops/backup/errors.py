"""What can go wrong with a backup, told in words of which each says what to do."""

from __future__ import annotations

from nizam.errors import NizamError


class BackupError(NizamError):
    """The backup cannot be made, read or restored."""

    code = "backup"
    title = "The backup failed"


class PeerUnreachable(BackupError):
    """A server that is needed does not answer, or went away."""

    title = "A server cannot be reached"


class Damaged(BackupError):
    """A backup, or a file of it, is not what was written."""

    title = "The backup is damaged"
