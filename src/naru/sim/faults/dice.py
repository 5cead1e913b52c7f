"""Chance for fault simulation: one seeded stream, and the few words that the world needs of it."""

from collections.abc import Sequence
from typing import TypeVar

from naru.sim.chance import stream

T = TypeVar("T")


class Dice:
    def __init__(self, seed: int, purpose: str) -> None:
        self._next = stream(seed, 0, "faults", purpose)

    def chance(self, share: float) -> bool:
        return self._next() < share

    def pick(self, among: Sequence[T]) -> T:
        return among[int(self._next() * len(among))]

    def some(self, among: Sequence[T], most: int) -> list[T]:
        """Up to so many of them, each at most once, in their order."""
        left = list(range(len(among)))
        chosen = [left.pop(int(self._next() * len(left))) for _ in range(min(self.count(0, most), len(among)))]
        return [among[number] for number in sorted(chosen)]

    def count(self, least: int, most: int) -> int:
        return least + int(self._next() * (most - least + 1))

    def seconds(self, least: float, most: float) -> float:
        """Whole milliseconds, so that what is printed is what was."""
        return round(least + self._next() * (most - least), 3)

    def weighted(self, weights: Sequence[float]) -> int:
        """A number below len(weights), each as likely as its weight."""
        at = self._next() * sum(weights)
        for number, weight in enumerate(weights):
            at -= weight
            if at < 0:
                return number
        return len(weights) - 1
