"""What the OpenAPI document says is so: a bounded run of schemathesis, the same each time.

`python -m tests.fuzz --minutes 30` runs it for longer.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fuzz.run import fuzz
from tests.fuzz.site import furnished

SECONDS = 300
"""When a run is given up; it takes a twentieth of that."""


@pytest.mark.time_limit(2 * SECONDS)
def test_every_operation_keeps_its_promises_alone_and_in_chains(
    database: str, redis_url: str, tmp_path: Path
) -> None:
    with furnished(database, redis_url, tmp_path) as site:
        alone = fuzz(site, tmp_path, SECONDS, "--phases=fuzzing", "--max-examples=1")
        chains = fuzz(site, tmp_path, SECONDS, "--phases=stateful", "--max-examples=12")
        logged = site.daemon.logged("error", "critical")
    assert alone.passed, alone.text
    assert chains.passed, chains.text
    assert logged == []
    selected = re.search(r"Selected: (\d+)/(\d+)", alone.text)
    tested = re.search(r"Tested: (\d+)", alone.text)
    assert selected is not None
    assert tested is not None
    # All but the two that schemathesis.toml names.
    assert int(selected[2]) - int(selected[1]) == 2
    assert selected[1] == tested[1]
    assert int(tested[1]) > 200
