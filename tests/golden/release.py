"""What an earlier release has left: its log, its database, and what must be found in them. One rule: never change it.

A release is a folder `v…` here: both SQLite files as SQL (gzip), and `expected.json`. `golden.make` has made it.
"""

import base64
import gzip
import hashlib
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

from naru.bus.sqlite import SqliteLog
from naru.fold import Fold, Snapshot, Snapshots
from naru.keyring import Keyring
from router.memory import Contact
from router.state import Pool
from support.center import Center

HERE = Path(__file__).parent
MASTER = bytes(range(32))
WORKSPACE = "main"
FILES = ("log", "store")


def keyring() -> Keyring:
    return Keyring(MASTER, bytes)


def environment(starts_at: float) -> dict[str, str]:
    """What a center needs to open what is sealed in a release, and to believe that it is then."""
    return {"NARU_MASTER_KEY": base64.b64encode(MASTER).decode(), "STARTS_AT": repr(starts_at)}


LAUNCHER = [sys.executable, str(HERE / "launcher.py")]


def keep(folder: Path, release: Path) -> None:
    """The data folder of a center that has ended, as a release."""
    release.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with sqlite3.connect(folder / f"{name}.sqlite") as connection:
            text = "\n".join(connection.iterdump())
        connection.close()
        (release / f"{name}.sql.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def restore(release: Path, folder: Path) -> dict[str, Any]:
    """A data folder as that release has left it; returns what must be found in it."""
    folder.mkdir(parents=True)
    for name in FILES:
        connection = sqlite3.connect(folder / f"{name}.sqlite")
        connection.executescript(gzip.decompress((release / f"{name}.sql.gz").read_bytes()).decode())
        connection.close()
    expected: dict[str, Any] = json.loads((release / "expected.json").read_text())
    return expected


def finished(folder: Path) -> list[tuple[str, str]]:
    """(contact, conversation) of all that has ended."""
    connection = sqlite3.connect(folder / "store.sqlite")
    rows = connection.execute(
        "SELECT id, conversation FROM contacts WHERE outcome IS NOT NULL ORDER BY enqueued_at, id"
    ).fetchall()
    connection.close()
    return rows


def told(center: Center, contacts: list[tuple[str, str]], began_at: float) -> dict[str, Any]:
    """What the center says over REST of these, and of the hour in which they came."""

    def get(path: str) -> Any:
        answer = center.request("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    query = f"from={began_at}&to={began_at + 3600}&minutes=60&by=queue"
    return {
        "contacts": {contact: get(f"/v1/contacts/{contact}") for contact, _ in contacts},
        "messages": {
            conversation: get(f"/v1/conversations/{conversation}/messages")["items"] for _, conversation in contacts
        },
        "queues": get(f"/v1/reports/intervals?{query}")["items"],
    }


class NoSnapshots:
    async def newest(self, shard: int) -> Snapshot | None:
        return None

    async def save(self, snapshot: Snapshot) -> None:
        raise AssertionError("nobody saves here")


async def folded(folder: Path, snapshots: Snapshots, course: list[str] | None = None) -> Fold:
    """The pools as the journal in this folder says they are, and, into `course`, a mark of them after every record."""
    log = SqliteLog(folder / "log.sqlite", lambda: 0.0)
    fold = Fold(log, range(1), keyring(), snapshots)
    if course is not None:
        fold.subscribe(lambda applied: course.append(mark(applied.pool)))
    try:
        await fold.restore()
    finally:
        await log.close()
    return fold


def mark(pool: Pool) -> str:
    return hashlib.sha256(json.dumps(summary(pool), sort_keys=True).encode()).hexdigest()[:8]


def summary(pool: Pool) -> dict[str, Any]:
    """What must be found in a pool, in words that do not change when its memory gets more fields."""
    memory = pool.memory
    return {
        "version": memory.version,
        "arrivals": memory.arrivals,
        "agents": {
            a.id: [a.presence, a.reason, a.planned and list(a.planned), len(a.connections), a.contacts, a.attends]
            for a in memory.agents.values()
        },
        "contacts": {c.id: _contact(c) for c in memory.contacts.values()},
        "conversations": {
            c.id: [c.channel, c.thread.external, c.customer, c.contact, c.messages]
            for c in memory.conversations.values()
        },
        "waiting": {queue.id: pool.length(queue.id) for queue in memory.config.queues},
        "sends": {key: send.worker for key, send in memory.sends.items()},
        "seen": len(memory.seen),
        "today": {q: [s.arrived, s.answered, s.answered_in_target, s.abandoned] for q, s in memory.stats.items()},
    }


def _contact(c: Contact) -> list[Any]:
    guests = {agent: [guest.role, guest.leg is not None] for agent, guest in c.participants.items()}
    offer = c.offer.agent if c.offer else None
    place = [c.queue, c.tier, c.hand_tier, c.step, c.promoted, c.attempt]
    return [c.status, c.kind, c.channel, c.direction, c.agent, offer, place, guests, c.leg is not None]
