"""Sending one signed request to an address that somebody else has chosen: never into our own network.

A name is resolved once, every address it stands for must be global, and the connection goes to the address that was
looked at, with the name kept for Host, SNI and the certificate. No redirects, no proxy, https only. `private` allows
http and the addresses of an intranet. Of the answer only the status is read.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2
import msgspec

from channels.standard import sign
from naru import __version__
from naru.outgoing.cloudevents import CONTENT_TYPE

CONNECT_S = 5.0
TOTAL_S = 15.0
AT_ONCE = 200
LOOK_UPS_AT_ONCE = 8
MAX_DETAIL = 200
GONE = 410
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) to all of its addresses. Raises OSError."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """A place where we do not send, and why."""


class Outcome(msgspec.Struct, frozen=True):
    """How a request ended; `status` is 0 when there was no answer."""

    status: int
    detail: str | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Sender:
    def __init__(
        self,
        clock: Callable[[], float],
        private: bool,
        resolve: Resolve | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._clock = clock
        self._private = private
        self._names = Names()
        self._resolve = resolve or self._names
        # No connection is kept: the next request to the same address may be for another name, and must prove that one.
        limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=0)
        timeout = httpx2.Timeout(TOTAL_S, connect=CONNECT_S)
        self._client = httpx2.AsyncClient(
            limits=limits, timeout=timeout, follow_redirects=False, trust_env=False, verify=verify
        )

    async def close(self) -> None:
        await self._client.aclose()
        self._names.close()

    async def post(self, url: str, secrets: Sequence[str], id_: str, body: bytes) -> Outcome:
        """Post a body, signed with each secret. Takes at most TOTAL_S; never raises for what the other side does."""
        try:
            async with asyncio.timeout(TOTAL_S):
                return await self._post(httpx2.URL(url), secrets, id_, body)
        except TimeoutError:
            return Outcome(0, "no answer in time")
        except Refused as error:
            return Outcome(0, f"refused: {error}"[:MAX_DETAIL])
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            return Outcome(0, f"{type(error).__name__}: {error}"[:MAX_DETAIL])

    async def _post(self, url: httpx2.URL, secrets: Sequence[str], id_: str, body: bytes) -> Outcome:
        address = await self._address(url)
        stamp = str(int(self._clock()))
        request = self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={
                "host": url.netloc.decode(),
                "content-type": CONTENT_TYPE,
                "user-agent": f"naru/{__version__}",
                "webhook-id": id_,
                "webhook-timestamp": stamp,
                "webhook-signature": " ".join(sign(secret, id_, stamp, body) for secret in secrets),
            },
            extensions={"sni_hostname": url.host},
        )
        response = await self._client.send(request, stream=True)
        await response.aclose()
        outcome = Outcome(response.status_code)
        return outcome if outcome.ok else Outcome(response.status_code, _said(response.status_code))

    async def _address(self, url: httpx2.URL) -> str:
        """The address to connect to. Raises Refused, OSError."""
        if url.scheme != "https" and not (self._private and url.scheme == "http"):
            raise Refused("webhooks go out by https only")
        if url.userinfo or not url.host:
            raise Refused("the address holds a name and a password, or no host")
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await self._resolve(url.host, port)
        for one in found:
            if not may_reach(ipaddress.ip_address(one), self._private):
                raise Refused(f"{url.host} is {one}, which is not a public address")
        if not found:
            raise Refused(f"{url.host} has no address")
        return found[0]


def _said(status: int) -> str:
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"


class Names:
    """The machine's own resolver, in threads of its own: names that nobody answers for must not take everybody's."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS_AT_ONCE, "names")

    async def __call__(self, host: str, port: int) -> list[str]:
        ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def may_reach(address: Address, private: bool) -> bool:
    """Global addresses; with `private` those of an intranet too, but never link-local ones (a cloud's metadata)."""
    address = _real(address)
    if address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return private or (address.is_global and not address.is_reserved and not site_local)


def _real(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, Teredo, NAT64), else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
