"""What the files for Docker Compose and Kubernetes say, read as those would read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import yaml

from nizam.settings import Settings, load
from tests.deploy.files import DEPLOY, REPOSITORY

COMPOSE = DEPLOY / "compose"
KUBERNETES = DEPLOY / "kubernetes"
Document = dict[str, Any]
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:-|:\?)(?P<text>[^}]*))?\}|\$\$")
_SECRETS = {
    "DB_PASSWORD": "database-password",
    "REDIS_PASSWORD": "redis-password",
    "NIZAM_SECRET_KEYS": "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "NIZAM_METRICS_TOKEN": "metrics-token",
}
SECRETS = {name.removeprefix("NIZAM_").lower(): value for name, value in _SECRETS.items()}
"""The secrets by the names of Compose's files."""


@attrs.frozen
class Container:
    """One kind of process of NIZAM's, as one of the files declares it."""

    name: str
    environment: Mapping[str, str]
    command: tuple[str, ...]
    replicas: int

    @property
    def migrates(self) -> bool:
        """Whether it makes the tables and ends."""
        return self.command == ("nizam", "migrate")

    def settings(self, folder: Path) -> Settings:
        """What the daemon makes of its environment; `folder` gets the secrets. Raises
        SettingsError."""
        return load(None, image_environment() | self.given_in(folder)).settings

    def given_in(self, folder: Path) -> dict[str, str]:
        """Its environment with the secrets in `folder`, which are made."""
        folder.mkdir(exist_ok=True)
        for name, value in {**SECRETS, **_SECRETS}.items():
            (folder / name).write_text(value)
        mounted = re.compile("^/run/secrets(/nizam)?")
        return {name: mounted.sub(str(folder), it) for name, it in self.environment.items()}


def image_environment() -> dict[str, str]:
    """What the last stage of the Dockerfile sets."""
    stage = (REPOSITORY / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    (line,) = re.findall(r"^ENV (.*)$", stage, re.MULTILINE)
    return dict(it.split("=", 1) for it in line.split() if it.startswith("NIZAM_"))


def compose() -> Document:
    """compose.yaml with env.example's values for its variables; a test may change its own copy."""
    return deepcopy(_compose())


@cache
def _compose() -> Document:
    known = dict(
        line.split("=", 1)
        for line in (COMPOSE / "env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )

    def value(it: re.Match[str]) -> str:
        if it[0] == "$$":
            return "$"
        found = known.get(it["name"])
        if found is None:
            assert it["kind"] == ":-", f"{it['name']} is not in env.example"
            return str(it["text"])
        return found

    document: Document = yaml.safe_load(
        _VARIABLE.sub(value, (COMPOSE / "compose.yaml").read_text())
    )
    return document


def composed() -> list[Container]:
    """The containers of NIZAM's image in compose.yaml."""
    return [
        Container(
            name,
            {key: str(value) for key, value in it["environment"].items()},
            tuple(it.get("command", ())),
            it.get("deploy", {}).get("replicas", 1),
        )
        for name, it in compose()["services"].items()
        if it["image"].startswith("nizam:")
    ]


def postgres_options() -> list[str]:
    """The settings of the server that compose.yaml gives PostgreSQL."""
    command: list[str] = compose()["services"]["postgres"]["command"]
    program, *words = command
    assert program == "postgres"
    assert set(words[::2]) == {"-c"}
    return words[1::2]


def manifests() -> list[Document]:
    """Every object that kustomization.yaml names; a test may change its own copy."""
    return deepcopy(_manifests())


@cache
def _manifests() -> list[Document]:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    return [it for name in listed for it in yaml.safe_load_all((KUBERNETES / name).read_text())]


def of_kind(*kinds: str) -> list[Document]:
    """The objects of these kinds."""
    return [it for it in manifests() if it["kind"] in kinds]


def pods() -> Iterator[tuple[Document, Document]]:
    """Every Deployment and Job with the template of its pods."""
    for it in of_kind("Deployment", "Job"):
        yield it, it["spec"]["template"]


def deployed() -> list[Container]:
    """The containers of every Deployment and Job."""
    config_maps = {it["metadata"]["name"]: it["data"] for it in of_kind("ConfigMap")}
    autoscaled = {
        it["spec"]["scaleTargetRef"]["name"]: it["spec"]["minReplicas"]
        for it in of_kind("HorizontalPodAutoscaler")
    }
    found = []
    for owner, pod in pods():
        name = owner["metadata"]["name"]
        for it in pod["spec"]["containers"]:
            environment: dict[str, str] = {}
            for source in it["envFrom"]:
                environment |= config_maps[source["configMapRef"]["name"]]
            environment |= {given["name"]: given["value"] for given in it.get("env", ())}
            replicas = owner["spec"].get("replicas") or autoscaled.get(name, 1)
            found.append(Container(name, environment, tuple(it.get("command", ())), replicas))
    return found
