"""The judge: reads the raw topics from their beginning and knows nothing of Naru but what its records say.

The rule of validity is written down here once more (an `open` counts when its `prev` is the nonce in force, a record
when its nonce is in force and its number follows), and so is what must never happen.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from chaos.load import Ledger

UNITS, COST = 100, 20
ENDS = ("OfferAccepted", "OfferDeclined", "OfferTimedOut", "OfferWithdrawn")


@dataclass
class Verdict:
    inputs: int = 0
    records: int = 0
    ignored: int = 0
    claims: int = 0
    contacts: int = 0
    offers: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unfinished: int = 0
    sends: Counter[str] = field(default_factory=Counter)
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When each input came to the log, and how long it waited there for its decision, s; both by the broker's clock."""


async def raw(servers: str, topic: str, shards: int) -> list[list[tuple[float, Any]]]:
    """Every record of a topic, by partition: (time, value)."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    partitions = [TopicPartition(topic, shard) for shard in range(shards)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    found: list[list[tuple[float, Any]]] = [[] for _ in partitions]
    for partition in partitions:
        consumer.seek(partition, 0)
    while any(len(found[p.partition]) < ends[p] for p in partitions):
        for partition, records in (await consumer.getmany(timeout_ms=500)).items():
            for record in records:
                assert record.offset == len(found[partition.partition]), "offsets are without a gap"
                found[partition.partition].append((record.timestamp / 1000, json.loads(record.value)))
    await consumer.stop()
    return found


class Shard:
    """One shard's journal, record by record."""

    def __init__(self, number: int, verdict: Verdict, came: list[float]) -> None:
        self.number, self.verdict, self._came = number, verdict, came
        self.nonce, self.seq, self.in_next = "", -1, 0
        self.keys: Counter[tuple[str, str]] = Counter()  # (workspace, message key)
        self.completed: set[str] = set()
        self.accepted: set[tuple[str, str]] = set()
        self._offer: dict[str, tuple[str, str]] = {}  # contact -> live (offer, agent)
        self._made: set[str] = set()
        self._owner: dict[str, str] = {}  # contact -> agent
        self._numbers: dict[str, int] = {}
        self._open: set[str] = set()
        self._released: set[str] = set()

    def take(self, t: float, record: dict[str, Any]) -> None:
        if record["k"] == "open":
            if record.get("prev", "") != self.nonce or record["n"] == self.nonce:
                self.verdict.ignored += 1
                return
            self.nonce, self.seq = record["n"], -1
            self.verdict.claims += 1
            return
        if record["n"] != self.nonce or record["s"] != self.seq + 1:
            self.verdict.ignored += 1
            return
        self.seq = record["s"]
        self.verdict.records += 1
        if record["i"] not in (self.in_next, self.in_next + 1):
            self.verdict.wrong.append(f"shard {self.number}: input {record['i']} after {self.in_next}")
        if record["i"] == self.in_next + 1:
            came = self._came[self.in_next]
            self.verdict.waits.append((came, t - came))
        self.in_next = record["i"]
        for event in record.get("ev", ()):
            self._happens(record.get("workspace", ""), event)

    def _happens(self, workspace: str, event: dict[str, Any]) -> None:
        kind, contact, wrong = event["type"], event.get("contact"), self.verdict.wrong
        if kind == "MessageAdded":
            conversation = event["conversation"]
            expected = self._numbers.get(conversation, 0) + 1
            if event["number"] != expected:
                wrong.append(f"message {event['number']} of {conversation} came as number {expected}")
            self._numbers[conversation] = event["number"]
            if event["author"] == "customer":
                self.keys[workspace, event["key"]] += 1
        elif kind == "ConversationForgotten":
            self._numbers.pop(event["conversation"], None)
        elif kind == "ContactOpened":
            self.verdict.contacts += 1
            self._open.add(contact or "")
        elif kind == "OfferMade":
            self._offered(event)
        elif kind in ENDS:
            if self._offer.pop(contact or "", None) != (event["offer"], event["agent"]):
                wrong.append(f"{kind} of an offer that was not open: {event['offer']}")
            if kind == "OfferAccepted":
                self._owner[contact or ""] = event["agent"]
                self.accepted.add((event["offer"], event["agent"]))
        elif kind == "ContactRequeued":
            self._owner.pop(contact or "", None)
        elif kind == "ContactCompleted":
            self._owner.pop(contact or "", None)
            self._open.discard(contact or "")
            self.completed.add(contact or "")
        elif kind in ("SendRequested", "SendClaimed"):
            self.verdict.sends[kind.removeprefix("Send").lower()] += 1
        elif kind == "SendEnded":
            self.verdict.sends[event["result"]] += 1
        if kind in ("OfferMade", "OfferAccepted"):
            held = Counter(self._owner.values()) + Counter(agent for _, agent in self._offer.values())
            agent = f"{event['agent']}"
            if held[agent] * COST > UNITS:
                wrong.append(f"{workspace}/{agent} holds {held[agent]} contacts")

    def _offered(self, event: dict[str, Any]) -> None:
        contact, offer = event["contact"], event["offer"]
        self.verdict.offers += 1
        if contact in self._offer or contact in self._owner or contact in self.completed or offer in self._made:
            self.verdict.doubled.append(f"offer {offer} of {contact}, which has another offer or an owner")
        self._made.add(offer)
        self._offer[contact] = (offer, event["agent"])

    def end(self) -> None:
        self.verdict.unfinished += len(self._open)


async def judge(servers: str, prefix: str, shards: int, ledger: Ledger) -> Verdict:
    verdict = Verdict()
    inputs = await raw(servers, f"{prefix}.in", shards)
    journal = await raw(servers, f"{prefix}.journal", shards)  # read later: it has answered at least these
    known = [Shard(number, verdict, [t for t, _ in inputs[number]]) for number in range(shards)]
    for shard in known:
        for t, record in journal[shard.number]:
            shard.take(t, record)
        shard.end()
        verdict.inputs += len(inputs[shard.number])
        if shard.in_next < len(inputs[shard.number]):
            left = len(inputs[shard.number]) - shard.in_next
            verdict.wrong.append(f"shard {shard.number}: {left} inputs were never decided")
    keys = sum((shard.keys for shard in known), Counter())
    verdict.lost += [f"{w}/{id_}" for w, id_ in ledger.acknowledged if not keys[w, id_]]
    verdict.doubled += [f"message {key} was added {n} times" for key, n in keys.items() if n > 1]
    completed = set().union(*(shard.completed for shard in known))
    accepted = set().union(*(shard.accepted for shard in known))
    verdict.lost += [f"completion of {contact}" for contact in ledger.completed - completed]
    verdict.lost += [f"acceptance of {offer}" for offer in ledger.accepted - accepted]
    return verdict
