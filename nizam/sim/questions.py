"""FreeSWITCH's questions through mod_xml_curl, field by field as recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from nizam.sim import wire
from nizam.sim.answers import (
    AnswerError,
    DirectoryUser,
    Extension,
    GatewayAnswer,
    Menu,
    conference_controls,
    conference_profile,
    dialplan_extension,
    digest_a1,
    directory_user,
    group_members,
    ivr_menus,
    parses_domains,
    sofia_gateways,
    sofia_profiles,
)
from nizam.sim.channel import Channel, profile_headers
from nizam.sim.core import Core
from nizam.sim.poster import NoAnswerError, Poster

Found = TypeVar("Found")

USER_AGENT = "freeswitch-xml/1.0"
FORM = "application/x-www-form-urlencoded"

_SIP_AUTH = ("sofia_reg.c", "sofia_reg_parse_auth", "3124")
_MESSAGE_COUNT = ("mod_voicemail.c", "resolve_id", "1363")
_USER_CALL = ("mod_dptools.c", "user_outgoing_channel", "4368")
_VOICEMAIL = ("mod_voicemail.c", "voicemail_leave_main", "3418")
_DIALPLAN = ("mod_dialplan_xml.c", "dialplan_xml_locate", "619")
_IVR = ("mod_dptools.c", "ivr_application_function", "2166")
_SOFIA = ("sofia.c", "config_sofia", "4486")
_PROFILE = ("sofia.c", "launch_sofia_worker_thread", "3046")
_GATEWAYS = ("sofia.c", "launch_sofia_worker_thread", "3064")
_CONFERENCE = ("mod_conference.c", "conference_function", "2031")
_CONTROLS = ("conference_member.c", "conference_member_bind_controls", "74")
_GROUP = ("mod_commands.c", "group_call_function", "1036")
_PHRASE = ("switch_ivr_play_say.c", "switch_ivr_phrase_macro_event", "244")


@attrs.frozen
class SipRequest:
    """What a phone's REGISTER or INVITE with credentials contributes to the directory lookup."""

    method: str
    user: str
    domain: str
    password: str
    host: str
    port: int
    to_user: str
    call_id: str
    agent: str
    profile: str = "internal"


@attrs.define
class Counters:
    """How many questions were asked, by kind, and how many had no usable answer."""

    asked: dict[str, int] = attrs.field(factory=dict)
    failed: dict[str, int] = attrs.field(factory=dict)

    def count(self, kind: str) -> None:
        """One more question of `kind`."""
        self.asked[kind] = self.asked.get(kind, 0) + 1


