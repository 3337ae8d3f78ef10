"""mod_json_cdr: one JSON record per leg, posted when it ends, kept in a file when refused.

Shapes as recorded with `encode-values=false`: app_log and callflow[].extension on the A-leg only,
callStats only with media, callflow newest first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import orjson

from nizam.sim import wire
from nizam.sim.channel import CallerProfile, Channel, Times
from nizam.sim.poster import NoAnswerError, Poster
from nizam.sim.recorded import statistics
from nizam.sim.truth import Truth

USER_AGENT = "freeswitch-json/1.0"
RETRIES = 2
DELAY_SECONDS = 1.0


def record(channel: Channel, *, encode_values: bool = False) -> bytes:
    """The CDR of an ended leg; with `encode_values` the variables are percent-encoded."""
    content: dict[str, Any] = {
        "core-uuid": channel.core.core_uuid,
        "switchname": channel.core.hostname,
        "channel_data": {
            "state": "CS_REPORTING",
            "direction": channel.profile.direction,
            "state_number": "11",
            "flags": "0=1;1=1;3=1;39=1;40=1;42=1;45=1;50=1;55=1;107=1;113=1;114=1;123=1;160=1",
            "caps": "1=1;2=1;3=1;4=1;5=1;6=1;8=1;9=1;10=1",
        },
    }
    if channel.has_media:
        content["callStats"] = {"audio": _call_statistics()}
    content["variables"] = {
        name: _variable(value, encode_values) for name, value in channel.variables.items()
    }
    if channel.app_log:
        content["app_log"] = {
            "applications": [
                {"app_name": name, "app_data": data, "app_stamp": str(stamp)}
                for name, data, stamp in channel.app_log
            ]
        }
    content["callflow"] = _callflow(channel)
    return orjson.dumps(content)


def _variable(value: wire.Value, encode: bool) -> str:
    text = value if isinstance(value, str) else "ARRAY::" + "|:".join(value)
    return wire.quote(text) if encode else text


def _call_statistics() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {"inbound": {}, "outbound": {}}
    for name, value in statistics():
        short = name.removeprefix("rtp_audio_")
        direction = "inbound" if short.startswith("in_") else "outbound"
        key = short.removeprefix("in_").removeprefix("out_")
        number = float(value)
        found[direction][key] = int(number) if number.is_integer() else number
    return found


def _callflow(channel: Channel) -> list[dict[str, Any]]:
    profiles = [*channel.earlier_profiles, (channel.profile, channel.times)]
    flow = []
    for index, (profile, times) in enumerate(profiles):
        entry: dict[str, Any] = {"dialplan": "XML", "profile_index": str(profile.index)}
        if index < len(channel.extensions):
            name, number, applications = channel.extensions[index]
            entry["extension"] = {
                "name": name,
                "number": number,
                "applications": [
                    {"app_name": application, "app_data": data}
                    for application, data in applications
                ],
            }
        entry["caller_profile"] = _profile(profile)
        if channel.other is not None and index == len(profiles) - 1:
            kind = channel.other_type
            entry["caller_profile"][kind] = {
                f"{kind}_caller_profiles": [_profile(channel.other.profile)]
            }
        entry["times"] = _times(times)
        flow.append(entry)
    return flow[::-1]


def _profile(profile: CallerProfile) -> dict[str, Any]:
    return {
        "username": profile.username,
        "dialplan": profile.dialplan,
        "caller_id_name": profile.caller_id_name,
        "ani": profile.ani,
        "aniii": "",
        "caller_id_number": profile.caller_id_number,
        "network_addr": profile.network_addr,
        "rdnis": profile.rdnis,
        "destination_number": profile.destination,
        "uuid": profile.uuid,
        "source": profile.source,
        "context": profile.context,
        "chan_name": profile.channel_name,
    }


def _times(times: Times) -> dict[str, str]:
    return {
        "created_time": str(times.created),
        "profile_created_time": str(times.profile_created),
        "progress_time": str(times.progress),
        "progress_media_time": str(times.progress_media),
        "answered_time": str(times.answered),
        "bridged_time": str(times.bridged),
        "last_hold_time": str(times.last_hold),
        "hold_accum_time": str(times.hold_accumulated),
        "hangup_time": str(times.hangup),
        "resurrect_time": "0",
        "transfer_time": str(times.transfer),
    }


@attrs.frozen
class CdrPoster:
    """Posts records to `url`, each on a connection of its own, and spools what is refused.

    `error_folder` is json_cdr.conf's err-log-dir; without it refused records are only counted.
    """

    poster: Poster
    url: str
    truth: Truth
    error_folder: Path | None = None

    async def post(self, channel_id: str, body: bytes) -> None:
        """Posts one record; never raises."""
        try:
            reply = await self.poster.post(
                f"{self.url}?uuid={channel_id}",
                body,
                user_agent=USER_AGENT,
                content_type="application/json",
                retries=RETRIES,
                delay=DELAY_SECONDS,
            )
            accepted = reply.status == 200
        except NoAnswerError:
            accepted = False
        if accepted:
            self.truth.posted.append(channel_id)
            return
        self.truth.spooled.append(channel_id)
        if self.error_folder is not None:
            self.error_folder.mkdir(parents=True, exist_ok=True)
            self.error_folder.joinpath(f"{channel_id}.cdr.json").write_bytes(body)
