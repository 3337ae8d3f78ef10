"""Where the commands find the server and the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nizam.cli.access import Access, access

DEV = {"http": "http://dev", "api_key": "of dev", "tenant_id": "t"}
ENVIRONMENT = {"NIZAM_URL": "http://env/", "NIZAM_API_KEY": "of env", "NIZAM_TENANT": "acme"}


def found(given: dict[str, str | None], dev: Path | None, **environment: str) -> Access:
    return access(given, dev, environment)


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    (tmp_path / "dev.json").write_text(json.dumps(DEV))
    return tmp_path


def test_each_is_taken_from_the_first_place_that_has_it(dev: Path) -> None:
    everywhere = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(dev)}
    given: dict[str, str | None] = {"url": "http://given", "api_key": "given", "tenant": "given"}
    assert found(given, dev, **everywhere) == Access(
        url="http://given", api_key="given", tenant="given"
    )
    assert found({}, dev, **everywhere) == Access(url="http://dev", api_key="of dev", tenant="t")
    assert found({}, None, **everywhere) == Access(
        url="http://env", api_key="of env", tenant="acme"
    )


def test_a_file_of_the_user_may_have_them(tmp_path: Path) -> None:
    file = tmp_path / "nizam" / "client.toml"
    file.parent.mkdir()
    file.write_text('url = "https://nizam.example.com"\napi_key = "of file"\n')
    own = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert found({}, None, **own) == Access(url="https://nizam.example.com", api_key="of file")
    assert found({}, None, NIZAM_API_KEY="of env", **own).api_key == "of env"
    for wrong in ('token = "x"\n', "url = 1\n", "url"):
        file.write_text(wrong)
        with pytest.raises(SystemExit) as ended:
            found({}, None, **own)
        assert ended.value.code == 2


def test_a_nizam_dev_with_its_usual_folder_is_found(
    dev: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.dev.folder.default_folder", lambda: dev)
    nowhere = {"XDG_CONFIG_HOME": str(dev / "none")}
    assert found({}, None, **nowhere).url == "http://dev"
    assert found({"url": "http://given"}, None, **nowhere) == Access(
        url="http://given", api_key=None
    )


def test_the_key_is_in_no_text() -> None:
    assert "secret" not in repr(Access(url="http://x", api_key="secret"))
