"""The simulated switch's configuration files, read as FreeSWITCH does (switch_xml.c): X-PRE-PROCESS
`set` and `include`, and `$${variable}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs
from lxml import etree

_PREPROCESS = re.compile(r'<X-PRE-PROCESS\s+cmd="(\w+)"\s+data="([^"]*)"\s*/>')
_VARIABLE = re.compile(r"\$\$\{([\w-]+)\}")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_EMPTY = '<document type="freeswitch/xml"><section name="configuration"/></document>'
_BUILT_IN = {"sounds_dir": "/usr/share/freeswitch/sounds", "log_dir": "/var/log/freeswitch"}


@attrs.frozen
class SwitchFiles:
    """What was read: the document as one, and the global variables."""

    document: str
    variables: dict[str, str]

    @classmethod
    def read(cls, folder: Path | None) -> SwitchFiles:
        """Read `freeswitch.xml` of a folder and what it includes; nothing without a folder."""
        variables = dict(_BUILT_IN)
        if folder is None:
            return cls(_EMPTY, variables)
        variables["conf_dir"] = str(folder)
        variables["certs_dir"] = str(folder / "tls")
        return cls("".join(_lines(folder, "freeswitch.xml", variables)), variables)

    def configuration(self, name: str) -> str | None:
        """The element of one configuration, None when there is none."""
        for it in etree.fromstring(self.document.encode()).iter("configuration"):
            if it.get("name") == name:
                return etree.tostring(it, encoding="unicode", with_tail=False)
        return None

    @property
    def modules(self) -> frozenset[str]:
        """The modules that modules.conf.xml loads."""
        text = self.configuration("modules.conf")
        loads = () if text is None else etree.fromstring(text).iter("load")
        return frozenset(it.get("module", "") for it in loads)

    def parameter(self, configuration: str, name: str) -> str | None:
        """The value of a parameter of a configuration."""
        text = self.configuration(configuration)
        for it in () if text is None else etree.fromstring(text).iter("param"):
            if it.get("name") == name:
                return it.get("value")
        return None


def _lines(folder: Path, pattern: str, variables: dict[str, str]) -> Iterator[str]:
    for path in sorted(folder.glob(pattern)):
        text = re.sub(r"<\?xml[^>]*\?>", "", _COMMENT.sub("", path.read_text()))
        at = 0
        for found in _PREPROCESS.finditer(text):
            yield _filled(text[at : found.start()], variables)
            at = found.end()
            data = _filled(found[2], variables)
            if found[1] == "include":
                yield from _lines(folder, data, variables)
            elif found[1] == "set":
                name, _, value = data.partition("=")
                variables[name] = value
        yield _without_include(_filled(text[at:], variables))


def _filled(text: str, variables: dict[str, str]) -> str:
    return _without_include(_VARIABLE.sub(lambda it: variables.get(it[1], ""), text))


def _without_include(text: str) -> str:
    return text.replace("<include>", "").replace("</include>", "")
