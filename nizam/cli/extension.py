"""`nizam extension`: extensions come from files, and go into files, beside all else."""

from __future__ import annotations

from nizam.cli.resources import group
from nizam.cli.tables import add_export, add_import

extension = group("extension")
add_import(extension, "extensions", "extensions")
add_export(extension, "extensions", "Write extensions to a file from which they can be imported.")
