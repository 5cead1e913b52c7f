"""What lies with a provider, files (`model.Elsewhere`) and next pages: whether a link leads to it, and what came of it."""

from urllib.parse import urljoin, urlsplit

import msgspec

from channels.base import Call, File, Result


def leads_to(url: str, *hosts: str, schemes: tuple[str, ...] = ("https",)) -> bool:
    """Whether a link leads to one of these hosts, `.name` meaning all below it, and to none but a web server there.

    What customers say may hold any link; nobody in our own network is asked for them, and no token goes astray.
    """
    try:
        parts = urlsplit(url)
        plain = parts.scheme in schemes and parts.port in (None, 80, 443) and parts.username is None
    except ValueError:
        return False
    host = (parts.hostname or "").lower()
    return plain and any(host.endswith(one) if one.startswith(".") else host == one for one in hosts)


def following(call: Call, link: str) -> tuple[Call, ...]:
    """The same request for the next page's address, if that is where this one went: no token goes astray."""
    try:
        url = urljoin(call.url, link)
        here, there = urlsplit(call.url), urlsplit(url)
    except ValueError:
        return ()
    is_there = bool(link) and len(url) <= 4_000 and url != call.url
    at_home = (here.scheme, here.netloc) == (there.scheme, there.netloc)
    return (msgspec.structs.replace(call, url=url),) if is_there and at_home else ()


def arrived(status: int, media_type: str, body: bytes, whose: str, after_s: float = 10) -> File | Result:
    """A file, or why there is none: not yet (202, too many requests, a fault of theirs), or never."""
    if status == 200:
        return File("", media_type, body)
    later = status in (202, 408, 425, 429) or status >= 500
    return Result("retry" if later else "rejected", detail=f"{whose} answered {status}", after_s=after_s)
