"""Fourteen days that never were: contacts for the charts of the demo, by a day's curve of half hours."""

import datetime as dt
import math
from typing import Any

from sqlalchemy import insert

from naru.demo.people import Chance, pick
from naru.demo.script import NAMES
from naru.store import tables as db
from naru.store.database import Database

DAYS = 14
PER_DAY = 320
QUEUES = (
    ("orders", "bada-chat", "bada", "chat", 60.0),
    ("returns", "bada-mail", "bada", "email", 14_400.0),
    ("english", "bada-chat", "bada", "chat", 180.0),
    ("clinic", "mirae-phone", "mirae", "voice", 20.0),
    ("orders", "bada-sms", "bada", "sms", 120.0),
)
AGENTS = ("mina", "jun", "sora", "hana", "minh", "alex", "yuna", "dohyun")


def day_curve(hour: float) -> float:
    """Weight of an hour: two humps, before and after lunch, and little at night."""
    return math.exp(-(((hour - 10.5) / 2.2) ** 2)) + 0.9 * math.exp(-(((hour - 15.5) / 2.8) ** 2)) + 0.03


async def write_past(database: Database, workspace: str, now: float, chance: Chance) -> int:
    """Write the contacts; returns how many. Times are whole seconds before `now`."""
    customers: dict[str, dict[str, Any]] = {}
    conversations: list[dict[str, Any]] = []
    contacts: list[dict[str, Any]] = []
    today = dt.datetime.fromtimestamp(now, dt.UTC).replace(hour=15, minute=0, second=0, microsecond=0)
    for day in range(DAYS, -1, -1):
        midnight = (today - dt.timedelta(days=day + 1)).timestamp()
        for _ in range(PER_DAY):
            at = midnight + _hour(chance) * 3600
            if at < now - 600:
                _one(len(contacts), workspace, at, chance, customers, conversations, contacts)
    async with database.write(workspace) as connection:
        await connection.execute(insert(db.customers), list(customers.values()))
        await connection.execute(insert(db.conversations), conversations)
        await connection.execute(insert(db.contacts), contacts)
    return len(contacts)


def _hour(chance: Chance) -> float:
    while True:
        hour = chance.uniform(0, 24)
        if chance.random() < day_curve(hour):
            return hour


def _one(
    number: int,
    workspace: str,
    at: float,
    chance: Chance,
    customers: dict[str, dict[str, Any]],
    conversations: list[dict[str, Any]],
    contacts: list[dict[str, Any]],
) -> None:
    queue, channel, brand, kind, target_s = QUEUES[chance.randrange(len(QUEUES))]
    customer = f"past-customer-{chance.randrange(900)}"
    customers.setdefault(
        customer, {"workspace": workspace, "id": customer, "name": pick(chance, NAMES), "first_seen": at}
    )
    base = {"workspace": workspace, "channel": channel, "brand": brand, "kind": kind, "customer": customer}
    conversations.append(
        {**base, "id": f"past-{number}", "thread": f"past-{number}", "opened_at": at, "last_word_at": at}
    )
    wait_s = chance.expovariate(1 / (target_s * 0.45))
    abandoned = kind in ("voice", "chat") and wait_s > target_s * 1.6 and chance.random() < 0.6
    handle_s = 60 + chance.expovariate(1 / 240)
    answered = at + wait_s
    contacts.append(
        {
            **base,
            "id": f"past-contact-{number}",
            "conversation": f"past-{number}",
            "queue": queue,
            "direction": "inbound",
            "language": "ko",
            "agent": None if abandoned else pick(chance, AGENTS),
            "enqueued_at": at,
            "accepted_at": None if abandoned else answered,
            "ended_at": answered + (0 if abandoned else handle_s),
            "outcome": "abandoned" if abandoned else "handled",
            "target_s": target_s,
            "in_target": None if abandoned else wait_s <= target_s,
            "offers": 1,
        }
    )
