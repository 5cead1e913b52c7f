"""What every provider of messages asks before it sends one: is it a message, has it words, are they too many?"""

from channels.base import Outgoing, Unsendable
from router.effects import AnyEffect, Deliver
from router.model import Unit
from router.replies import length

UNITS = {"characters": "characters", "utf16": "characters", "bytes_utf8": "bytes"}


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
