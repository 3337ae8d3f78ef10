"""What the simulation knows of real legs is what the recording says."""

from __future__ import annotations

import json
from importlib.resources import files

from nizam.sim.learn import learn
from tests.recordings import stream


def test_recorded_json_is_what_is_learned_from_the_recording() -> None:
    learned = json.loads(json.dumps(learn(stream("calls/esl/events-json-all"))))
    kept = json.loads(files("nizam.sim").joinpath("recorded.json").read_text("utf-8"))
    assert learned == kept, "run: python -m nizam.sim.learn (its docstring says how)"
