"""Forms in request bodies, also those that carry files (RFC 7578), as bytes; and writing one.

Nothing here raises: a body that is no form has no fields. Of several fields of one name the last stands, as providers that
mix their own with their customers' fields mean it.
"""

import hashlib
import re
from urllib.parse import unquote_to_bytes

MAX_FIELDS = 300
BOUNDARY = re.compile(r"boundary=(?:\"([^\"]{1,200})\"|([^\s;\"]{1,200}))", re.IGNORECASE)
NAME = re.compile(rb"^content-disposition:[^\n]*?;[ \t]*name=(?:\"([^\"]{1,200})\"|([^\s;\"]{1,200}))", re.I | re.M)


def fields(content_type: str, body: bytes) -> dict[str, bytes]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = BOUNDARY.search(content_type)
        return _parts((found[1] or found[2]).encode(), body) if found else {}
    if kind == "application/x-www-form-urlencoded":
        pairs = (pair.partition(b"=") for pair in body.split(b"&", MAX_FIELDS)[:MAX_FIELDS])
        return {_plain(name).decode("utf-8", "replace"): _plain(value) for name, _, value in pairs}
    return {}


def _plain(escaped: bytes) -> bytes:
    """`urllib.parse.parse_qsl` would make text of it, and a mail is not always that."""
    return unquote_to_bytes(escaped.replace(b"+", b" "))


def _parts(boundary: bytes, body: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_FIELDS)[1:]:
        if part.startswith(b"--"):
            break
        head, gap, content = part.partition(b"\r\n\r\n")
        name = NAME.search(head[:10_000])
        if gap and name:
            found[(name[1] or name[2]).decode("utf-8", "replace")] = content
    return found


def text(form: dict[str, bytes], name: str, limit: int = 400) -> str:
    return form.get(name, b"")[: limit * 4].decode("utf-8", "replace")[:limit]


def written(values: list[tuple[str, str]], file: tuple[str, str, str, bytes]) -> tuple[str, bytes]:
    """(content type, body) of a form with one file: its field, name, type and bytes. Its boundary follows from the file."""
    boundary = "naru" + hashlib.sha256(file[3]).hexdigest()[:40]
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in values
    ]
    field, name, kind, body = file
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    whole = b"".join([*lines, head.encode(), body, f"\r\n--{boundary}--\r\n".encode()])
    return f"multipart/form-data; boundary={boundary}", whole
