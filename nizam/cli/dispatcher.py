"""The switch nodes as a list for Kamailio's module dispatcher.

Each line is `SET DESTINATION FLAGS PRIORITY ATTRIBUTES` (modules/dispatcher/doc in Kamailio's
source). The addresses of all nodes that have calls stay in it: by them Kamailio tells what comes
from a switch from what comes from a phone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nizam.model.sip_address import host_and_port

if TYPE_CHECKING:
    from nizam.model.switch_node import SwitchNode

SET: Final = 1
IN_USE: Final = 0
DISABLED: Final = 4
"""It gets nothing new (DS_DISABLED_DST)."""
GREATEST: Final = 100
"""Kamailio takes relative weights from 1 to 100."""
_HEAD: Final = "# Made by `nizam node dispatcher`: changes are lost.\n"


def dispatcher_list(nodes: Iterable[SwitchNode]) -> tuple[str | None, list[str]]:
    """The list, None if it would have nobody to take a call; and what is left out of it, why."""
    wanted = sorted(
        (it for it in nodes if it.enabled and it.status != "out_of_service"), key=lambda it: it.name
    )
    problems = [f"{it.name} has no sip_address: left out" for it in wanted if not it.sip_address]
    there = [it for it in wanted if it.sip_address]
    greatest = max((it.weight for it in there if it.status == "in_service"), default=0)
    lines = [_line(it, greatest) for it in there]
    if not any(it.status == "in_service" for it in there):
        return None, problems
    return _HEAD + "".join(lines), problems


def _line(it: SwitchNode, greatest: int) -> str:
    host, port = host_and_port(it.sip_address or "")
    address = f"[{host}]" if ":" in host else host
    # A node of weight 0 gets calls only while no other is in service.
    takes = it.status == "in_service" and (it.weight > 0 or greatest == 0)
    share = max(1, round(GREATEST * it.weight / greatest)) if greatest else GREATEST
    flags = IN_USE if takes else DISABLED
    attributes = f"duid={it.name};rweight={share if takes else 1}"
    return f"{SET} sip:{address}:{port or 5060} {flags} 0 {attributes}\n"


def written_anew(file: Path, text: str) -> bool:
    """Put the text into the file at one blow; False if it was there already."""
    with suppress(FileNotFoundError):
        if file.read_text(encoding="utf-8") == text:
            return False
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            new.write(text)
            os.fchmod(new.fileno(), 0o644)
            new.flush()
            os.fsync(new.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True
