"""Certificates: that of the API, those of the SIP profiles, and the authorities that are named."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from nizam.ops.doctor.event_socket import EventSocket, event_socket
from nizam.ops.doctor.finding import Area, Check, Declaring, Finding, Severity
from nizam.ops.doctor.freeswitch import on_this_machine, variables_of
from nizam.ops.doctor.known_nodes import KnownNode
from nizam.ops.doctor.running import ANSWER_SECONDS, Context, Probe

SOON = timedelta(days=14)
_check = Declaring(Area.CERTIFICATES)

API = _check(
    "api",
    f"the certificate that clients get at APP_URL: believed, and for more than {SOON.days} days",
    "Clients refuse to speak to the API, and FreeSWITCH to ask it, once it has ended.",
    "Renew it (certbot renew, lego renew) and reload the load balancer: docs/security.md.",
)
SIP = _check(
    "sip",
    "the certificates that SIP profiles with TLS show, and those in FreeSWITCH's tls folder where "
    "that is on this machine",
    "Phones and carriers do not register or call once it has ended.",
    "Put the new certificate and key into agent.pem, then restart the profile: "
    "docs/sip-profiles.md.",
)
AUTHORITIES = _check(
    "authorities",
    f"the files of DB_SSLROOTCERT, REDIS_TLS_CA and REDIS_TLS_CERT: there, and for more than "
    f"{SOON.days} days",
    "No connection to PostgreSQL or Redis can be made without them.",
    "Put the certificate of the authority there that signed the server's, or a new one of ours.",
)
CHECKS = (API, SIP, AUTHORITIES)

_TLS_URL = re.compile(r"<tls-bind-url>sips?:[^@<]*@?\[?([^\];<]+?)\]?:(\d+)")


def probes(context: Context, nodes: Sequence[KnownNode]) -> list[Probe]:
    """Where there is TLS."""
    settings = context.settings
    found = [Probe(SIP, it.subject, partial(_sip, it)) for it in nodes]
    url = urlsplit(settings.app_url)
    if url.scheme == "https" and url.hostname:
        address = (url.hostname, url.port or 443)
        found.append(Probe(API, settings.app_url, partial(_api, settings.app_url, address)))
    redis, database = settings.redis, settings.database
    for path in (database.sslrootcert, redis.tls_ca, redis.tls_certificate):
        if path and path != "system":
            found.append(Probe(AUTHORITIES, str(path), partial(_file, AUTHORITIES, Path(path))))
    return found


def _api(subject: str, address: tuple[str, int]) -> Iterator[Finding]:
    try:
        certificate = shown_by(address, ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        yield API.wrong(subject, f"not believed: {error.verify_message}")
        return
    yield judge(API, subject, certificate, datetime.now(UTC))


def shown_by(address: tuple[str, int], context: ssl.SSLContext) -> x509.Certificate:
    """The certificate that a server shows; OSError when there is none."""
    with (
        socket.create_connection(address, ANSWER_SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=address[0]) as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")


def judge(check: Check, subject: str, certificate: x509.Certificate, now: datetime) -> Finding:
    """Judges when a certificate begins and ends."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else "no name"
    left = certificate.not_valid_after_utc - now
    if left < timedelta(0):
        return check.wrong(subject, f"{name}: ended {(-left).days} days ago")
    if certificate.not_valid_before_utc > now:
        return check.wrong(subject, f"{name}: begins on {certificate.not_valid_before_utc:%F}")
    seen = f"{name}, for {left.days} days"
    return check.judge(subject, seen if left < SOON else None, seen, Severity.WARNING)


def _file(check: Check, path: Path) -> Iterator[Finding]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        yield check.wrong(str(path), "there is no certificate in it")
        return
    now = datetime.now(UTC)
    # A bundle holds many: it is as good as the one that lasts longest.
    longest = max(found, key=lambda it: it.not_valid_after_utc)
    yield judge(check, str(path), longest, now)


def _sip(node: KnownNode) -> Iterator[Finding]:
    with event_socket(node.host, node.port, node.password) as switch:
        places = tls_places(switch)
        folder = Path(variables_of(switch.api("global_getvar")).get("certs_dir", ""))
        here = on_this_machine(node, switch)
    if not places:
        yield SIP.ok(node.subject, "no SIP profile speaks TLS")
    context = ssl.create_default_context()
    context.check_hostname = False
    # Only its dates are looked at; phones know for themselves whom to believe.
    context.verify_mode = ssl.CERT_NONE
    for host, port in places:
        subject = f"{node.name} {host}:{port}"
        try:
            certificate = shown_by((host, port), context)
        except OSError as error:
            yield SIP.wrong(subject, f"no TLS there: {error}")
            continue
        yield judge(SIP, subject, certificate, datetime.now(UTC))
    if here and places and folder.is_dir():
        for path in sorted(folder.glob("*.pem")):
            if path.name != "cafile.pem" and b"BEGIN CERTIFICATE" in path.read_bytes():
                yield from _file(SIP, path)


def tls_places(switch: EventSocket) -> list[tuple[str, int]]:
    """Where the SIP profiles listen for TLS."""
    found = []
    for line in switch.api("sofia status").splitlines():
        words = line.split("\t")
        if len(words) > 2 and words[1].strip() == "profile":
            answer = switch.api(f"sofia xmlstatus profile {words[0].strip()}")
            found += [(host, int(port)) for host, port in _TLS_URL.findall(answer)]
    return found
