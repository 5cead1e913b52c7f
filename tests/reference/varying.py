"""Arrivals that follow a repeating schedule: M(t)/M/c with bounded lines or exponential patience, exactly.

The number in the center is a birth-death chain whose birth rate is constant over each segment; its law at the start of
the period is the fixed point of one period. Figures average over the contacts of a whole period.
"""

from functools import reduce

import numpy as np

from reference.erlang import Figures


def scheduled(
    agents: int,
    segments: list[tuple[float, float]],
    handling_s: float,
    *,
    places: int | None = None,
    leave: float = 0.0,
    states: int = 60,
) -> Figures:
    """`segments` are (seconds, arrivals per second). Without `places` the chain is cut at `states`, which must not matter."""
    top = places or states
    n = np.arange(top + 1)
    pieces = []
    for seconds, rate in segments:
        down = np.minimum(n, agents) / handling_s + np.maximum(n - agents, 0) * leave
        generator = np.diag(np.full(top, rate), 1) + np.diag(down[1:], -1)
        generator -= np.diag(generator.sum(axis=1))
        pieces.append((rate, *_move_and_stay(generator, seconds)))
    period = reduce(np.matmul, [move for _, move, _ in pieces])
    balance = period.T - np.eye(top + 1)
    balance[0] = 1.0
    law = np.linalg.solve(balance, np.eye(top + 1)[0])
    offered = blocked = waited = queue = busy = 0.0
    for rate, move, stay in pieces:
        time = law @ stay
        law = law @ move
        offered += rate * time.sum()
        blocked += rate * time[top] if places else 0.0
        waited += rate * float(time[agents : top if places else top + 1].sum())
        queue += float(time @ np.maximum(n - agents, 0))
        busy += float(time @ np.minimum(n, agents))
    admitted = offered - blocked
    return {
        "wait_probability": float(waited / admitted),
        "wait_all_s": float(queue / admitted),
        "abandonment": float(leave * queue / admitted),
        "occupancy": busy / agents / sum(seconds for seconds, _ in segments),
        "blocking": float(blocked / offered),
    }


def _move_and_stay(generator: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """e^(Qt) and its integral from 0 to t: a short step by its series, then doubled."""
    size = len(generator)
    doublings = max(0, int(np.ceil(np.log2(np.abs(np.diag(generator)).max() * seconds))) + 4)
    h = seconds / 2**doublings
    move, stay, term = np.eye(size), np.zeros((size, size)), np.eye(size)
    for k in range(1, 16):
        stay = stay + term * h / k
        term = term @ generator * (h / k)
        move = move + term
    for _ in range(doublings):
        stay = stay + move @ stay
        move = move @ move
    return move, stay
