"""The files for ops that come with the program: inside the package in a wheel, under deploy/ in the repository."""

from pathlib import Path

PACKAGE = Path(__file__).parent
REPOSITORY = PACKAGE.parent.parent

DASHBOARD = ("grafana.json", "deploy/grafana/naru.json")
ALERTS = ("alerts.yaml", "deploy/prometheus/alerts.yaml")


def shipped(file: tuple[str, str]) -> str:
    """The text of a file, given as its places in the package and in the repository."""
    inside, outside = PACKAGE / file[0], REPOSITORY / file[1]
    return (inside if inside.exists() else outside).read_text(encoding="utf-8")
