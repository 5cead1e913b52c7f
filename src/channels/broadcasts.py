"""What providers of live broadcasts share: comments within bounds, and answers that everybody in the room reads.

A room's thread is `ROOM/AUTHOR`; the comment that was picked rides in the content's headers as `comment` and `name`.
"""

import datetime as dt
import hashlib
from typing import Any

from channels import saying
from channels.base import Comment, Outgoing
from router.effects import AnyEffect, Deliver
from router.model import Identity

MAX_ID, MAX_NAME, MAX_TEXT = 190, 200, 500
MOST_VALUE, MOST_NUMBER = 1e12, 1e15
LATEST = 4_102_444_800.0


def comment(
    *, scope: str, room: str, id_: str, author: str, name: str, text: str, at: float, value: float, is_staff: bool
) -> Comment:
    return Comment(
        room=bounded(room),
        id=bounded(id_),
        author=Identity(scope=scope, kind="handle", value=bounded(author), name=name[:MAX_NAME] or None),
        text=text[:MAX_TEXT],
        at=at,
        value=value if 0 < value < MOST_VALUE else 0,
        is_staff=is_staff,
    )


def bounded(id_: str) -> str:
    """An id as it is, or its hash when it is longer than any provider's."""
    return id_ if len(id_) <= MAX_ID else hashed(id_)


def hashed(*parts: str) -> str:
    return "h:" + hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def room_of(effect: Deliver) -> str:
    return effect.thread.external.rpartition("/")[0]


NO_COMMENT = saying.Refusals(
    "a live chat takes no files",
    "there is no text",
    "longer than the {most} characters of this live chat",
    none="a live chat takes text only",
)


def answer(effect: AnyEffect, message: Outgoing | None, most: int, to_name: bool = True) -> tuple[Deliver, str]:
    """The text of an answer. Where the provider cannot point at a comment, the viewer's name stands before it, if both
    fit and the agent has not put it there. Raises Unsendable."""
    deliver, text = saying.words(effect, message, most, NO_COMMENT)
    name = message.last_headers.get("name", "") if message else ""
    addressed = f"@{name.lstrip('@')} {text}"
    if to_name and name and len(addressed) <= most and name not in text:
        return deliver, addressed
    return deliver, text


def seconds(text: Any, default: float) -> float:
    """An ISO 8601 time; what is none, or is of no known zone, is `default`."""
    try:
        found = dt.datetime.fromisoformat(text) if isinstance(text, str) and len(text) < 50 else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        return default
    return min(LATEST, max(0.0, found.timestamp()))


def text_at(said: dict[str, Any], name: str) -> str:
    found = said.get(name)
    return found if isinstance(found, str) else ""


def number(given: Any) -> float:
    """A number, or the digits of one; 0 for all else."""
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        return 0.0
    try:
        found = float(given) if len(str(given)) < 40 else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return found if -MOST_NUMBER < found < MOST_NUMBER else 0.0


def rows(said: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list."""
    return [row for row in said if isinstance(row, dict)] if isinstance(said, list) else []
