"""The validity rule: whatever dead, frozen or doubled owners append, every reader agrees on one history.

Told as stories, drawn by chance, and, in `fencing_model`, looked at in every order there is.
"""

import random  # noqa: TID251 - seeds are printed by the parameter

import pytest

from contract.broken_rules import PLANTED
from contract.fencing_model import BUSY, WIDE, Bounds, Model, Rule, found
from naru.wire import JournalReader, Open, Record


def rec(nonce: str, seq: int, i: int = 0) -> Record:
    return Record(n=nonce, s=seq, i=i, t=0)


def test_a_record_counts_only_under_the_nonce_in_force_and_in_sequence() -> None:
    reader = JournalReader()
    assert reader.accept(Open(n="a", prev="", worker="w"))
    assert reader.accept(rec("a", 0))
    assert not reader.accept(rec("a", 0)), "a duplicate"
    assert not reader.accept(rec("a", 2)), "a gap"
    assert not reader.accept(rec("z", 1)), "somebody else's"
    assert reader.accept(rec("a", 1))


def test_a_late_duplicate_of_a_claim_does_not_revive_a_dead_owner() -> None:
    reader = JournalReader()
    assert reader.accept(Open(n="a", prev="", worker="w"))
    assert reader.accept(Open(n="b", prev="a", worker="w"))
    assert not reader.accept(Open(n="a", prev="", worker="w"))
    assert not reader.accept(rec("a", 0))
    assert reader.accept(rec("b", 0))
    assert reader.ignored == 2


def test_of_two_claims_on_the_same_predecessor_the_first_in_the_log_wins() -> None:
    reader = JournalReader()
    assert reader.accept(Open(n="a", prev="", worker="w"))
    assert reader.accept(Open(n="b", prev="a", worker="w1"))
    assert not reader.accept(Open(n="c", prev="a", worker="w2"))
    assert reader.nonce == "b"


@pytest.mark.parametrize("seed", range(50))
def test_inputs_are_decided_exactly_once_and_in_order_whatever_owners_do(seed: int) -> None:
    """Owners that crash, freeze, and whose appends land twice or late: the valid records answer each input once."""
    chance = random.Random(seed)
    journal: list[Open | Record] = []
    late: list[Open | Record] = []
    inputs = 40
    done = JournalReader()
    for nonce in (f"n{number}" for number in range(12)):
        reader = JournalReader()
        for record in journal:
            reader.accept(record)
        mine: list[Open | Record] = [Open(n=nonce, prev=reader.nonce, worker=nonce)]
        at = reader.in_next
        mine += [rec(nonce, seq, at + seq + 1) for seq in range(chance.randrange(8)) if at + seq < inputs]
        for record in mine:
            fate = chance.random()
            if fate < 0.15:
                late.append(record)  # sent, not seen, lands after a successor has begun
                break
            journal.append(record)
            if fate < 0.3:
                late.append(record)
        while late and chance.random() < 0.5:
            journal.append(late.pop(chance.randrange(len(late))))
    valid = [record for record in journal if done.accept(record)]
    answered = [record.i for record in valid if isinstance(record, Record)]
    assert answered == list(range(1, len(answered) + 1))


# -- every order there is


@pytest.mark.parametrize("bounds", [WIDE, BUSY], ids=str)
def test_in_no_order_is_an_input_answered_twice_or_left_out_or_a_dead_owner_revived(bounds: Bounds) -> None:
    states, complete = Model(bounds).explore()
    print(f"{bounds}: {states} states, all answered in {complete} of them")
    assert states > 90_000, "a model that cannot move proves nothing"
    assert complete > states / 4, "a rule that lets nobody through is safe, and of no use"


@pytest.mark.parametrize("rule", PLANTED, ids=lambda rule: rule.__name__)
def test_a_rule_that_is_wrong_is_found(rule: Rule) -> None:
    broken = found(rule)
    print(f"{rule.__name__}: {broken or 'NOT FOUND'}")
    assert broken is not None


def test_the_rule_knows_nothing_that_the_model_forgets() -> None:
    """Else two states that the model takes for one might differ in what comes after them."""
    assert vars(JournalReader()).keys() == {"nonce", "seq", "in_next", "ignored"}
