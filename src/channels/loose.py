"""What other programs send as JSON, read without believing any of it: nothing here raises.

What is not as it should be is empty: no record, no text, no time. So one odd field loses nothing but itself.
"""

import datetime as dt
import hashlib
from typing import Any

import msgspec

MAX_RECORDS = 2_000
MAX_KEY = 200


def decoded(body: bytes) -> Any:
    """The JSON value of a body; None for what is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def record(value: Any, *names: str) -> dict[str, Any]:
    """An object, or the one that lies within it under these names."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def records(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, a bounded number; what is no object is left out."""
    return [each for each in value[:MAX_RECORDS] if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: dict[str, Any], name: str, limit: int = 400) -> str:
    """A field as text; whole numbers are text too, as some providers change their mind about ids."""
    found = value.get(name)
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found) if abs(found) < 10**30 else ""
    return found[:limit] if isinstance(found, str) else ""


def key(*parts: str) -> str:
    """A natural key of a bounded length: a long one by its hash."""
    whole = ":".join(parts)
    return whole if len(whole) <= MAX_KEY else hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


def time(value: dict[str, Any], name: str) -> float | None:
    """An ISO 8601 time with its zone, as seconds since 1970; one without a zone says nothing."""
    try:
        found = dt.datetime.fromisoformat(text(value, name, 40))
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None
