"""Everything goes wrong that may, a thousand times over, and nothing happens that must never happen.

The core: `naru.sim.faults`. A shard with its owners, readers and log: `shards`. That both would see a fault is shown by
planting some (`planted`). What they have found so far stands at the end, as stories.
"""

import gc
import multiprocessing
import os
import subprocess
import sys
import time
import typing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from naru import tame
from naru.sim.faults import run as core
from naru.sim.faults.__main__ import show
from router import events, inputs
from router.cells import CLOSED, IDLE, SIGNED, Cell, Cells, Need
from router.config import Queue, Step
from router.engine import expire
from router.line import Line
from router.memory import Contact
from router.model import KINDS, Identity, Thread
from simulation import planted, shards
from support.story import Story, agent, center

SEEDS = 1000
SHARD_SEEDS = 500
WORTH_IT = {"zombie records ignored": 20, "doubled records ignored": 0.5, "claims ignored": 1, "store away": 2}
"""So many per seed, or the shard is not under attack."""
TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def both_cores() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), tame.tame) as pool:
        yield pool


# -- a thousand seeds


def test_nothing_that_must_never_happen_happens_to_the_core(both_cores: ProcessPoolExecutor) -> None:
    began, total, failed = time.perf_counter(), core.Figures(), []
    for figures, failure in both_cores.map(core.run, range(1, SEEDS + 1), chunksize=20):
        total.add(figures)
        failed += [failure] if failure is not None else []
    show(total)
    print(f"in {time.perf_counter() - began:.0f} s")
    assert not failed, "\n\n".join(str(core.shrunk(failure)) for failure in failed[:3])
    assert not [kind.__name__ for kind in typing.get_args(inputs.AnyInput) if not total.inputs[kind.__name__]]
    assert not [kind.__name__ for kind in typing.get_args(events.AnyEvent) if not total.events[kind.__name__]]


def test_nothing_is_lost_or_doubled_whatever_happens_to_a_shard(both_cores: ProcessPoolExecutor) -> None:
    began, total, failed = time.perf_counter(), shards.Figures(), []
    for figures, failure in both_cores.map(shards.run, range(1, SHARD_SEEDS + 1), chunksize=10):
        total.add(figures)
        failed += [failure] if failure is not None else []
    print(f"{total.seeds} seeds: {dict(total.counts.most_common())} in {time.perf_counter() - began:.0f} s")
    assert not failed, "\n\n".join(str(failure) for failure in failed[:3])
    for what, least in WORTH_IT.items():
        assert total.counts[what] > least * total.seeds, f"too few {what} to prove anything"


# -- the harness itself


def test_every_planted_fault_is_found(both_cores: ProcessPoolExecutor) -> None:
    names = [*planted.CORE, *planted.RUNTIME]
    found = dict(zip(names, both_cores.map(planted.found, names), strict=True))
    for name, failure in found.items():
        where = f"{failure.seed:3} {getattr(failure, 'step', ''):>4} {failure.check}" if failure else "NOT FOUND"
        print(f"{name:52} {where}")
    assert not [name for name, failure in found.items() if failure is None]


def _digests(hash_seed: str, before: str = "") -> str:
    code = f"import sys; sys.argv = ['faults', '--seeds', '1-24', '--digest']\n{before}\n"
    code += "from naru.sim.faults.__main__ import main; sys.exit(main())"
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_same_seed_gives_the_same_journal_whatever_the_hash_seed() -> None:
    assert _digests("0") == _digests("1")


def test_the_journal_does_not_depend_on_how_short_the_runs_of_rows_are() -> None:
    few = "from pytest import MonkeyPatch; from support.short_rows import short_rows; short_rows(MonkeyPatch())"
    assert _digests("0", few) == _digests("0")


def test_an_order_that_comes_out_of_a_set_is_found_by_another_hash_seed() -> None:
    slip = "from pytest import MonkeyPatch; from simulation import planted; planted.order_of_a_set(MonkeyPatch())"
    assert _digests("0", slip) != _digests("1", slip)


def test_a_failing_seed_says_what_came_before_and_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    planted.CORE["a handler writes to memory"](monkeypatch)
    failure = next(failure for seed in range(1, 20) if (failure := core.run(seed)[1]) is not None)
    assert failure.command in str(failure) and len(failure.last) == core.SHOWN_INPUTS, str(failure)
    again = core.run(failure.seed, failure.steps)[1]
    assert again == failure
    less = core.shrunk(failure)
    assert less.check == failure.check and less.steps <= failure.steps
    assert core.run(less.seed, less.steps)[1] == less


# -- what was found


def own_call(story: Story, who: str, number: int = 1) -> Contact:
    identity, thread = Identity(scope="t", kind="phone", value="+8210"), Thread(external=f"own-{number}")
    wish = inputs.StartContact(agent=who, channel="voice", thread=thread, identity=identity)
    return story.pool.contacts[story.tell(wish).answer.contact or ""]


def test_a_session_that_ends_while_an_own_call_rings_its_agent_ends_it_once() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    own_call(story, "mina")
    story.tell(inputs.EndSession(channel="voice", thread=Thread(external="own-1")))
    assert len(story.happened(events.ContactCompleted)) == 1


