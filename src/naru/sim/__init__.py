"""The simulator: what a center would do, told by the production core itself under a virtual clock.

`simulate(scenario)` gives the figures. The same scenario gives the same figures, on any machine, in any number of
processes.
"""

from collections.abc import Iterator
from typing import Any

from naru.sim import replications
from naru.sim.replications import Progress
from naru.sim.report import report
from naru.sim.scenario import BadScenario, Scenario, check, parse

__all__ = ["BadScenario", "Scenario", "check", "journal", "parse", "simulate"]


def simulate(
    scenario: dict[str, Any] | Scenario, processes: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """The figures of a scenario: counts, and `{mean, ci95}` each. Raises BadScenario.

    Replications spread over as many processes as there are cores; 1 runs them here.
    """
    known = scenario if isinstance(scenario, Scenario) else check(scenario)
    return report(known, replications.run(known, processes, progress))


def journal(scenario: dict[str, Any] | Scenario) -> Iterator[bytes]:
    """What happened in the first replication, a line for each decision. Raises BadScenario."""
    return replications.journal(scenario if isinstance(scenario, Scenario) else check(scenario))
