"""What a new configuration would do now, in words: to the contacts that wait, to the people who hold some, to what is
left of each skill. It looks and changes nothing; what must not be applied at all is refused before (router.config.faults).
"""

import difflib
from collections import Counter
from collections.abc import Iterator

from router import capacity
from router.calendar import Holidays, hours
from router.config import Config, Lookup
from router.memory import Contact
from router.skills import can_serve, least_levels, requirement_sets
from router.state import Pool

HELD = ("offered", "active", "held", "wrapping")


def differences(before: str, after: str) -> list[str]:
    """A unified diff of two canonical documents."""
    lines = before.splitlines(), after.splitlines()
    return list(difflib.unified_diff(*lines, "in force", "proposed", lineterm="", n=2))


def losses(old: Config, new: Config) -> list[str]:
    """Skills of which the best level, or the last agent, would be gone."""

    def best(config: Config) -> dict[str, int]:
        found: dict[str, int] = {}
        for agent in config.agents:
            for skill, level in agent.skills.items():
                found[skill] = max(level, found.get(skill, 0))
        return found

    after = best(new)
    return [
        f"skill '{skill}' loses its last level-{level} agent"
        + (f"; the best left is level {after[skill]}" if skill in after else "; nobody is left who has it")
        for skill, level in sorted(best(old).items())
        if after.get(skill, 0) < level
    ]


def consequences(pool: Pool, new: Config, now: float, holidays: Holidays) -> list[str]:
    """What becomes of who waits, and of who works, at this moment."""
    known = Lookup(new)
    waiting = [contact for contact in pool.contacts.values() if contact.status in ("queued", "offered")]
    return [
        *_leaving(waiting, known),
        *_asking_otherwise(pool, waiting, known),
        *_stuck(waiting, known),
        *_closed(pool, known, now, holidays),
        *_people(pool, known),
    ]


def _some(count: int, what: str) -> str:
    return f"{count} waiting contact{'s' if count != 1 else ''} {what}"


def _leaving(waiting: list[Contact], known: Lookup) -> Iterator[str]:
    for queue, count in sorted(Counter(c.queue for c in waiting if c.queue not in known.queues).items()):
        leave = "leave" if count != 1 else "leaves"
        yield _some(count, f"{leave} queue '{queue}', which goes, for their brand's default queue")


def _asks(contact: Contact, lookup: Lookup) -> list[dict[str, int]]:
    return [least_levels(requires) for _, requires in requirement_sets(contact, lookup)]


def _asking_otherwise(pool: Pool, waiting: list[Contact], known: Lookup) -> Iterator[str]:
    changed = (c.queue for c in waiting if c.queue in known.queues and _asks(c, pool.lookup) != _asks(c, known))
    for queue, count in sorted(Counter(changed).items()):
        yield f"queue '{queue}': " + _some(count, "would ask for other agents than now")


def _stuck(waiting: list[Contact], known: Lookup) -> Iterator[str]:
    def nobody(contact: Contact) -> bool:
        sets = requirement_sets(contact, known)
        return not any(can_serve(agent, sets) for agent in known.agents.values())

    stuck = Counter(c.queue for c in waiting if c.queue in known.queues and nobody(c))
    for queue, count in sorted(stuck.items()):
        yield _some(count, f"of queue '{queue}' could then be served by nobody")


def _closed(pool: Pool, known: Lookup, now: float, holidays: Holidays) -> Iterator[str]:
    """Queues that are open now and would not be, and the other way round."""
    config = known.config
    opened = {calendar.id: hours(calendar, config.timezone, holidays) for calendar in config.calendars}
    for queue in config.queues:
        for brand in config.brands:
            before = pool.hours(queue.id, brand.id)
            then = opened.get(known.calendar_of(queue.id, brand.id) or "")
            was_open = before is None or before.is_open(now)
            if then is not None and was_open and not then.is_open(now):
                yield f"queue '{queue.id}' of brand '{brand.id}' closes at once: {then.why_closed(now)}"
            elif not was_open and (then is None or then.is_open(now)):
                yield f"queue '{queue.id}' of brand '{brand.id}' opens at once"


def _people(pool: Pool, known: Lookup) -> Iterator[str]:
    for agent in sorted(pool.agents.values(), key=lambda agent: agent.id):
        held = [pool.contacts[id_] for id_ in agent.contacts]
        profile = known.agents.get(agent.id)
        if profile is None and held:
            yield f"agent '{agent.id}' goes while holding {len(held)} contacts"
        elif profile is not None:
            units = sum(capacity.cost(contact.kind) for contact in held if contact.status in HELD)
            if units > profile.units:
                yield f"agent '{agent.id}' holds {units} units and would have {profile.units}; nothing is taken away"
