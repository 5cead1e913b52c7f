"""Running a scenario's replications, here or spread over processes, and one of them as a journal.

A replication depends on the scenario and its number alone, so who runs it where and when changes nothing.
"""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import msgspec

from naru.sim.scenario import Scenario
from naru.sim.world import Tally, World
from router.events import Event

Progress = Callable[[float], None]
"""Told the share that is done, 0 to 1, now and then."""

POLL_S = 0.2
_shares: Any = None
"""In a worker: each replication's share done, in memory shared with the parent."""


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(scenario: Scenario, processes: int | None = None, progress: Progress | None = None) -> list[Tally]:
    """The tallies in order of replication."""
    spread = min(processes or cores(), scenario.replications)
    tell = progress or (lambda share: None)
    tallies = _run_here(scenario, tell) if spread == 1 else _run_spread(scenario, spread, tell)
    tell(1.0)
    return tallies


def _run_here(scenario: Scenario, tell: Progress) -> list[Tally]:
    count = scenario.replications

    def at(replication: int) -> Progress:
        return lambda share: tell((replication + share) / count)

    return [replicate(scenario, replication, at(replication)) for replication in range(count)]


def _run_spread(scenario: Scenario, processes: int, tell: Progress) -> list[Tally]:
    context = multiprocessing.get_context("spawn")
    shares = context.RawArray("d", scenario.replications)
    pool = ProcessPoolExecutor(processes, context, _begin, (shares,))
    try:
        jobs = [pool.submit(_replicate_for_parent, scenario, number) for number in range(scenario.replications)]
        while wait(jobs, POLL_S).not_done and not any(job.done() and job.exception() for job in jobs):
            tell(sum(shares) / scenario.replications)
        return [job.result() for job in jobs]
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(shares: Any) -> None:
    """In a worker, before its first replication. Ctrl-C ends it at once and without a word: the parent says enough."""
    global _shares
    _shares = shares
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _replicate_for_parent(scenario: Scenario, replication: int) -> Tally:
    def tell(share: float) -> None:
        _shares[replication] = share

    return replicate(scenario, replication, tell)


def replicate(scenario: Scenario, replication: int, tell: Progress) -> Tally:
    with _no_garbage_collection():
        return _told(scenario, replication, tell)


def _told(scenario: Scenario, replication: int, tell: Progress) -> Tally:
    world = World(scenario, replication)
    while world.advance():
        tell(world.progress)
    tell(1.0)
    return world.tally


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """The core makes no cycles, and looking for them in a million agents takes seconds.

    What was made meanwhile is all young, so that a look at the young finds the world, and at nothing that was there before.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
        gc.collect(0)


def journal(scenario: Scenario) -> Iterator[bytes]:
    """The first replication as lines of JSON, `[time, events]`, one for each decision."""
    encode = msgspec.json.Encoder().encode
    lines: list[bytes] = []

    def note(t: float, happened: list[Event]) -> None:
        lines.append(encode((t, happened)) + b"\n")

    world = World(scenario, 0, note=note)
    goes_on = True
    while goes_on:
        yield from lines
        lines.clear()
        goes_on = world.advance()
    yield from lines
