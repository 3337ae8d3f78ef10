"""`nizam did`: DIDs come from files, and go into files, beside all else."""

from __future__ import annotations

from nizam.cli.resources import group
from nizam.cli.tables import add_export, add_import

did = group("did")
add_import(did, "dids", "DIDs")
add_export(did, "dids", "Write DIDs to a file from which they can be imported.")