def test_whoever_takes_over_what_was_parked_has_it_on_his_hands() -> None:
    story = Story(center(agent("mina"), agent("jun", maximum={"chat": 1})))
    story.on("mina")
    ann = story.arrives("ann")
    story.accepts("mina")
    story.tell(inputs.ParkContact(agent="mina", contact=ann.id))
    story.on("jun")
    assert story.tell(inputs.TakeOver(agent="jun", contact=ann.id)).answer.status == 200
    ben = story.arrives("ben")
    assert story.who_has(ben) == "mina"


def test_whoever_takes_over_what_was_interrupted_goes_on_with_it() -> None:
    story = Story(center(agent("mina"), agent("jun", maximum={"voice": 0})))
    story.on("mina")
    mail = story.arrives("ann", "email")
    story.accepts("mina")
    story.on("jun")
    story.tell(inputs.ConsultAgent(agent="mina", contact=mail.id, to_agent="jun"))
    story.arrives("ben", "voice")
    story.accepts("mina")
    story.tell(inputs.TransferContact(agent="mina", contact=mail.id, to_agent="jun"))
    assert (mail.agent, mail.status, mail.parked_for) == ("jun", "active", None)
    other = story.arrives("cat", "email")
    story.accepts("jun")
    story.completes("jun", other)
    assert not story.happened(events.ContactResumed)


def test_a_pool_that_was_restored_does_no_more_at_once_than_one_that_was_not() -> None:
    story = Story(center(queues=(Queue(id="care", name="Care", steps=(Step(after_s=5), Step(after_s=10))),)))
    for who in ("ann", "ben", "cat"):
        story.arrives(who)
    again = core.restored(story.pool)
    late = story.now + 100
    while (decision := expire(story.pool, late)) is not None:
        assert expire(again, late) == decision
    assert expire(again, late) is None


def test_numbers_are_told_the_same_before_and_after_a_restart() -> None:
    story = Story(center())
    ann = story.arrives("ann")
    told = story.tell(inputs.ReprioritiseContact(contact=ann.id, by="sue", tier=1)).events
    story.restored()
    assert repr(story.tell(inputs.ReprioritiseContact(contact=ann.id, by="sue", tier=1)).events) == repr(told)


def test_whoever_is_idle_longer_comes_first_in_a_need_that_was_made_late() -> None:
    cells = Cells()
    profile, open_ = cells.profile({"brand:shop": 1}), (0,) * len(KINDS)
    old, young = cells.add("old", profile), cells.add("young", profile)
    cells.set(old, (SIGNED, 1, CLOSED))
    cells.set(young, (SIGNED | IDLE, 2, open_))
    need = cells.need("chat", "longest_idle", {"brand:shop": 1})
    cells.set(old, (SIGNED | IDLE, 1, open_))
    assert cells.best(need) == old


def test_a_mail_whose_room_is_promised_to_a_call_is_not_wrapped_up_meanwhile() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    mail = story.arrives("ann", "email")
    story.accepts("mina")
    story.arrives("ben", "voice")
    refused = story.tell(inputs.WrapUpContact(agent="mina", contact=mail.id)).answer
    assert (refused.status, refused.code) == (409, "no-capacity")
    story.tell(inputs.EndSession(channel="email", thread=Thread(external="ann")))
    assert mail.id not in story.pool.contacts, "the customer has left: there is no room for a wrap-up"


def test_a_cool_down_is_not_over_because_another_offer_is() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    first = own_call(story, "mina")
    assert first.offer is not None
    story.tell(inputs.EndLeg(channel="voice", key=first.offer.id, leg="l", cause="failed"))
    assert story.pool.agents["mina"].cools_until is not None
    own_call(story, "mina", 2)
    story.tell(inputs.EndSession(channel="voice", thread=Thread(external="own-2")))
    assert story.pool.agents["mina"].cools_until is not None


def test_nobody_is_called_to_a_talk_for_which_he_has_no_room_whoever_carries_the_call() -> None:
    story = Story(center(agent("mina"), agent("jun", maximum={"voice": 1})))
    story.on("mina")
    identity, thread = Identity(scope="t", kind="external", value="ann"), Thread(external="ann")
    story.tell(inputs.ReceiveMessage(channel="voice", thread=thread, identity=identity, dedupe_key="m"))
    offered = story.offered("mina")
    assert offered is not None and offered.offer is not None and not offered.has_legs
    story.tell(inputs.AcceptOffer(agent="mina", offer=offered.offer.id))
    story.on("jun")
    story.arrives("ben")
    story.accepts("jun")
    answer = story.tell(inputs.ConsultAgent(agent="mina", contact=offered.id, to_agent="jun")).answer
    assert (answer.status, answer.code) == (409, "agent-not-open")


def test_what_waits_and_who_is_open_is_gone_with_a_center_that_is_thrown_away() -> None:
    def alive() -> list[int]:
        gc.collect()
        kept = gc.get_objects()
        return [sum(1 for object_ in kept if type(object_) is kind) for kind in (Line, Cell, Need)]

    before = alive()
    waits, open_ = Story(center()), Story(center(agent("mina"), agent("jun")))
    waits.arrives("ann")
    open_.on("mina")
    open_.on("jun")
    open_.arrives("ben")
    assert any(True for need in open_.pool.matching.cells.needs.values() for cell in need.cells for _ in cell)
    assert alive() > before
    waits.pool.rebuild()
    del waits, open_
    assert alive() == before
