"""FreeSWITCH's configuration as each node really has it, asked over its event socket: whom it asks,
whom it tells, and what is left of the vanilla configuration."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import attrs

from nizam.ops.doctor.addresses import is_loopback, is_public
from nizam.ops.doctor.event_socket import EventSocket, event_socket
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.known_nodes import KnownNode
from nizam.ops.doctor.running import ANSWER_SECONDS, Context, Probe
from nizam.ops.doctor.switch_xml import configuration, first, from_files, params
from nizam.settings import SipSettings

XML_PATH = "/freeswitch/xml"
CDR_PATH = "/freeswitch/cdr"
SECTIONS = ("directory", "dialplan", "configuration")
TIMEOUTS = range(1, 6)
MINIMUM_TRIES = 2
_check = Declaring(Area.FREESWITCH)

READABLE = _check(
    "readable",
    "whether the node says what its configuration is",
    "Nothing of it can be checked otherwise.",
    "See the findings of the area nodes.",
)
XML_CURL = _check(
    "xml-curl",
    "the bindings of xml_curl.conf: which sections are asked for, where, how long it waits, and "
    "whether it looks at certificates",
    "A section that is not bound is answered from files. Registrations wait in line behind a "
    "question: too long a timeout stops them all when an instance hangs, none at all for ever.",
    "Take xml_curl.conf.xml from etc/freeswitch and set nizam_url_1 and nizam_url_2 in vars.xml, "
    "then `reload mod_xml_curl`.",
)
XML_CREDENTIALS = _check(
    "xml-credentials",
    "whether the node signs in with what NIZAM has for it",
    "Its questions are refused with 401, and no call is set up.",
    "Set nizam_xml_username and nizam_xml_password in vars.xml to the node's, then "
    "`reload mod_xml_curl` and `reload mod_json_cdr`.",
)
XML_ANSWERS = _check(
    "xml-answers",
    "whether NIZAM answers at the URLs that the node asks, with its credentials, from this machine",
    "Phones cannot register and calls are not set up while nobody answers there.",
    "Start the instance, correct nizam_url_1 and nizam_url_2 in vars.xml, or let the node in: "
    "NIZAM_XML_ALLOWED_NETWORKS and the firewall.",
)
CDR = _check(
    "cdr",
    "json_cdr.conf: where call detail records are posted, how often that is tried, and whether "
    "what was not taken is kept",
    "Calls that are not recorded are not billed, and quotas do not count them.",
    "Take json_cdr.conf.xml from etc/freeswitch, then `reload mod_json_cdr`.",
)
VANILLA = _check(
    "vanilla",
    "what is in the files of the node beside etc/freeswitch: users, dialplan, SIP profiles and "
    "passwords of the vanilla configuration",
    "Files are used whenever NIZAM does not answer: users 1000 to 1019 with the password 1234 can "
    "then register, and the public dialplan takes their calls.",
    "Move directory/, dialplan/ and sip_profiles/ away, take freeswitch.xml and vars.xml from "
    "etc/freeswitch, then `reloadxml`.",
)
PORTS = _check(
    "ports",
    "whether the node uses the ports for audio that the settings name",
    "The firewall lets those of the settings in: calls have no sound, or other ports are open for "
    "nothing.",
    "Set NIZAM_SIP_RTP_PORT_FIRST and _LAST as they should be, then restart FreeSWITCH when no "
    "calls are under way.",
    Severity.WARNING,
)

CHECKS = (READABLE, XML_CURL, XML_CREDENTIALS, XML_ANSWERS, CDR, VANILLA, PORTS)


@attrs.frozen
class Binding:
    """One binding of xml_curl.conf."""

    name: str
    url: str
    sections: tuple[str, ...]
    credentials: str = attrs.field(repr=False)
    timeout: str
    verified: bool


def probes(context: Context, nodes: Sequence[KnownNode]) -> list[Probe]:
    """Each node's configuration."""
    sip = context.settings.sip
    return [Probe(READABLE, it.subject, partial(_look, it, sip)) for it in nodes]


def _look(node: KnownNode, sip: SipSettings) -> Iterator[Finding]:
    subject = node.subject
    with event_socket(node.host, node.port, node.password) as switch:
        found = bindings(configuration(switch, "xml_curl.conf"))
        records = params(configuration(switch, "json_cdr.conf"))
        root = from_files(switch)
        yield READABLE.ok(subject, "read over the event socket")
        yield from judge_bindings(subject, found)
        own = ({it.credentials for it in found}, set(records.get("cred", ())))
        yield _credentials(subject, node, *own)
        yield from judge_records(subject, records)
        variables = variables_of(switch.api("global_getvar"))
        yield from vanilla(subject, root, variables)
        yield _ports(subject, switch, sip)
        here = on_this_machine(node, switch)
    yield from _answers(subject, found, here=here)


