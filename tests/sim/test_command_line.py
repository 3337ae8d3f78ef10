"""`python -m nizam.sim` runs a switch by itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from click.testing import CliRunner
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from nizam.sim.__main__ import main
from tests.sim.answering import PASSWORD, USERNAME, AnsweringServer
from tests.sim.conftest import ACME, USERS


def test_help_names_every_option() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for option in ("--esl-port", "--xml-url", "--cdr-url", "--user", "--cps", "--seed", "--truth"):
        assert option in result.output


def test_a_user_without_a_domain_is_refused() -> None:
    result = CliRunner().invoke(main, ["--user", "1001"])
    assert result.exit_code == 2
    assert "is not NUMBER@DOMAIN" in result.output


async def test_it_places_calls_for_a_while_and_writes_down_the_truth(
    answers: AnsweringServer, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.jsonl"
    words = ["-m", "nizam.sim", "--esl-port", "0", "--pace", "0.02", "--seconds", "1"]
    words += ["--cps", "10", "--xml-url", f"{answers.url}/xml", "--cdr-url", f"{answers.url}/cdr"]
    words += ["--xml-user", f"{USERNAME}:{PASSWORD}", "--truth", str(truth)]
    for user in USERS:
        words += ["--user", f"{user.number}@{ACME}:{user.password}"]
    root = str(Path(__file__).parents[2])
    out, err, code = await getProcessOutputAndValue(  # type: ignore[no-untyped-call]
        sys.executable, words, env={"PYTHONPATH": root}, path=root, reactor=reactor
    )
    assert code == 0, err.decode()
    calls = [json.loads(line) for line in truth.read_text().splitlines()]
    assert f"{len(calls)} calls placed, {len(calls)} ended" in out.decode()
    assert calls
    assert {leg["uuid"] for call in calls for leg in call["legs"]} == {
        asked.path.partition("uuid=")[2] for asked in answers.cdrs()
    }
