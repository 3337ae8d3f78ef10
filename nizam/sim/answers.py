"""What mod_xml_curl was answered: users, dialplan actions, menus and gateways out of the XML.

Reads documents as FreeSWITCH does, with lxml, and knows nothing of how NIZAM writes them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping

import attrs
from lxml import etree


class AnswerError(ValueError):
    """The answer is not a document that FreeSWITCH would accept."""


@attrs.frozen
class DirectoryUser:
    """A user of the directory. `cacheable` is milliseconds, None not at all, 0 until flushed."""

    id: str
    domain: str
    params: Mapping[str, str]
    variables: Mapping[str, str]
    number_alias: str | None = None
    cacheable: int | None = None

    def accepts(self, password: str) -> bool:
        """Whether a phone that knows `password` passes digest authentication for this user."""
        a1_hash = self.params.get("a1-hash")
        if a1_hash is None:
            return self.params.get("password") == password
        return a1_hash == digest_a1(self.id, self.domain, password)


@attrs.frozen
class Action:
    """One dialplan application with its data."""

    application: str
    data: str


@attrs.frozen
class Extension:
    """The dialplan extension that matched, and what it does."""

    name: str
    actions: tuple[Action, ...]


@attrs.frozen
class MenuEntry:
    """One key or pattern of an IVR menu: `action` is menu-exec-app, menu-sub, menu-exit..."""

    action: str
    digits: str
    param: str


@attrs.frozen
class Menu:
    """An IVR menu; times are milliseconds as in the document."""

    name: str
    timeout: int
    inter_digit_timeout: int
    max_failures: int
    max_timeouts: int
    digit_len: int
    exec_on_max_failures: str | None
    exec_on_max_timeouts: str | None
    entries: tuple[MenuEntry, ...]
    greet_long: str = ""
    greet_short: str = ""
    invalid_sound: str = ""
    exit_sound: str = ""

    def entry_for(self, digits: str) -> tuple[MenuEntry, str] | None:
        """The entry that `digits` choose, with its param after `$1` was filled in."""
        for entry in self.entries:
            if entry.digits.startswith("/"):
                match = re.match(entry.digits.strip("/"), digits)
                if match:
                    return entry, match.expand(re.sub(r"\$(\d)", r"\\\1", entry.param))
            elif entry.digits == digits:
                return entry, entry.param
        return None


@attrs.frozen
class GatewayAnswer:
    """A gateway of a SIP profile as sofia.conf names it."""

    name: str
    profile: str
    params: Mapping[str, str]
    variables: Mapping[str, str]


def digest_a1(user: str, realm: str, password: str) -> str:
    """HA1 of HTTP digest authentication (RFC 2617, 3.2.2.2), which SIP uses with MD5."""
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def parse_document(body: bytes) -> etree._Element | None:
    """The `<section>` of an answer, None when it says "not found".

    Raises AnswerError when it is not a freeswitch/xml document with one section.
    """
    try:
        root = etree.fromstring(body)
    except etree.XMLSyntaxError as error:
        raise AnswerError(f"not XML: {error}") from error
    section = root.find("section")
    if root.tag != "document" or root.get("type") != "freeswitch/xml" or section is None:
        raise AnswerError("not a freeswitch/xml document with a section")
    if section.get("name") == "result":
        return None
    return section


def directory_user(body: bytes, user: str, domain: str) -> DirectoryUser | None:
    """The one user of a directory answer; None when there is none for `user`@`domain`.

    Raises AnswerError for a malformed answer or one with more than one user.
    """
    section = parse_document(body)
    if section is None:
        return None
    for element in section.findall("domain"):
        if element.get("name") != domain:
            continue
        users = element.findall(".//user")
        if len(users) > 1:
            raise AnswerError(f"{len(users)} users in the answer for {user}@{domain}")
        for found in users:
            if user in (found.get("id"), found.get("number-alias")):
                return _user(found, element, domain)
    return None


def _user(found: etree._Element, domain_element: etree._Element, domain: str) -> DirectoryUser:
    """The user with what it lacks taken from its domain (switch_xml_merge_user)."""
    cacheable = found.get("cacheable")
    return DirectoryUser(
        id=found.get("id", ""),
        domain=domain,
        params=_merged(found, domain_element, "params/param"),
        variables=_merged(found, domain_element, "variables/variable"),
        number_alias=found.get("number-alias"),
        cacheable=None if cacheable is None else int(cacheable) if cacheable.isdigit() else 0,
    )


def dialplan_extension(body: bytes, context: str, field: Callable[[str], str]) -> Extension | None:
    """The actions for a call hunting in `context`; None when nothing matches (SIP 404).

    `field` gives the value that a `<condition field="...">` is matched against. An extension
    without a condition never matches, and the context must have exactly the hunted name.
    """
    section = parse_document(body)
    if section is None:
        return None
    actions: list[Action] = []
    name = ""
    for element in section.findall("context"):
        if element.get("name") != context:
            continue
        for extension in element.findall("extension"):
            matched = _run_conditions(extension, field, actions)
            if matched:
                name = name or extension.get("name", "")
                if extension.get("continue") != "true":
                    return Extension(name, tuple(actions))
    return Extension(name, tuple(actions)) if actions else None


def _run_conditions(
    extension: etree._Element, field: Callable[[str], str], actions: list[Action]
) -> bool:
    conditions = extension.findall("condition")
    passed = False
    for condition in conditions:
        name, expression = condition.get("field"), condition.get("expression")
        match = re.search(expression or "", field(name)) if name else None
        passed = name is None or match is not None
        chosen = "action" if passed else "anti-action"
        for action in condition.findall(chosen):
            data = action.get("data", "")
            if match is not None:
                data = _captured(data, match)
            actions.append(Action(action.get("application", ""), data))
        if not passed and condition.get("break", "on-false") == "on-false":
            return False
    return passed


def _captured(data: str, match: re.Match[str]) -> str:
    """`data` with `$1`.. filled in; a `$5` that captured nothing vanishes, as seen."""
    groups = (match[0], *match.groups(""))
    return re.sub(r"\$(\d)", lambda found: "".join(groups[int(found[1]) :][:1]), data)


def ivr_menus(body: bytes) -> dict[str, Menu]:
    """The menus of an ivr.conf answer by name, empty when it says not found."""
    section = parse_document(body)
    if section is None:
        return {}
    return {menu.name: menu for menu in map(_menu, section.iterfind(".//menus/menu"))}


def _menu(element: etree._Element) -> Menu:
    def number(name: str, default: int) -> int:
        return int(element.get(name, default))

    return Menu(
        name=element.get("name", ""),
        timeout=number("timeout", 10_000),
        inter_digit_timeout=number("inter-digit-timeout", 2_000),
        max_failures=number("max-failures", 3),
        max_timeouts=number("max-timeouts", number("max-failures", 3)),
        digit_len=number("digit-len", 1),
        exec_on_max_failures=element.get("exec-on-max-failures"),
        exec_on_max_timeouts=element.get("exec-on-max-timeouts"),
        entries=tuple(
            MenuEntry(entry.get("action", ""), entry.get("digits", ""), entry.get("param", ""))
            for entry in element.findall("entry")
        ),
        greet_long=element.get("greet-long", ""),
        greet_short=element.get("greet-short", ""),
        invalid_sound=element.get("invalid-sound", ""),
        exit_sound=element.get("exit-sound", ""),
    )


def conference_profile(body: bytes, name: str) -> dict[str, str] | None:
    """The params of a profile of conference.conf; None when there is no such profile."""
    section = parse_document(body)
    for profile in [] if section is None else section.iterfind(".//profiles/profile"):
        if profile.get("name") == name:
            return _pairs(profile, "param")
    return None


def conference_controls(body: bytes, group: str) -> dict[str, str]:
    """The actions of a group of caller-controls by the digits that do them."""
    section = parse_document(body)
    return {
        control.get("digits", ""): control.get("action", "")
        for element in ([] if section is None else section.iterfind(".//caller-controls/group"))
        if element.get("name") == group
        for control in element.findall("control")
    }


def group_members(body: bytes, domain: str, group: str) -> list[tuple[str, str]]:
    """The users of a group in a directory answer, each with its dial-string."""
    section = parse_document(body)
    if section is None:
        return []
    found = []
    for element in section.findall("domain"):
        if element.get("name") != domain:
            continue
        general = _pairs(element, "params/param").get("dial-string", "")
        for user in element.iterfind(f"groups/group[@name='{group}']/users/user"):
            own = _pairs(user, "params/param").get("dial-string", general)
            found.append((user.get("id", ""), own))
    return found


def sofia_profiles(body: bytes) -> tuple[str, ...]:
    """The names of the SIP profiles in a sofia.conf answer."""
    section = parse_document(body)
    if section is None:
        return ()
    return tuple(profile.get("name", "") for profile in section.iterfind(".//profiles/profile"))


def parses_domains(body: bytes, profile: str) -> bool:
    """Whether `profile` of a sofia.conf answer takes gateways from the directory too."""
    section = parse_document(body)
    if section is None:
        return False
    return any(
        domain.get("parse") == "true"
        for element in section.iterfind(".//profiles/profile")
        if element.get("name") == profile
        for domain in element.iterfind("domains/domain")
    )


def sofia_gateways(body: bytes, profile: str) -> tuple[GatewayAnswer, ...]:
    """The gateways of `profile` in a sofia.conf answer, or all in a directory answer."""
    section = parse_document(body)
    if section is None:
        return ()
    return tuple(
        GatewayAnswer(
            element.get("name", ""),
            profile,
            _pairs(element, "param"),
            _pairs(element, "variables/variable"),
        )
        for element in _gateway_elements(section, profile)
    )


def _gateway_elements(section: etree._Element, profile: str) -> Iterator[etree._Element]:
    if section.get("name") == "directory":
        yield from section.iterfind(".//gateways/gateway")
        return
    for element in section.iterfind(".//profiles/profile"):
        if element.get("name") == profile:
            yield from element.iterfind("gateways/gateway")


def _merged(own: etree._Element, general: etree._Element, path: str) -> dict[str, str]:
    pairs = _pairs(own, path)
    for name, value in _pairs(general, path).items():
        pairs.setdefault(name, value)
    return pairs


def _pairs(element: etree._Element, path: str) -> dict[str, str]:
    return {found.get("name", ""): found.get("value", "") for found in element.findall(path)}
