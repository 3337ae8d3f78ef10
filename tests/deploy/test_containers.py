"""The files for Docker Compose and Kubernetes: valid, complete, and what the daemon accepts."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for

from nizam.settings import Role
from nizam.settings.declarations import SETTINGS
from tests.deploy import containers
from tests.deploy.containers import COMPOSE, KUBERNETES, Container, compose, of_kind, pods
from tests.deploy.exported import labels

CONTAINERS = [("compose", it) for it in containers.composed()]
CONTAINERS += [("kubernetes", it) for it in containers.deployed()]
PROBES = ("/livez", "/readyz", "/startupz")
each_container = pytest.mark.parametrize(
    ("place", "container"), CONTAINERS, ids=[f"{place}-{it.name}" for place, it in CONTAINERS]
)


def test_compose_files_schema_accepts_ours_and_not_everything() -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    validator = validator_for(schema)(schema)
    document = compose()
    assert [it.message for it in validator.iter_errors(document)] == []
    document["services"]["app"]["replica"] = 3
    assert not validator.is_valid(document)


@pytest.mark.parametrize("version", ["1.28", "1.37"])
def test_kubernetes_accepts_every_object_strictly(version: str) -> None:
    for it in containers.manifests():
        kubernetes_validate.validate(it, version, strict=True)
    wrong = of_kind("Deployment")[0]
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_kustomization_names_every_manifest() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    others = {"kustomization.yaml", "prometheus-adapter.yaml"}
    assert sorted(listed) == sorted({it.name for it in KUBERNETES.iterdir()} - others)


@each_container
def test_the_daemon_accepts_what_a_container_is_told(
    place: str, container: Container, tmp_path: Path
) -> None:
    settings = container.settings(tmp_path / "secrets")
    assert settings.production
    assert settings.app_url == "https://nizam.example.com"
    assert settings.database.password is not None
    assert settings.redis.password is not None
    assert [it.id for it in settings.secret_keys] == ["k1"]
    assert settings.http.metrics_token is not None
    known = {it.name for it in SETTINGS} | {"CREDENTIALS_DIRECTORY"}
    assert {it.removesuffix("_FILE") for it in container.environment} - known == set()


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_every_role_is_served_by_enough_processes(place: str, tmp_path: Path) -> None:
    served: Counter[Role] = Counter()
    for where, it in CONTAINERS:
        if where == place and not it.migrates:
            roles = it.settings(tmp_path / "secrets").roles
            assert roles < set(Role), f"{it.name} has every role"
            served.update(dict.fromkeys(roles, it.replicas))
    assert set(served) == set(Role)
    # The guide has one scheduler under Compose; the lease brings another one up in its place.
    once = {Role.SCHEDULER} if place == "compose" else set[Role]()
    assert {role for role, times in served.items() if times < 2} <= once
    assert served[Role.API] >= 3


def test_postgresql_has_connections_for_twice_as_many_processes(tmp_path: Path) -> None:
    taken = sum(
        it.replicas * (it.settings(tmp_path / "secrets").database.pool_size + 1)
        for it in containers.composed()
        if not it.migrates
    )
    options = dict(it.split("=") for it in containers.postgres_options())
    # 20 for backups, people, migrations and monitoring (docs/postgresql.md).
    assert int(options["max_connections"]) >= 2 * taken + 20


@each_container
def test_a_container_has_no_rights_and_limits(place: str, container: Container) -> None:
    if place == "compose":
        service = compose()["services"][container.name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        limits = service["deploy"]["resources"]["limits"]
        assert (limits["cpus"], limits["memory"]) == ("1.0", "512M")
        return
    (pod,) = [it for owner, it in pods() if owner["metadata"]["name"] == container.name]
    (spec,) = pod["spec"]["containers"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi"},
        "limits": {"cpu": "1000m", "memory": "512Mi"},
    }


def test_the_deployments_differ_by_role_and_files_alone() -> None:
    alike = []
    for it in of_kind("Deployment"):
        text = yaml.safe_dump(it["spec"]["template"])
        text = text.replace(it["metadata"]["name"].removeprefix("nizam-"), "ROLE")
        pod = yaml.safe_load(text)
        (container,) = pod["spec"]["containers"]
        container["env"] = []
        container["volumeMounts"] = [m for m in container["volumeMounts"] if m["name"] != "media"]
        pod["spec"]["volumes"] = [v for v in pod["spec"]["volumes"] if v["name"] != "media"]
        alike.append(pod)
    assert alike.count(alike[0]) == len(alike) == len(Role)


def test_what_an_object_names_is_there() -> None:
    names = {(it["kind"], it["metadata"]["name"]) for it in containers.manifests()}
    labelled = {it["metadata"]["name"]: it["metadata"]["labels"] for _, it in _templates()}
    for owner, pod in pods():
        for volume in pod["spec"]["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in names
        assert pod["metadata"]["labels"].items() <= owner["metadata"]["labels"].items()
    for it in of_kind("HorizontalPodAutoscaler"):
        target = it["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in names
    for it in of_kind("Service", "PodDisruptionBudget", "Deployment"):
        selector = it["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        chosen = [name for name, found in labelled.items() if wanted.items() <= found.items()]
        assert chosen == [it["metadata"]["name"]]
    for it in of_kind("Ingress"):
        for rule in it["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                assert ("Service", path["backend"]["service"]["name"]) in names


def _templates() -> list[tuple[str, dict[str, Any]]]:
    return [
        (owner["kind"], {"metadata": owner["metadata"] | pod["metadata"]})
        for owner, pod in pods()
        if owner["kind"] == "Deployment"
    ]


def test_probes_ask_what_the_daemon_answers_and_a_stop_has_its_time() -> None:
    from nizam.tap import STOP_SECONDS

    for it in of_kind("Deployment"):
        pod = it["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        asked = [
            container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness", "startup")
        ]
        assert [probe["path"] for probe in asked] == list(PROBES)
        assert {probe["port"] for probe in asked} == {container["ports"][0]["name"]}
        nap = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert pod["terminationGracePeriodSeconds"] >= nap + STOP_SECONDS + 5
    for container in containers.composed():
        grace = compose()["services"][container.name]["stop_grace_period"]
        assert float(grace.removesuffix("s")) >= STOP_SECONDS + 5


def test_the_autoscaler_asks_for_a_metric_that_is_exported() -> None:
    (external,) = [
        metric["external"]["metric"]
        for it in of_kind("HorizontalPodAutoscaler")
        for metric in it["spec"]["metrics"]
        if metric["type"] == "External"
    ]
    assert external["selector"]["matchLabels"].keys() <= labels()[external["name"]]
    adapter = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())
    (rule,) = adapter["rules"]["external"]
    assert rule["name"]["as"] == external["name"]
    assert rule["seriesQuery"].startswith(external["name"] + "{")


def test_whoever_is_not_named_reaches_nothing() -> None:
    policies = {it["metadata"]["name"]: it["spec"] for it in of_kind("NetworkPolicy")}
    nothing = policies.pop("nothing")
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    reached_from_outside = {
        tuple(it["podSelector"]["matchExpressions"][0]["values"])
        for name, it in policies.items()
        if name == "nizam-clients"
    }
    assert reached_from_outside == {("api", "realtime")}
    (world,) = policies["nizam-to-the-world"]["egress"]
    private = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"}
    assert private <= set(world["to"][0]["ipBlock"]["except"])


def test_compose_publishes_only_the_balancer_and_what_switches_ask() -> None:
    published = {name: it["ports"] for name, it in compose()["services"].items() if "ports" in it}
    assert published == {
        "nginx": ["80:80", "443:443"],
        "xml-1": ["127.0.0.1:8081:8080"],
        "xml-2": ["127.0.0.1:8082:8080"],
    }


def test_the_secrets_of_compose_are_made_once(tmp_path: Path) -> None:
    place = tmp_path / "secrets"
    place.mkdir()
    shutil.copy2(COMPOSE / "secrets/make.sh", place)

    def made() -> dict[str, str]:
        subprocess.run([place / "make.sh"], check=True, capture_output=True, timeout=20)
        return {it.name: it.read_text() for it in place.iterdir() if it.name != "make.sh"}

    first = made()
    assert made() == first
    assert len(set(first.values())) == len(first)
    files = {it["file"].removeprefix("./secrets/") for it in compose()["secrets"].values()}
    assert set(first) == files
    assert place.stat().st_mode & 0o077 == 0
