"""A form with files, as bytes (RFC 7578), for providers that take a file in the request that sends it."""

import hashlib
from collections.abc import Iterable

from channels.base import File


def form(fields: Iterable[tuple[str, str]], files: Iterable[tuple[str, File]]) -> tuple[str, bytes]:
    """The content type and the body. The boundary follows from what is between, so nothing here is chance."""
    pieces = [_piece(f'name="{_quoted(name)}"', "", value.encode()) for name, value in fields]
    pieces += [
        _piece(f'name="{_quoted(name)}"; filename="{_quoted(file.name)}"', _media_type(file), file.body)
        for name, file in files
    ]
    boundary = hashlib.sha256(b"".join(pieces)).hexdigest()
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\r\n" + piece for piece in pieces) + line + b"--\r\n"
    return f"multipart/form-data; boundary={boundary}", body


def _piece(about: str, media_type: str, value: bytes) -> bytes:
    head = f"Content-Disposition: form-data; {about}\r\n" + (f"Content-Type: {media_type}\r\n" if media_type else "")
    return head.encode() + b"\r\n" + value + b"\r\n"


def _quoted(name: str) -> str:
    """As browsers write it: a line break or a quote would end the name (HTML, multipart form data)."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22") or "file"


def _media_type(file: File) -> str:
    kind = file.media_type
    plain = kind.isascii() and kind.isprintable() and "/" in kind
    return kind if plain else "application/octet-stream"
