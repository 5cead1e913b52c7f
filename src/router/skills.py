"""Who may serve what: Naru's walls, the queue's requirements, and what a rule added.

Walls (`brand:`, `mode:`, and `lang:` where the queue says so) are never removed by a step.
"""

from router.config import Agent, Queue
from router.memory import Contact
from router.model import Requirement

Requirements = tuple[Requirement, ...]


def requirements(contact: Contact, queue: Queue) -> Requirements:
    """All that an agent must meet for this contact now, walls first."""
    held = queue.requires
    for step in queue.steps[: contact.step]:
        if step.requires is not None:
            held = step.requires
    return (*walls(contact, queue), *contact.requires, *held)


def walls(contact: Contact, queue: Queue) -> Requirements:
    # What we began is outbound work until somebody has begun it; then it is a conversation like any other.
    mode = "inbound" if contact.answered else contact.direction
    found = [Requirement(skill=f"brand:{contact.brand}"), Requirement(skill=f"mode:{mode}")]
    if queue.language_wall and contact.language:
        found.append(Requirement(skill=f"lang:{contact.language}"))
    return tuple(found)


def lacks(profile: Agent, requires: Requirements) -> Requirement | None:
    """The first requirement an agent does not meet; None when all are met."""
    for need in requires:
        level = profile.level(need.skill)
        if level is None or level < need.level:
            return need
    return None


def score(profile: Agent, requires: Requirements) -> int:
    """Sum of levels over the requirements: what `best_skill` compares."""
    return sum(profile.level(need.skill) or 0 for need in requires)
