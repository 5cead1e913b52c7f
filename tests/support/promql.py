"""As much of PromQL as is needed to say which metrics, with which labels, an expression asks for."""

import re
from typing import NamedTuple

WORDS = {"and", "or", "unless", "on", "ignoring", "by", "without", "group_left", "group_right", "bool", "offset", "inf"}
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*[=!]")


class Asked(NamedTuple):
    metric: str
    labels: tuple[str, ...]


def asked(expression: str) -> list[Asked]:
    """Every selector of an expression. Strings, ranges, groupings, functions and numbers are none."""
    bare = GROUPING.sub(" ", STRING.sub('""', expression))
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b[a-zA-Z_][a-zA-Z0-9_]*\s*(?=\()", " ", bare)
    found = (match for match in SELECTOR.finditer(bare) if match[1].lower() not in WORDS)
    return [Asked(match[1], tuple(MATCHER.findall(match[2] or ""))) for match in found]


def grouped(expression: str) -> set[str]:
    """The labels that an expression groups or joins by."""
    names = ",".join(GROUPING.findall(STRING.sub('""', expression)))
    return {name.strip() for name in names.split(",") if name.strip()}
