"""A backup is good when it can be restored, and not before."""

from __future__ import annotations

import json

import pytest

from nizam.ops.backup import verification
from nizam.ops.backup.make import Wanted
from nizam.ops.backup.verify import Verified, verify_backup
from nizam.settings import SecretKey
from tests.cli.conftest import nizam
from tests.ops.backup.conftest import Installation, quiet


def problems(verified: Verified) -> dict[str, tuple[str, ...]]:
    return {it.name.split()[0]: it.problems for it in verified.checks if it.problems}


@pytest.mark.time_limit(60)
def test_a_good_one_is_restored_compared_and_decrypted(installation: Installation) -> None:
    made = installation.backup()
    wrong_key = installation.environment | {"NIZAM_SECRET_KEYS": f"k2:{'A' * 43}="}
    done = nizam("backup", "verify", "--json", environment=wrong_key)
    document = json.loads(done.stdout)
    found = {it["name"].split()[0]: it["problems"] for it in document["checks"]}
    wrong = found.pop("secrets")
    assert found == {
        it: []
        for it in ("checksums", "media", "freeswitch", "redis", "postgresql", "migrations", "audit")
    }
    assert (done.exit_code, document["good"]) == (1, False)
    noted = verification.last(made.path)
    assert noted is not None
    assert (noted.good, noted.problem) == (False, f"secrets: {wrong[0]}")
    assert wrong == [
        f"{place}: a stored secret needs the key 'k1', which is not configured"
        for place in ("extensions", "former configurations")
    ]


def test_a_changed_byte_is_found_in_each_file_without_a_database(
    installation: Installation,
) -> None:
    made = installation.backup(Wanted(redis=False))
    keys: tuple[SecretKey, ...] = installation.settings.secret_keys
    for path in (*made.path.glob("*.*"), made.path / "media/t1/greeting.wav"):
        if path.name == "manifest.json":
            continue
        content = path.read_bytes()
        place = len(content) // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        # What else there is would be restored, which takes its time: the dump must be damaged too.
        dump = made.path / made.manifest.database.file
        whole = dump.read_bytes()
        dump.write_bytes(whole[:-1])
        found = problems(verify_backup(made.path, keys, quiet))
        dump.write_bytes(whole)
        assert any(path.name in it for it in sum(found.values(), ())), (path, found)
        path.write_bytes(content)


def test_a_machine_that_has_nothing_to_restore_into_says_nothing_of_the_backup(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = installation.backup(Wanted(media=False, freeswitch=False))
    monkeypatch.setattr("nizam.embedded.binaries._redis_programs", lambda machine: iter(()))
    done = nizam("backup", "verify", environment=installation.environment)
    assert done.exit_code == 3
    assert "there is nothing here to restore it into: no Redis or Valkey" in done.output
    assert verification.last(made.path) is None
