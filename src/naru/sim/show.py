"""A simulation as its asker sees it: a bar that grows, how long it took, and the figures as a table.

Only the figures go to stdout; what is said meanwhile goes to stderr.
"""

import sys
import time  # measuring only: perf_counter is not banned
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from naru import sim
from naru.sim.scenario import Scenario

FIGURES = (
    ("wait_probability", "waits", 100, "%"),
    ("wait_all_s", "wait of all", 1, "s"),
    ("wait_answered_s", "wait of answered", 1, "s"),
    ("abandonment", "abandoned", 100, "%"),
    ("blocking", "blocked", 100, "%"),
    ("service_level", "service level", 100, "%"),
)
"""(name, in words, times, unit)"""
COUNTS = ("offered", "answered", "abandoned", "blocked", "unfinished")


def run(scenario: Scenario, processes: int | None, journal: Path | None) -> tuple[dict[str, Any], str]:
    """The figures, as data and as a table. Raises OSError when the journal cannot be written."""
    began = time.perf_counter()
    with _bar() as progress:
        found = sim.simulate(scenario, processes, progress)
    took_s = time.perf_counter() - began
    rate = found["contacts"] / took_s
    print(f"{found['contacts']:,} contacts in {took_s:.1f} s, {rate:,.0f} contacts/s", file=sys.stderr)
    left = found["total"].get("unfinished", 0)
    if left:
        print(
            f"{left:,} contacts still waited when the simulation was ended: nobody comes to serve them", file=sys.stderr
        )
    if journal is not None:
        with journal.open("wb") as file:
            file.writelines(sim.journal(scenario))
    return found, table(found)


@contextmanager
def _bar() -> Iterator[Callable[[float], None] | None]:
    """A progress bar, where somebody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=1.0)
        yield lambda share: bar.update(task, completed=share)


def table(found: dict[str, Any]) -> str:
    lines = [line for name, figures in found["queues"].items() for line in _queue(f"queue {name}", figures)]
    if len(found["queues"]) > 1:
        lines += _queue("all queues", found["total"])
    for name, figures in found["agents"].items():
        lines.append(f"agents {name}: occupancy {_figure(figures['occupancy'], 100, '%')}")
    return "\n".join(lines)


def _queue(title: str, figures: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{figures[name]:,} {name}" for name in COUNTS if name in figures)
    rows = [
        f"  {words:18} {_figure(figures[name], times, unit)}" for name, words, times, unit in FIGURES if name in figures
    ]
    return [f"{title}: {counts}", *rows]


def _figure(figure: dict[str, float | None], times: float, unit: str) -> str:
    mean, width = figure["mean"], figure["ci95"]
    if mean is None:
        return "-"
    return f"{mean * times:.2f} {unit}" + (f" ± {width * times:.2f}" if width is not None else "")
