"""Student's t: the half-width of a 95 % interval over replications, and back to the standard error."""

import math
from functools import cache


@cache
def t975(degrees: int) -> float:
    """The 97.5 % point, by bisection on the distribution's own integral (in the angle, t = sqrt(n) tan a)."""
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(math.pi)

    def above_middle(angle: float, steps: int = 2000) -> float:
        h = angle / steps
        inside = sum((4 if i % 2 else 2) * math.cos(i * h) ** (degrees - 1) for i in range(1, steps))
        return scale * h / 3 * (1 + inside + math.cos(angle) ** (degrees - 1))

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if above_middle(middle) < 0.475 else (low, middle)
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def interval(values: list[float]) -> dict[str, float]:
    """{mean, ci95} of independent values, as the simulator prints a figure."""
    n = len(values)
    mean = sum(values) / n
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1)) if n > 1 else math.inf
    return {"mean": mean, "ci95": t975(n - 1) * spread / math.sqrt(n) if n > 1 else math.inf}


def standard_error(figure: dict[str, float], replications: int) -> float:
    return figure["ci95"] / t975(replications - 1)