def on_this_machine(node: KnownNode, switch: EventSocket) -> bool:
    """Whether the node runs where this command does; loopback alone may lead through stunnel."""
    return is_loopback(node.host) and switch.api("hostname") == socket.gethostname()


def bindings(element: Any) -> list[Binding]:
    """The bindings of xml_curl.conf; none without one."""
    found = []
    for binding in () if element is None else element.iter("binding"):
        values = params(binding)
        urls = [it for it in binding.iter("param") if it.get("name") == "gateway-url"]
        sections = urls[0].get("bindings", "") if urls else ""
        found.append(
            Binding(
                binding.get("name", "unnamed"),
                urls[0].get("value", "") if urls else "",
                # mod_xml_curl binds all sections when none is named.
                tuple(it for it in sections.split("|") if it) or SECTIONS,
                first(values, "gateway-credentials"),
                first(values, "timeout", "0"),
                all(
                    first(values, it) == "true"
                    for it in ("enable-cacert-check", "enable-ssl-verifyhost")
                ),
            )
        )
    return found


def judge_bindings(subject: str, found: Sequence[Binding]) -> Iterator[Finding]:
    """Judges all that xml_curl.conf says."""
    wrong: list[tuple[str, Severity | None]] = []
    for it in found:
        url = urlsplit(it.url)
        if url.path != XML_PATH or url.scheme not in ("http", "https"):
            wrong.append(
                (f"{it.name} asks {shown(it.url) or 'nobody'}, not {XML_PATH} of NIZAM", None)
            )
        elif url.scheme == "http" and is_public(url.hostname or ""):
            wrong.append((f"{it.name} asks {url.hostname}, a public address, in clear", None))
        elif url.scheme == "https" and not it.verified:
            detail = f"{it.name} does not look at the certificate of {url.hostname}"
            wrong.append((detail, Severity.WARNING))
        seconds = int(it.timeout) if it.timeout.isdecimal() else 0
        if seconds == 0:
            wrong.append((f"{it.name} waits for ever", None))
        elif seconds not in TIMEOUTS:
            detail = f"{it.name} waits {seconds} s, in which nobody else can register"
            wrong.append((detail, Severity.WARNING))
    bound = {section for it in found for section in it.sections}
    if missing := [it for it in SECTIONS if it not in bound]:
        wrong.append((f"not asked for: {', '.join(missing)}", None))
    if found and len({it.url for it in found}) == 1:
        wrong.append(("one URL alone: nobody is asked when it does not answer", Severity.NOTE))
    yield from (XML_CURL.wrong(subject, detail, severity) for detail, severity in wrong)
    if not wrong:
        hosts = ", ".join(urlsplit(shown(it.url)).netloc for it in found)
        yield XML_CURL.ok(subject, f"asks {hosts}, {found[0].timeout} s each")


