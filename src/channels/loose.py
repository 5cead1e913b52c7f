"""Looking into JSON of any shape: what is there and of the right kind is taken, cut to its bound; the rest is as if absent.

Nothing here raises, whatever comes in.
"""

import datetime as dt
import hashlib
import math
from typing import Any

import msgspec

MAX_TEXT, MAX_NAME, MAX_ID = 20_000, 200, 190
MAX_OBJECTS = 2_000


def decoded(body: bytes) -> Any:
    """The JSON value of a body; None for what is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def record_of(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; empty for what is none."""
    return fields(decoded(body))


def at(value: Any, *path: str | int) -> Any:
    """What lies at a path of names and positions; None where there is nothing."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def text(value: Any, *path: str | int, most: int = MAX_TEXT) -> str:
    """A text, or a whole number as one, since providers write ids both ways; "" for anything else."""
    found = at(value, *path)
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 2**63:
        found = str(found)
    return found[:most] if isinstance(found, str) else ""


def key(value: Any, *path: str | int) -> str:
    """An id: whole, or its hash when it is too long to be one. Two of them and a word make a key of at most 400."""
    found = text(value, *path)
    return found if len(found) <= MAX_ID else hashed(found)


def hashed(*parts: str) -> str:
    """A key for what has no id: it follows from what makes it itself."""
    return "h:" + hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:40]


def name(value: Any, *path: str | int) -> str | None:
    return text(value, *path, most=MAX_NAME) or None


def many(value: Any, *path: str | int) -> list[Any]:
    found = at(value, *path)
    return found if isinstance(found, list) else []


def fields(value: Any, *path: str | int) -> dict[str, Any]:
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def objects(value: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects of a list, a bounded number; what is no object is left out."""
    return [each for each in many(value, *path)[:MAX_OBJECTS] if isinstance(each, dict)]


def joined(*parts: str) -> str:
    """A natural key of several parts, of a bounded length: a long one by its hash."""
    whole = ":".join(parts)
    return whole if len(whole) <= MAX_NAME else hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


def time(value: Any, *path: str | int) -> float | None:
    """An ISO 8601 time with its zone, as seconds since 1970; one without a zone says nothing."""
    try:
        found = dt.datetime.fromisoformat(text(value, *path, most=40))
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def utc(at: float) -> str:
    """A time as ISO 8601 has it, in whole seconds of UTC."""
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def number(value: Any, *path: str | int) -> float | None:
    """A finite number, also one that was written as a text."""
    found = at(value, *path)
    if isinstance(found, str) and len(found) <= 30:
        try:
            found = float(found)
        except ValueError:
            return None
    if isinstance(found, bool) or not isinstance(found, int | float) or abs(found) > 2**63:
        return None
    return float(found) if math.isfinite(found) else None


def place(value: Any, latitude: str, longitude: str) -> str:
    """Where something is, in degrees; "" for what is no place."""
    where = (number(value, latitude), number(value, longitude))
    return ", ".join(f"{degrees:.6g}" for degrees in where if degrees is not None) if None not in where else ""


def moment(value: Any, *path: str | int, per_s: float = 1, now: float) -> float:
    """A time in seconds. What is none, or lies in the future, is now: a window may not be opened longer by it."""
    found = number(value, *path)
    return now if found is None or found <= 0 else min(found / per_s, now)
