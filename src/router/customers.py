"""Customers who are one person: somebody says so, or takes it back. The engine notes it, the store links them.

A customer is one identity, and stays one: its conversations, its place in line and its last agent are its own. So
nothing here is remembered, and nothing that waits or rings is touched. Saying the same again says nothing new.
"""

from router import events
from router.inputs import MergeCustomer, SplitCustomer
from router.turn import OK, Answer, Refusal, Turn


def merge(turn: Turn, wish: MergeCustomer) -> Answer:
    _are_two(wish.customer, wish.into)
    turn.emit(events.CustomerMerged(customer=wish.customer, into=wish.into, by=wish.by))
    return OK


def split(turn: Turn, wish: SplitCustomer) -> Answer:
    _are_two(wish.customer, wish.other)
    turn.emit(events.CustomerSplit(customer=wish.customer, other=wish.other, by=wish.by))
    return OK


def _are_two(customer: str, other: str | None) -> None:
    if customer == other:
        raise Refusal(422, "same-customer")
