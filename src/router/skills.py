"""Who may serve what: Naru's walls, the queue's requirements, and what a rule added.

Walls (`brand:`, `mode:`, and `lang:` where the queue says so) are never removed by a step.
"""

from collections.abc import Iterable

from router.config import Agent, Lookup, Queue
from router.memory import Contact
from router.model import Requirement

Requirements = tuple[Requirement, ...]
MAX_QUEUES_OF_A_CONTACT = 4


def requirements(contact: Contact, queue: Queue) -> Requirements:
    """All that an agent must meet for this contact now, walls first, if it comes by its own queue."""
    held = queue.requires
    for step in queue.steps[: contact.step]:
        if step.requires is not None:
            held = step.requires
    return (*walls(contact, queue), *contact.requires, *held)


def requirement_sets(contact: Contact, lookup: Lookup) -> tuple[tuple[Queue, Requirements], ...]:
    """(queue, what it asks): the contact's own queue first, then those that its steps have added. One set must be met."""
    queue = lookup.queues[contact.queue]
    sets = [(queue, requirements(contact, queue))]
    for step in queue.steps[: contact.step]:
        for added in step.add_queues:
            other = lookup.queues.get(added)
            if other is not None and all(other is not known for known, _ in sets):
                sets.append((other, (*walls(contact, other), *contact.requires, *other.requires)))
    return tuple(sets[:MAX_QUEUES_OF_A_CONTACT])


def walls(contact: Contact, queue: Queue) -> Requirements:
    mode = "outbound" if contact.is_outbound else "inbound"
    found = [Requirement(skill=f"brand:{contact.brand}"), Requirement(skill=f"mode:{mode}")]
    if queue.language_wall and contact.language:
        found.append(Requirement(skill=f"lang:{contact.language}"))
    return tuple(found)


def least_levels(requires: Requirements) -> dict[str, int]:
    """The same as one least level for each skill."""
    levels: dict[str, int] = {}
    for need in requires:
        levels[need.skill] = max(need.level, levels.get(need.skill, 0))
    return levels


def levels_of(profile: Agent) -> dict[str, int]:
    """An agent's levels, walls among them."""
    levels = dict(profile.skills)
    levels.update((f"brand:{brand}", 1) for brand in profile.brands)
    levels.update((f"mode:{mode}", 1) for mode in ("inbound", "outbound") if profile.mode in (mode, "blended"))
    return levels


def to_serve(queue: Queue) -> Requirements:
    """What somebody must meet who stands ready for a queue's inbound work: whom its reserve counts."""
    return Requirement(skill="mode:inbound"), *queue.requires


def lacks(profile: Agent, requires: Requirements) -> Requirement | None:
    """The first requirement an agent does not meet; None when all are met."""
    for need in requires:
        level = profile.level(need.skill)
        if level is None or level < need.level:
            return need
    return None


def can_serve(profile: Agent, sets: Iterable[tuple[Queue, Requirements]]) -> bool:
    """Whether an agent meets one of a contact's requirement sets."""
    return any(lacks(profile, requires) is None for _, requires in sets)


def score(profile: Agent, requires: Requirements) -> int:
    """Sum of levels over the skills required: what `best_skill` compares."""
    return sum(profile.level(skill) or 0 for skill in least_levels(requires))
