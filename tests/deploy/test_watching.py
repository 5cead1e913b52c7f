"""The dashboard and the alerts ask for metrics that are there, in words Prometheus takes, and every alert says what to do."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from conftest import not_proved
from naru.observe import Metrics
from support.promql import Asked, asked, grouped

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
STORIES = sorted((ROOT / "tests" / "data").glob("alerts*.yaml"))
OTHERS = {
    "kubelet_volume_stats_available_bytes": ("persistentvolumeclaim",),
    "kubelet_volume_stats_capacity_bytes": ("persistentvolumeclaim",),
    "node_filesystem_avail_bytes": ("mountpoint",),
    "node_filesystem_size_bytes": ("mountpoint",),
}
"""Metrics of Kubernetes and of Prometheus' node exporter."""
OF_THE_SCRAPE = {"instance", "job", "namespace", "pod"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def registry() -> dict[str, tuple[str, ...]]:
    """Every series that the program has, with its labels."""
    fold: Any = SimpleNamespace(pools={}, ignored=0, subscribe=lambda subscriber: None)
    metrics = Metrics()
    metrics.watch(fold, lambda: 0.0)
    found: dict[str, tuple[str, ...]] = {}
    for collector in list(metrics.registry._collector_to_names):
        for family in collector.collect():
            owner: Any = collector if hasattr(collector, "_labelnames") else family
            more = ("le",) if family.type == "histogram" else ()
            for suffix in SUFFIXES[family.type]:
                found[family.name + suffix] = (*owner._labelnames, *more)
    return found


KNOWN = {**OTHERS, **registry()}


def faults(expression: str) -> list[str]:
    found: list[str] = []
    labels = set(OF_THE_SCRAPE)
    for metric, matched in asked(expression):
        found += [f"there is no metric {metric}"] if metric not in KNOWN else []
        labels |= set(KNOWN.get(metric, ()))
        found += [f"{metric} has no label {name}" for name in matched if name not in labels]
    return found + [f"nothing here has the label {name}" for name in sorted(grouped(expression) - labels)]


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "naru.json").read_text())
    return found


def queries() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings get: lower case, words joined by hyphens, no other marks."""
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def promtool(*args: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        not_proved("that Prometheus takes the rules", "promtool (apt package prometheus)")
    return subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=120)


# -- the tests' own eye


def test_the_reader_of_expressions_sees_metrics_and_labels() -> None:
    expression = (
        'sum by (le, queue) (rate(naru_a_bucket{code=~"5..|x{y}"}[5m])) / on(x) group_left(z) max(b) > 2 or vector(0)'
    )
    assert asked(expression) == [Asked("naru_a_bucket", ("code",)), Asked("b", ())]
    assert grouped(expression) == {"le", "queue", "x", "z"}


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(naru_contact_waiting)", "there is no metric naru_contact_waiting"),
        ("sum(rate(naru_offers[5m]))", "there is no metric naru_offers"),
        ('naru_offers_total{result="made"}', "naru_offers_total has no label result"),
        ("sum by (queues) (naru_contacts_waiting)", "nothing here has the label queues"),
    ],
)
def test_an_invented_name_is_seen(expression: str, fault: str) -> None:
    assert faults(expression) == [fault]


# -- the alerts


def test_alerts_ask_for_what_is_there() -> None:
    assert {rule["alert"]: found for rule in rules() if (found := faults(rule["expr"]))} == {}
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) and all(name.startswith("Naru") for name in names)


def test_every_alert_says_what_to_do() -> None:
    there = anchors((ROOT / "docs" / "operating.md").read_text())
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "warn"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "runbook"}, rule["alert"]
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operating.md" and anchor in there, rule["annotations"]["runbook"]


def test_prometheus_takes_the_alerts() -> None:
    checked = promtool("check", "rules", str(ALERTS))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_when_they_should_and_not_before() -> None:
    checked = promtool("test", "rules", *map(str, STORIES))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_of_ours_has_a_story() -> None:
    """An alert that no story makes fire may never fire at all."""
    documents = [yaml.safe_load(file.read_text()) for file in STORIES]
    cases = [case for document in documents for test in document["tests"] for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert {rule["alert"] for rule in rules()} - fired == set()


# -- the dashboard


def test_the_dashboard_asks_for_what_is_there() -> None:
    assert {query: found for query in queries() if (found := faults(query))} == {}


def test_the_dashboard_is_whole() -> None:
    board = dashboard()
    panels = board["panels"]
    assert board["uid"] == "naru" and len({panel["id"] for panel in panels}) == len(panels)
    names = {variable["name"] for variable in board["templating"]["list"]}
    assert names == {"datasource", "workspace", "queue"}
    for panel in (panel for panel in panels if panel["type"] != "row"):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        ids = [target["refId"] for target in panel["targets"]]
        assert ids and len(ids) == len(set(ids)), panel["title"]
        used = {name for target in panel["targets"] for name in re.findall(r"\$(\w+)", target["expr"])}
        assert used <= names | {"__rate_interval"}, panel["title"]
    for variable in board["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((\w+).*, (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
        assert label in KNOWN[metric]


def test_no_panel_lies_over_another() -> None:
    places: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for place in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert places.setdefault(place, panel["title"]) == panel["title"]


def test_prometheus_takes_the_dashboards_queries(tmp_path: Path) -> None:
    plain = [re.sub(r"\$(workspace|queue)\b", ".*", query.replace("$__rate_interval", "1m")) for query in queries()]
    recorded = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(plain)]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("command", "file"), [("grafana", "grafana/naru.json"), ("alerts", "prometheus/alerts.yaml")])
def test_the_command_line_prints_them(command: str, file: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "naru.cli", "ops", command], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "deploy" / file).read_text()