class Questions:
    """Asks `url`; users that were answered as cacheable are not asked for again."""

    def __init__(
        self, core: Core, poster: Poster, url: str, problem: Callable[[str], None]
    ) -> None:
        self._core = core
        self._poster = poster
        self._url = url
        self._problem = problem
        self._cache: dict[tuple[str, str], tuple[DirectoryUser, float | None]] = {}
        self.counters = Counters()

    def flush(self, user: str | None = None, domain: str | None = None) -> int:
        """Forgets one cached user or all, as xml_flush_cache; returns how many were forgotten."""
        keys = [
            key
            for key in self._cache
            if (user is None or key[0] == user) and (domain is None or key[1] == domain)
        ]
        for key in keys:
            del self._cache[key]
        return len(keys)

    async def authenticate(self, request: SipRequest) -> DirectoryUser | None:
        """The user whose credentials a REGISTER or INVITE bore; None when there is no such."""
        nonce, cnonce = self._core.new_uuid(), "6b8b4567"
        uri = "sip:127.0.0.1:5060"
        response = _digest_response(request, nonce, cnonce, uri)
        fields: dict[str, str] = {
            "action": "sip_auth",
            "sip_profile": request.profile,
            "sip_user_agent": request.agent,
            "sip_auth_username": request.user,
            "sip_auth_realm": request.domain,
            "sip_auth_nonce": nonce,
            "sip_auth_uri": uri,
            "sip_contact_user": request.user,
            "sip_contact_host": request.host,
            "sip_to_user": request.to_user,
            "sip_to_host": request.domain,
            "sip_via_protocol": "udp",
            "sip_from_user": request.user,
            "sip_from_host": request.domain,
            "sip_call_id": request.call_id,
        }
        if request.method == "INVITE":
            fields["sip_request_user"] = request.to_user
        fields |= {
            "sip_request_host": request.domain,
            "sip_auth_qop": "auth",
            "sip_auth_cnonce": cnonce,
            "sip_auth_nc": "00000001",
            "sip_auth_response": response,
            "sip_auth_method": request.method,
            "client_port": str(request.port),
        }
        return await self._user(
            "sip_auth", _SIP_AUTH, fields, request.user, request.domain, ip=request.host
        )

    async def message_count(self, user: str, domain: str) -> DirectoryUser | None:
        """The user whose waiting messages are counted after a REGISTER."""
        fields = {"action": "message-count"}
        return await self._user("message-count", _MESSAGE_COUNT, fields, user, domain)

    async def user_call(
        self, user: str, domain: str, variables: Mapping[str, wire.Value]
    ) -> DirectoryUser | None:
        """The user to be dialled, with its dial-string; `variables` are the originate's."""
        fields: dict[str, wire.Value] = {"as_channel": "true", "action": "user_call", **variables}
        return await self._user("user_call", _USER_CALL, fields, user, domain)

    async def voicemail_lookup(self, user: str, domain: str) -> DirectoryUser | None:
        """The user whose mailbox is to be used."""
        fields = {"action": "voicemail-lookup"}
        return await self._user(
            "voicemail-lookup", _VOICEMAIL, fields, user, domain, ip="127.0.0.1"
        )

    async def dialplan(self, channel: Channel) -> Extension | None:
        """What the channel is to do, hunting in its profile's context; None is a 404."""
        headers = self._base("REQUEST_PARAMS", _DIALPLAN)
        headers += channel.headers()
        headers += profile_headers("Hunt", channel.profile, channel.times)
        values = {name: value for name, value in headers if isinstance(value, str)}
        body = await self._ask("dialplan", _locate("dialplan"), headers)

        def field(name: str) -> str:
            known = {
                "destination_number": channel.profile.destination,
                "context": channel.profile.context,
                "caller_id_number": channel.profile.caller_id_number,
            }
            if name.startswith("${"):
                return channel.get(name[2:-1]) or ""
            return known.get(name) or values.get(name, "")

        return self._read(
            "dialplan", body, lambda data: dialplan_extension(data, channel.profile.context, field)
        )

    async def ivr_menus(self, channel: Channel, name: str) -> dict[str, Menu]:
        """The menus of the ivr.conf answered for `Menu-Name` `name`."""
        headers = self._base("REQUEST_PARAMS", _IVR)
        headers += [("Menu-Name", name), *channel.headers()]
        body = await self._ask("ivr.conf", _configuration("ivr.conf"), headers)
        return self._read("ivr.conf", body, ivr_menus) or {}

    async def conference(self, channel: Channel, name: str, profile: str) -> dict[str, str] | None:
        """The parameters of the profile that a caller of conference `name` is asked for."""
        headers = self._base("COMMAND", _CONFERENCE)
        headers += channel.headers()
        headers += [
            ("conference_name", name),
            ("profile_name", profile),
            ("Fetch-Call-UUID", channel.uuid),
        ]
        body = await self._ask("conference.conf", _configuration("conference.conf"), headers)
        return self._read("conference.conf", body, lambda data: conference_profile(data, profile))

    async def conference_controls(
        self, channel: Channel, name: str, profile: str, controls: str
    ) -> dict[str, str]:
        """What the keys do in a conference: the group `controls`, as actions by digits."""
        headers = self._base("REQUEST_PARAMS", _CONTROLS)
        headers += channel.headers()
        headers += [
            ("Conf-Name", name),
            ("Conf-Profile", profile),
            ("Action", "request-controls"),
            ("Controls", controls),
            ("Fetch-Call-UUID", channel.uuid),
        ]
        body = await self._ask("conference.conf", _configuration("conference.conf"), headers)
        found = self._read(
            "conference.conf", body, lambda data: conference_controls(data, controls)
        )
        return found or {}

    async def group_call(self, group: str, domain: str) -> list[tuple[str, str]]:
        """The members of a group of the directory, each with its dial-string."""
        headers = self._base("REQUEST_PARAMS", _GROUP)
        headers += [
            ("group", group),
            ("action", "group_call"),
            ("group_name", group),
            ("domain", domain),
        ]
        body = await self._ask("group_call", _directory(domain), headers)
        return self._read("group_call", body, lambda data: group_members(data, domain, group)) or []

    async def phrase(self, macro: str) -> None:
        """Asks for a phrase macro; without one the switch's own language files are used."""
        headers = self._base("REQUEST_PARAMS", _PHRASE)
        headers += [("lang", "en"), ("macro_name", macro)]
        await self._ask("languages", _locate("languages"), headers)

    async def profiles(self) -> tuple[str, ...]:
        """The SIP profiles that sofia.conf names at start."""
        headers = self._base("REQUEST_PARAMS", _SOFIA)
        body = await self._ask("sofia.conf", _configuration("sofia.conf"), headers)
        return self._read("sofia.conf", body, sofia_profiles) or ()

    async def gateways(self, profile: str, reconfigure: bool = False) -> tuple[GatewayAnswer, ...]:
        """The gateways of a profile: from sofia.conf, and from the directory's if it says so."""
        headers = self._base("REQUEST_PARAMS", _PROFILE)
        headers.append(("profile", profile))
        if reconfigure:
            headers.append(("reconfig", "true"))
        body = await self._ask("sofia.conf", _configuration("sofia.conf"), headers)
        configured = self._read("sofia.conf", body, lambda data: sofia_gateways(data, profile))
        takes = self._read("sofia.conf", body, lambda data: parses_domains(data, profile))
        headers = self._base("REQUEST_PARAMS", _GATEWAYS)
        headers += [("purpose", "gateways"), ("profile", profile)]
        body = await self._ask("gateways", _locate("directory"), headers)
        found = self._read("gateways", body, lambda data: sofia_gateways(data, profile))
        return (configured or ()) + ((found or ()) if takes else ())

    async def configuration(self, name: str) -> bool:
        """Asks for a configuration file that nothing here depends on; whether there was one."""
        body = await self.document(name)
        return body is not None and b'status="not found"' not in body

    async def document(self, name: str) -> bytes | None:
        """What is answered for a configuration file; None without an answer."""
        if not self._url:
            return None
        return await self._ask(name, _configuration(name), [])

    async def _user(
        self,
        kind: str,
        calling: tuple[str, str, str],
        fields: Mapping[str, wire.Value],
        user: str,
        domain: str,
        ip: str = "",
    ) -> DirectoryUser | None:
        cached = self._cache.get((user, domain))
        if cached is not None:
            if cached[1] is None or cached[1] > self._core.clock.seconds():
                return cached[0]
            del self._cache[user, domain]
        name = "GENERAL" if kind == "message-count" else "REQUEST_PARAMS"
        headers = self._base(name, calling)
        headers += fields.items()
        headers += [("key", "id"), ("user", user), ("domain", domain)]
        if ip:
            headers.append(("ip", ip))
        body = await self._ask(kind, _directory(domain), headers)
        found = self._read(kind, body, lambda data: directory_user(data, user, domain))
        if found is not None and found.cacheable is not None:
            until = None
            if found.cacheable:
                until = self._core.clock.seconds() + found.cacheable / 1000
            self._cache[user, domain] = (found, until)
        return found

    def _base(self, name: str, calling: tuple[str, str, str]) -> wire.Headers:
        headers = self._core.base_headers(name, name)
        file, function, line = calling
        replaced = {
            "Event-Calling-File": file,
            "Event-Calling-Function": function,
            "Event-Calling-Line-Number": line,
        }
        return [(header, replaced.get(header, value)) for header, value in headers]

    async def _ask(
        self, kind: str, locate: tuple[tuple[str, str], ...], headers: wire.Headers
    ) -> bytes | None:
        self.counters.count(kind)
        pairs = [("hostname", self._core.hostname), *locate]
        form = "&".join(f"{name}={wire.quote(value)}" for name, value in pairs)
        form += "".join(f"&{name}={wire.plain_value(value)}" for name, value in headers)
        try:
            reply = await self._poster.post(
                self._url, form.encode(), user_agent=USER_AGENT, content_type=FORM
            )
        except NoAnswerError as error:
            self._fail(kind, f"{kind}: no answer: {error}")
            return None
        if reply.status != 200:
            self._fail(kind, f"{kind}: status {reply.status}")
            return None
        return reply.body

    def _read(self, kind: str, body: bytes | None, read: Callable[[bytes], Found]) -> Found | None:
        if body is None:
            return None
        try:
            return read(body)
        except AnswerError as error:
            self._fail(kind, f"{kind}: {error}")
            return None

    def _fail(self, kind: str, text: str) -> None:
        self.counters.failed[kind] = self.counters.failed.get(kind, 0) + 1
        self._problem(text)


def _locate(section: str) -> tuple[tuple[str, str], ...]:
    return (("section", section), ("tag_name", ""), ("key_name", ""), ("key_value", ""))


def _directory(domain: str) -> tuple[tuple[str, str], ...]:
    return (
        ("section", "directory"),
        ("tag_name", "domain"),
        ("key_name", "name"),
        ("key_value", domain),
    )


def _configuration(name: str) -> tuple[tuple[str, str], ...]:
    return (
        ("section", "configuration"),
        ("tag_name", "configuration"),
        ("key_name", "name"),
        ("key_value", name),
    )


def _digest_response(request: SipRequest, nonce: str, cnonce: str, uri: str) -> str:
    """The `response` of RFC 2617, 3.2.2.1, with qop=auth."""
    a2 = hashlib.md5(f"{request.method}:{uri}".encode(), usedforsecurity=False).hexdigest()
    a1 = digest_a1(request.user, request.domain, request.password)
    text = f"{a1}:{nonce}:00000001:{cnonce}:auth:{a2}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