def shown(url: str) -> str:
    """A URL without the user and password that may be in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _credentials(subject: str, node: KnownNode, asking: set[str], posting: set[str]) -> Finding:
    if node.xml_username is None or node.xml_password is None:
        return XML_CREDENTIALS.wrong(
            subject,
            "NIZAM has none for it: its questions are refused",
            mend="Set NIZAM_XML_USERNAME and NIZAM_XML_PASSWORD for the node.",
        )
    expected = f"{node.xml_username}:{node.xml_password}"
    other = [
        what
        for what, given in (("xml_curl.conf", asking), ("json_cdr.conf", posting))
        if any(it != expected for it in given) or not given
    ]
    return XML_CREDENTIALS.judge(
        subject,
        f"{' and '.join(other)} {'have' if len(other) > 1 else 'has'} others than NIZAM"
        if other
        else None,
        f"signs in as {node.xml_username}",
    )


def _answers(subject: str, found: Sequence[Binding], *, here: bool) -> Iterator[Finding]:
    import httpx

    asked: set[tuple[str, str]] = set()
    for it in found:
        host = urlsplit(it.url).hostname or ""
        if not host or (it.url, it.credentials) in asked:
            continue
        asked.add((it.url, it.credentials))
        if is_loopback(host) and not here:
            yield XML_ANSWERS.note(subject, f"{shown(it.url)} is on the node itself: ask it there")
            continue
        user, _, password = it.credentials.partition(":")
        form = {"section": "directory", "tag_name": "domain", "key_name": "name"}
        form |= {"key_value": "doctor.invalid", "hostname": "doctor"}
        try:
            answer = httpx.post(
                it.url, data=form, auth=(user, password), timeout=ANSWER_SECONDS, trust_env=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            detail = f"{shown(it.url)}: {error or type(error).__name__}"
            yield XML_ANSWERS.wrong(subject, detail)
            continue
        fine = answer.status_code == 200 and "freeswitch/xml" in answer.text
        yield XML_ANSWERS.judge(
            subject,
            None if fine else f"{shown(it.url)} answers {answer.status_code}",
            f"{shown(it.url)} in {answer.elapsed.total_seconds() * 1000:.0f} ms",
        )


def judge_records(subject: str, values: Mapping[str, list[str]]) -> Iterator[Finding]:
    """Judges the parameters of json_cdr.conf."""
    urls = values.get("url", [])
    wrong: list[tuple[str, Severity | None]] = []
    if not urls:
        wrong.append(("records are not posted: json_cdr.conf has no url", None))
    for url in urls:
        parts = urlsplit(url)
        if parts.path != CDR_PATH or parts.scheme not in ("http", "https"):
            wrong.append((f"records go to {shown(url)}, not {CDR_PATH} of NIZAM", None))
        elif parts.scheme == "http" and is_public(parts.hostname or ""):
            wrong.append((f"records go to {parts.hostname}, a public address, in clear", None))
    if urls and int(first(values, "retries", "0") or 0) + 1 < MINIMUM_TRIES:
        wrong.append(("a record is posted once, and never again", Severity.WARNING))
    if urls and not first(values, "err-log-dir") and not first(values, "log-dir"):
        wrong.append(("what is not taken lies in the default folder", Severity.NOTE))
    if urls and first(values, "log-b-leg", "false") != "true":
        wrong.append(("legs to the called are not recorded: log-b-leg", Severity.WARNING))
    yield from (CDR.wrong(subject, detail, severity) for detail, severity in wrong)
    if not wrong:
        yield CDR.ok(subject, f"posted to {', '.join(urlsplit(shown(it)).netloc for it in urls)}")


def variables_of(text: str) -> Mapping[str, str]:
    """The lines of `global_getvar` as a mapping."""
    lines = (it.partition("=") for it in text.splitlines())
    return {name: value for name, equals, value in lines if equals}


def vanilla(subject: str, root: Any, variables: Mapping[str, str]) -> Iterator[Finding]:
    """Judges what the node's files hold beside what NIZAM serves."""
    wrong: list[tuple[str, Severity | None]] = []
    if variables.get("default_password"):
        wrong.append(("vars.xml sets default_password, which is that of all users", None))
    for section in () if root is None else root.iter("section"):
        users = [it.get("id", "?") for it in section.iter("user")]
        if section.get("name") == "directory" and users:
            wrong.append((f"{len(users)} users, such as {', '.join(users[:3])}", None))
        contexts = [it.get("name", "?") for it in section.iter("context")]
        if section.get("name") == "dialplan" and contexts:
            wrong.append((f"dialplan contexts: {', '.join(contexts)}", None))
        for it in section.iter("configuration"):
            profiles = [profile.get("name", "?") for profile in it.iter("profile")]
            if it.get("name") == "sofia.conf" and profiles:
                wrong.append((f"SIP profiles: {', '.join(profiles)}", Severity.WARNING))
            if it.get("name") == "event_socket.conf" and "ClueCon" in params(it).get(
                "password", ()
            ):
                wrong.append(("the event socket's password is ClueCon", None))
    yield from (VANILLA.wrong(subject, f"in its files: {it}", how) for it, how in wrong)
    if not wrong:
        yield VANILLA.ok(subject, "no users, no dialplan, no SIP profiles in its files")


def _ports(subject: str, switch: EventSocket, sip: SipSettings) -> Finding:
    values = dict(params(configuration(switch, "switch.conf")))
    values |= params(configuration(switch, "post_load_switch.conf"))
    # Those that FreeSWITCH takes without being told (switch_rtp.h).
    usual = {"rtp-start-port": "16384", "rtp-end-port": "32768"}
    used = tuple(first(values, name, port) for name, port in usual.items())
    wanted = (str(sip.rtp_port_first), str(sip.rtp_port_last))
    return PORTS.judge(
        subject,
        f"it uses {'-'.join(used)}, the settings say {'-'.join(wanted)}"
        if used != wanted
        else None,
        "-".join(wanted),
    )
