"""Compose and Kubernetes say what the schemas allow, what the program knows, and what keeps a process from harm."""

import base64
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from conftest import not_proved
from naru.members import ROLES
from naru.settings import IGNORED, SECRET_PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = (ROOT / "compose.yaml", DEPLOY / "compose.scale-out.yaml")
KUBERNETES = DEPLOY / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
SCHEMAS = ("1.30", "1.37")
"""The oldest Kubernetes that the manifests are for, and the newest whose schema is here."""
DRAIN_S = 30
UID = 10001
KNOWN = {f"NARU_{name.upper()}" for name in Settings.__struct_fields__}
OF_COMPOSE = {"NARU_DB_PASSWORD"}
"""What the compose file alone puts together into a setting."""
OF_CADDY = {"NARU_SITE", "NARU_GATEWAYS"}
SECRET = ("PASSWORD", "KEY", "SECRET", "TOKEN", "DATABASE_URL")
READY = {"KAFKA", "DATABASE_URL", "MASTER_KEY", "SHARDS", "PUBLIC_URL"}


def yaml_of(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml_of(COMPOSE[1])["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services().items() if service["image"].startswith("naru:")}


def objects(files: list[str] | None = None) -> list[dict[str, Any]]:
    names = files or KUSTOMIZATION["resources"]
    return [one for name in names for one in yaml.safe_load_all((KUBERNETES / name).read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """The pods' own spec by the name of what makes them."""
    makers = [one for one in objects() if one["kind"] in ("StatefulSet", "Deployment", "Job")]
    return {maker["metadata"]["name"]: maker["spec"]["template"]["spec"] for maker in makers}


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in objects() if one["kind"] == kind]


def named_settings() -> dict[str, set[str]]:
    """Every NARU_ variable that a file of deploy/ names, by file."""
    files = [path for path in (*COMPOSE, *DEPLOY.rglob("*")) if path.is_file() and path.suffix != ".json"]
    return {str(path.relative_to(ROOT)): set(re.findall(r"\bNARU_[A-Z_0-9]+\b", path.read_text())) for path in files}


# -- settings


def test_every_setting_that_is_named_is_one() -> None:
    known = KNOWN | OF_COMPOSE | OF_CADDY | IGNORED | {SECRET_PREFIX, "NARU_GATEWAY_PORT"}
    assert {file: more for file, names in named_settings().items() if (more := names - known)} == {}


def test_no_secret_stands_in_a_file() -> None:
    for service in services().values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in SECRET):
                assert re.search(r"\$\{\w+:\?", value), name
                assert not re.search(r"://[^$]*:[^$]+@", value), name
    assert of_kind("Secret") == [] and "secretGenerator" not in KUSTOMIZATION
    literals = [line.partition("=")[0] for made in KUSTOMIZATION["configMapGenerator"] for line in made["literals"]]
    assert [name for name in literals if any(name.endswith(word) for word in SECRET)] == []
    assert {"envFrom"} <= set(pods()["naru-gateway"]["containers"][0])


# -- compose


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_compose_files_keep_to_the_specification(file: Path) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.compose-spec", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_has_every_role_and_each_its_own_name() -> None:
    serving = [service["command"] for service in ours().values() if service["command"][:2] == ["naru", "serve"]]
    counts = {role: sum(command[2] == role for command in serving) for role in ROLES}
    assert counts["gateway"] >= 2 and counts["router"] >= 2 and min(counts.values()) >= 1
    workers = [service["environment"]["NARU_WORKER"] for service in ours().values()]
    assert len(workers) == len(set(workers))
    spools = [s["volumes"][-1] for s in ours().values() if "NARU_SPOOL_DIR" in s["environment"]]
    assert len(spools) == len(set(spools)) == counts["gateway"], "every gateway has a spool of its own"


def test_compose_starts_nothing_before_what_it_needs() -> None:
    everything = services()
    for name, service in ours().items():
        waits = service["depends_on"]
        if name == "upgrade":
            assert set(waits) == {"kafka-1", "kafka-2", "kafka-3", "postgres"}
            assert {how["condition"] for how in waits.values()} == {"service_healthy"}
        else:
            assert waits == {"upgrade": {"condition": "service_completed_successfully"}}, name
        assert {variable.removeprefix("NARU_") for variable in service["environment"]} >= READY, name
    for service in everything.values():
        for on, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in everything[on] or everything[on]["image"].startswith("naru:")


def test_compose_pins_images_names_volumes_and_confines_ours() -> None:
    document = yaml_of(COMPOSE[1])
    for name, service in services().items():
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+.*", service["image"]), service["image"]
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            there = (DEPLOY / source).exists() if source.startswith(".") else source in document["volumes"]
            assert there, f"{name}: {volume}"
        if name != "proxy":
            assert "ports" not in service, f"{name} would be open to the machine's network"
    one = [yaml_of(COMPOSE[0])["services"]["naru"]]
    for service in (*ours().values(), *one):
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert int(service["stop_grace_period"].removesuffix("s")) >= DRAIN_S


def test_kafka_in_compose_keeps_what_two_nodes_have() -> None:
    nodes = {name: service["environment"] for name, service in services().items() if name.startswith("kafka-")}
    assert len(nodes) == 3 and len({node["KAFKA_NODE_ID"] for node in nodes.values()}) == 3
    voters = ",".join(f"{node['KAFKA_NODE_ID']}@{name}:9093" for name, node in nodes.items())
    for name, node in nodes.items():
        assert node["KAFKA_CONTROLLER_QUORUM_VOTERS"] == voters
        assert node["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"
        assert (node["KAFKA_MIN_INSYNC_REPLICAS"], node["KAFKA_DEFAULT_REPLICATION_FACTOR"]) == ("2", "3")
        assert node["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == node["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert len(base64.urlsafe_b64decode(node["CLUSTER_ID"] + "==")) == 16


# -- Kubernetes


@pytest.mark.parametrize("version", SCHEMAS)
def test_manifests_keep_strictly_to_the_schema(version: str) -> None:
    for one in objects():
        kubernetes_validate.validate(one, version, strict=True)


def test_a_misspelt_field_would_be_seen() -> None:
    (job,) = of_kind("Job")
    job["spec"]["template"]["spec"]["containers"][0]["imagePullpolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, SCHEMAS[0], strict=True)


def test_the_kustomization_builds_and_is_valid() -> None:
    if shutil.which("kubectl") is None:
        not_proved("that the kustomization builds", "kubectl")
    built = subprocess.run(["kubectl", "kustomize", str(KUBERNETES)], capture_output=True, text=True, timeout=60)
    assert (built.returncode, built.stderr) == (0, "")
    made = list(yaml.safe_load_all(built.stdout))
    for one in made:
        kubernetes_validate.validate(one, SCHEMAS[-1], strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "naru"
    (settings,) = (one for one in made if one["kind"] == "ConfigMap")
    for maker in (one for one in made if "template" in one.get("spec", {})):
        (container,) = maker["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"][0]["configMapRef"]["name"] == settings["metadata"]["name"]
        assert re.fullmatch(r".+/naru:[\w.]+", container["image"])


def test_the_kustomization_names_every_manifest() -> None:
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert sorted(KUSTOMIZATION["resources"]) == sorted(there)


def test_every_role_runs_twice_under_a_name_of_its_own() -> None:
    for role in ROLES:
        (maker,) = (one for one in objects() if one["metadata"]["name"] == f"naru-{role}" and "template" in one["spec"])
        (container,) = maker["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["naru", "serve", role]
        environment = {one["name"]: one for one in container["env"]}
        assert environment["NARU_WORKER"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        scaled = {h["spec"]["scaleTargetRef"]["name"]: h["spec"] for h in of_kind("HorizontalPodAutoscaler")}
        name = maker["metadata"]["name"]
        replicas = scaled[name]["minReplicas"] if name in scaled else maker["spec"]["replicas"]
        assert replicas >= 2 and (name in scaled) == ("replicas" not in maker["spec"]), role
        if maker["kind"] == "StatefulSet":
            assert maker["spec"]["serviceName"] in {one["metadata"]["name"] for one in of_kind("Service")}
        labels = maker["spec"]["template"]["metadata"]["labels"]
        (budget,) = (one for one in of_kind("PodDisruptionBudget") if one["metadata"]["name"] == name)
        assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
        assert maker["spec"]["selector"]["matchLabels"] == labels
        assert maker["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == "8620"


def test_every_pod_is_confined_and_no_service_gives_it_settings() -> None:
    for name, pod in pods().items():
        assert pod["enableServiceLinks"] is False, f"{name}: Kubernetes would set unknown NARU_ variables"
        assert pod["automountServiceAccountToken"] is False
        about = pod["securityContext"]
        assert about["runAsNonRoot"] and (about["runAsUser"], about["runAsGroup"]) == (UID, UID)
        assert about["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert container["resources"]["limits"].keys() == {"memory"}
            volumes = {volume["name"] for volume in pod["volumes"]}
            mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
            assert mounts["data"] == "/data" and mounts["tmp"] == "/tmp"
            assert set(mounts) - volumes <= {"spool"}


def test_every_role_is_probed_and_has_time_to_drain() -> None:
    for name, pod in pods().items():
        if name == "naru-upgrade":
            continue
        (container,) = pod["containers"]
        probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
        assert probes == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}, name
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        assert pod["terminationGracePeriodSeconds"] >= DRAIN_S + int(before[1]) + 5, name


def test_nothing_comes_in_or_goes_out_that_is_not_named() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind("NetworkPolicy")}
    assert policies["naru-nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        if name != "naru-nothing":
            assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "naru"
        for rule in policy.get("ingress", ()):
            assert rule["from"] and rule["ports"] == [{"protocol": "TCP", "port": "http"}], name
        for peer in (peer for rule in policy.get("egress", ()) for peer in rule.get("to", ())):
            assert "169.254.0.0/16" in peer["ipBlock"]["except"] or ":" in peer["ipBlock"]["cidr"], name


def test_the_secrets_are_those_that_the_guide_says_to_make() -> None:
    wanted: set[str] = set()
    for pod in pods().values():
        wanted |= {source["secretRef"]["name"] for source in pod["containers"][0]["envFrom"] if "secretRef" in source}
        wanted |= {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    guide = (ROOT / "docs" / "operating.md").read_text()
    assert wanted == {"naru-secrets", "naru-kafka"}
    assert all(re.search(rf"create secret generic {name}\b", guide) for name in wanted)
    assert SECRET_PREFIX in guide
