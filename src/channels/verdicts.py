"""What the receiving mail server found out about a sender: SPF, DKIM and DMARC, from Authentication-Results (RFC 8601).

Anybody can write such a header, so only those of a server that the owner named (`authserv_id`) are believed; that server has
to remove forged ones (RFC 8601, 5). Without a name nothing is said. What another network hop saw (ARC) is not looked at.
"""

import re
from email.message import Message
from itertools import islice

from channels import mail

METHODS = ("spf", "dkim", "dmarc")
RESULTS = frozenset(("none", "pass", "fail", "softfail", "neutral", "policy", "temperror", "permerror"))
COMMENT = re.compile(r"\([^()]*\)")
QUOTED = re.compile(r'"[^"]*"')
RESULT = re.compile(r"^(spf|dkim|dmarc)(?:\s*/\s*\d+)?\s*=\s*([a-z]{1,20})(?=\s|$)")
MAX_HEADERS, MAX_DEPTH = 50, 10


def of(message: Message, authserv_id: str) -> dict[str, str]:
    """`mail.spf`, `mail.dkim`, `mail.dmarc`, as far as the named server has said; of several signatures the best."""
    if not authserv_id:
        return {}
    found: dict[str, str] = {}
    for header in _believed(message, authserv_id.lower()):
        for method in METHODS:
            results = [result for name, result in _results(header) if name == method]
            if results:
                found.setdefault(f"mail.{method}", "pass" if "pass" in results else results[0])
    return found


def _believed(message: Message, authserv_id: str) -> list[str]:
    """The server's own headers: from the first of them to the next server's mark. What is below came with the mail."""
    believed: list[str] = []
    for name, value in islice(message.raw_items(), MAX_HEADERS * 10):
        if name.lower() == "received" and believed:
            break
        if name.lower() == "authentication-results":
            plain = _plain(str(value))
            if plain.partition(";")[0].split()[:1] == [authserv_id]:
                believed.append(plain)
    return believed[:MAX_HEADERS]


def _plain(value: str) -> str:
    """In lower case, on one line, without comments and what is quoted; neither carries a result."""
    text = QUOTED.sub(
        '""', " ".join(mail.readable(value[:10_000].replace("\r", " ").replace("\n", " ")).split()).lower()
    )
    for _ in range(MAX_DEPTH):  # comments may lie within comments
        text, before = COMMENT.sub(" ", text), text
        if text == before:
            break
    return text


def _results(header: str) -> list[tuple[str, str]]:
    matches = (RESULT.match(part.strip()) for part in header.split(";")[1:])
    return [(match[1], match[2]) for match in matches if match and match[2] in RESULTS]
