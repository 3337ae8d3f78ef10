"""A public client that knows nothing of us works with the simulated switch.

greenswitch runs on gevent, so it has a process of its own.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from nizam.sim.switch import SimulatedSwitch

CLIENT = """
import json, sys
from gevent import monkey; monkey.patch_all()
import gevent
from gevent.event import Event
from greenswitch import InboundESL

said, got, bridged, job = {}, [], Event(), Event()
esl = InboundESL(host="127.0.0.1", port=int(sys.argv[1]), password="ClueCon")
esl.connect()
said["auth"] = esl.connected
said["status"] = esl.send("api status").data
said["version"] = esl.send("api version short").data

def seen(event):
    got.append(event.headers["Event-Name"])
    if event.headers["Event-Name"] == "CHANNEL_HANGUP_COMPLETE":
        said["variables"] = event.headers["variable_hangup_cause"]
        bridged.set()

def done(event):
    said["job"] = event.headers["Job-Command-Arg"]
    job.set()

for name in ("CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_HANGUP_COMPLETE"):
    esl.register_handle(name, seen)
esl.register_handle("BACKGROUND_JOB", done)
said["subscribed"] = esl.send("events plain ALL").headers["Reply-Text"]
said["bgapi"] = esl.send("bgapi echo from the background").headers["Reply-Text"][:13]
job.wait(10)
print("ready", flush=True)
bridged.wait(20)
said["events"] = got
print(json.dumps(said), flush=True)
esl.stop()
"""


async def test_greenswitch_authenticates_commands_and_receives_a_calls_events(
    switch: SimulatedSwitch,
) -> None:
    running = getProcessOutputAndValue(  # type: ignore[no-untyped-call]
        sys.executable, ["-c", CLIENT, str(switch.esl_port)], env=None, reactor=reactor
    )
    while not any(c.subscription.listening for c in switch.connections):
        await switch.place_call("unallocated")
    await switch.place_call("answered")
    out, err, code = await running
    assert code == 0, err.decode()
    said: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    assert said["auth"] is True
    assert "is ready" in said["status"]
    assert said["version"].strip() == "1.11.1-release"
    assert said["subscribed"] == "+OK event listener enabled plain"
    assert said["bgapi"] == "+OK Job-UUID:"
    assert said["job"] == "from the background"
    assert said["variables"] in ("NORMAL_CLEARING", "NO_ROUTE_DESTINATION")
    assert "CHANNEL_CREATE" in said["events"]
