"""Commands for an installation: exit codes that scripts can rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nizam import __version__
from tests.cli.conftest import nizam


def test_the_version_is_told() -> None:
    assert nizam("--version").output == f"nizam, version {__version__}\n"


def test_settings_that_are_right_are_shown_masked_with_0() -> None:
    done = nizam("check-config", environment={"DB_PASSWORD": "hush", "DB_HOST": "db"})
    assert done.exit_code == 0
    assert 'database.host = "db"  # the environment' in done.output
    assert "hush" not in done.output


def test_settings_that_are_wrong_are_named_with_1(tmp_path: Path) -> None:
    file = tmp_path / "nizam.toml"
    file.write_text("[http]\nport = 'x'\n")
    done = nizam("check-config", "--config", str(file), environment={"DB_PORT": "y"})
    assert done.exit_code == 1
    assert {line.split(":")[0] for line in done.output.splitlines()} == {"http.port", "DB_PORT"}


@pytest.mark.parametrize("arguments", [("nonsense",), ("check-config", "--nonsense"), ()])
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert nizam(*arguments).exit_code == 2
