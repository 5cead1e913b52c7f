"""What every provider of messages asks before it sends one: is it a message, has it words, are they too many?"""

from typing import NamedTuple

from channels.base import Outgoing, Unsendable
from router.effects import AnyEffect, Deliver
from router.model import Unit
from router.replies import length

UNITS = {"characters": "characters", "utf16": "characters", "bytes_utf8": "bytes"}


class Refusals(NamedTuple):
    """What an agent is told of a message that cannot go: it has files, it has no words, or more than `{most}` letters."""

    files: str
    empty: str
    long: str
    none: str = "not a message"


def words(effect: AnyEffect, message: Outgoing | None, most: int | None, refusals: Refusals) -> tuple[Deliver, str]:
    """The effect and its text, where nothing but text can go. Raises Unsendable."""
    if not isinstance(effect, Deliver) or message is None:
        raise Unsendable(refusals.none)
    if message.files:
        raise Unsendable(refusals.files)
    text = message.content.text.strip()
    if not text:
        raise Unsendable(refusals.empty)
    if most is not None and len(text) > most:
        raise Unsendable(refusals.long.format(most=most))
    return effect, text


def said(
    effect: AnyEffect, message: Outgoing | None, where: str, most: int, unit: Unit = "characters", files: int = 0
) -> tuple[Deliver, Outgoing, str]:
    """The effect, the message and its words. Raises Unsendable for what cannot go to `where`, with so many files at most."""
    if not isinstance(effect, Deliver) or message is None:
        raise Unsendable("not a message")
    if message.files and not files:
        raise Unsendable(f"files cannot be sent to {where} from here: send a link")
    if len(message.files) > files:
        raise Unsendable(f"a message to {where} holds at most {files} file: send them one by one")
    text = message.content.text
    if not text.strip() and not message.files:
        raise Unsendable(f"a message to {where} needs text")
    long = length(text, unit)
    if long is None or long > most:
        raise Unsendable(f"a message to {where} has at most {most} {UNITS.get(unit, unit)}")
    return effect, message, text
