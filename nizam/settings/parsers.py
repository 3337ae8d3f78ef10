"""What a setting's value may look like: text from the environment, or a TOML value.

Each parser returns the typed value or raises ValueError with the problem in words. The message
holds the value, except that of a secret.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nizam.settings.values import Network, Role, Secret, SecretKey, split_address

Parser = Callable[[Any], Any]

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_KEY_BYTES = 32
_MEDIA = re.compile(r"/[\w /.+-]{0,119}")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,185}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    if any(ord(character) < 32 for character in value):
        raise ValueError("it holds control characters")
    return value


def secret(value: Any) -> Secret:
    if not isinstance(value, str) or any(ord(character) < 32 for character in value):
        raise ValueError("it is not one line of text")
    return Secret(value)


def directory(value: Any) -> Path:
    path = Path(text(value))
    if not path.is_absolute():
        raise ValueError(f"{value!r} is not an absolute path")
    return path


def media_directory(value: Any) -> Path:
    """A folder whose name FreeSWITCH can be given in any place."""
    path = directory(value)
    if _MEDIA.fullmatch(str(path)) is None or ".." in path.parts:
        raise ValueError(f"{value!r} is longer than 120 characters or holds others than these")
    return path


def readable_file(value: Any) -> Path:
    """A file that is there; what is in it is not looked at."""
    path = directory(value)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


def cluster(value: Any) -> bool:
    """`redis` as deployments of other programs have it, or a truth value."""
    if isinstance(value, str) and value.lower() == "redis":
        return True
    return boolean(value)


def speech(value: Any) -> tuple[str, str]:
    """A text-to-speech engine of FreeSWITCH and its voice: `flite:slt`."""
    match = re.fullmatch(r"([A-Za-z0-9_-]{1,40}):([A-Za-z0-9_.-]{1,80})", text(value))
    if match is None:
        raise ValueError("is not an engine and a voice with a colon between them")
    return match[1], match[2]


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{value!r} is neither true nor false")
    return word in _TRUE


def integer(lowest: int, highest: int) -> Parser:
    """A whole number within both bounds."""

    def parse(value: Any) -> int:
        is_digits = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value)
        if isinstance(value, bool) or not (isinstance(value, int) or is_digits):
            raise ValueError(f"{value!r} is not a whole number")
        number = int(value)
        if not lowest <= number <= highest:
            raise ValueError(f"{number} is out of range")
        return number

    return parse


def port(value: Any) -> int:
    if isinstance(value, str) and value.startswith("tcp://"):
        raise ValueError(
            f"{value!r} is not a port; Kubernetes sets such values for services of that name "
            "unless enableServiceLinks is false"
        )
    number: int = integer(1, 65535)(value)
    return number


def word(*accepted: str) -> Parser:
    """One of a few words; upper and lower case are the same."""

    def parse(value: Any) -> str:
        chosen = text(value).lower()
        if chosen not in accepted:
            raise ValueError(f"{value!r} is not supported")
        return chosen

    return parse


def host(value: Any) -> str:
    """A host name, an IP address, or (PostgreSQL only, checked by libpq) a socket folder."""
    name = text(value)
    if name.startswith("/") or _HOST.fullmatch(name) or _is_ip(name):
        return name
    raise ValueError(f"{value!r} is not a host name or an IP address")


def ip_address(value: Any) -> str:
    return str(ipaddress.ip_address(text(value)))


def email_address(value: Any) -> str:
    """One email address without a name."""
    address = text(value)
    if _EMAIL.fullmatch(address) is None:
        raise ValueError(f"{value!r} is not an email address")
    return address


def http_url(value: Any) -> str:
    parts = urlsplit(text(value))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is not an http or https URL")
    _ = parts.port  # raises ValueError for a bad one
    return value.rstrip("/")  # type: ignore[no-any-return]


def object_prefix(value: Any) -> str:
    """What names of objects may begin with."""
    found = text(value) if value != "" else ""
    if re.fullmatch(r"(?:[A-Za-z0-9_.-]+/)*[A-Za-z0-9_.-]*", found) is None or ".." in found:
        raise ValueError("is no beginning of a name")
    return found


def words(value: Any) -> tuple[str, ...]:
    """A TOML array of strings, or text with commas between the parts."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise ValueError(f"{value!r} is not a list")
    return tuple(stripped for part in parts if (stripped := text(part).strip()))


def networks(value: Any) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in words(value))


def roles(value: Any) -> frozenset[Role]:
    named = words(value)
    unknown = [name for name in named if name not in set(Role)]
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))} is no role")
    if not named:
        raise ValueError("no role is named")
    return frozenset(map(Role, named))


def host_and_port(value: Any) -> tuple[str, int | None]:
    """`host`, `host:port` or `[address]:port`; the port is None where there is none."""
    name, number = split_address(text(value))
    return host(name), (port(number) if number else None)


def hosts(value: Any) -> str:
    """One host, or several with commas between them, each with a port of its own or without."""
    parts = words(value if isinstance(value, list) else text(value))
    if not parts:
        raise ValueError("no host is named")
    for part in parts:
        host_and_port(part)
    return ",".join(parts)


def origins(value: Any) -> tuple[str, ...]:
    """Origins (RFC 6454) of `host`, `host:port` or `scheme://host:port`; https unless local."""
    found = []
    for part in words(value):
        if "://" in part:
            parts = urlsplit(http_url(part))
            found.append(f"{parts.scheme}://{parts.netloc}")
            continue
        name, number = host_and_port(part)
        local = name == "localhost" or (_is_ip(name) and ipaddress.ip_address(name).is_loopback)
        address = f"[{name}]" if ":" in name else name
        found.append(f"{'http' if local else 'https'}://{address}{f':{number}' if number else ''}")
    return tuple(found)


def secret_keys(value: Any) -> tuple[SecretKey, ...]:
    """`ID:BASE64` parts of 32 bytes each; the first encrypts, all decrypt."""
    if not isinstance(value, str | list) or not all(isinstance(part, str) for part in value):
        raise ValueError("it is not a list of ID:BASE64 parts")
    keys = []
    for part in words(value):
        key_id, colon, encoded = part.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", key_id):
            raise ValueError("a part is not ID:BASE64")
        if key_id == "stored":
            raise ValueError("the id 'stored' is that of the key in the database")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise ValueError(f"the key {key_id} is not base64") from None
        if len(key) != _KEY_BYTES:
            raise ValueError(f"the key {key_id} has {len(key)} bytes instead of {_KEY_BYTES}")
        keys.append(SecretKey(key_id, key))
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("two keys have the same id")
    return tuple(keys)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
