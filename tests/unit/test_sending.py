"""Where webhooks may go: nowhere in our own network, to no redirect, and to the address that was looked at."""

import ipaddress
import ssl
from pathlib import Path

import pytest

from naru.outgoing.sending import Outcome, Sender, may_reach
from support.receiver import OTHER_SECRET, SECRET, Receiver
from support.tls import certificate

NOW = 1_000_000.0
BODY = b'{"id":"e1"}'
INSIDE = (
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::"),
)
OUTSIDE = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


class Names:
    """A resolver with a table, which counts how often it is asked."""

    def __init__(self, **table: list[str]) -> None:
        self.table = {name.replace("_", "."): found for name, found in table.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.table:
            raise OSError("no such name")
        return self.table[host]


def sender(private: bool = False, names: Names | None = None, verify: ssl.SSLContext | bool = True) -> Sender:
    return Sender(lambda: NOW, private, names, verify)


async def post(url: str, private: bool = False, names: Names | None = None) -> Outcome:
    made = sender(private, names)
    try:
        return await made.post(url, [SECRET], "e1", BODY)
    finally:
        await made.close()


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_of_our_own_network_is_reached(address: str) -> None:
    assert not may_reach(ipaddress.ip_address(address), private=False)


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_are_reached(address: str) -> None:
    assert may_reach(ipaddress.ip_address(address), private=False)


def test_an_intranet_may_be_allowed_but_a_clouds_metadata_never() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd12::1", "100.64.0.1"):
        assert may_reach(ipaddress.ip_address(address), private=True), address
    for address in ("169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "::ffff:169.254.169.254"):
        assert not may_reach(ipaddress.ip_address(address), private=True), address


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://inside.test/",
        "https://mixed.test/",
        "http://outside.test/",
        "https://user:pass@outside.test/",
        "ftp://outside.test/",
    ],
)
async def test_what_leads_inside_is_refused_before_anything_is_sent(url: str) -> None:
    async with Receiver(clock=lambda: NOW) as receiver:
        host = url.split("//")[1].split("/")[0].rsplit("@", 1)[-1]
        names = Names(inside_test=["10.1.2.3"], mixed_test=["8.8.8.8", "127.0.0.1"], outside_test=["8.8.8.8"])
        known = names if host in names.table else None
        outcome = await post(url.replace("/x", f":{receiver.port}/x"), names=known)
        assert outcome.status == 0 and not outcome.ok
        assert "refused" in (outcome.detail or ""), outcome
        assert receiver.heads == []


async def test_a_name_is_resolved_once_so_it_cannot_turn_inside_between_look_and_call() -> None:
    class Turning(Names):
        async def __call__(self, host: str, port: int) -> list[str]:
            await super().__call__(host, port)
            return ["127.0.0.1"] if len(self.asked) == 1 else ["10.0.0.1"]

    async with Receiver(clock=lambda: NOW) as receiver:
        names = Turning(hooks_test=[])
        outcome = await post(f"http://hooks.test:{receiver.port}/events", True, names)
        assert outcome.ok, outcome
        assert names.asked == ["hooks.test"]
        assert receiver.heads[0]["host"] == f"hooks.test:{receiver.port}"


async def test_a_redirect_is_not_followed() -> None:
    async with Receiver(clock=lambda: NOW) as inner, Receiver(clock=lambda: NOW) as receiver:
        receiver.status, receiver.location = 307, inner.url
        outcome = await post(receiver.url, private=True)
        assert (outcome.status, outcome.ok) == (307, False)
        assert "redirects are not followed" in (outcome.detail or "")
        assert inner.heads == []


async def test_a_name_that_is_nobodys_and_a_port_where_nobody_listens_are_told() -> None:
    assert "no such name" in ((await post("https://nobody.test/", names=Names())).detail or "")
    receiver = await Receiver().up()
    await receiver.down()
    assert "ConnectError" in ((await post(receiver.url, private=True)).detail or "")


async def test_each_secret_signs_so_that_either_is_good_while_it_is_rotated() -> None:
    made = sender(private=True)
    for secret in (SECRET, OTHER_SECRET):
        async with Receiver(secret, clock=lambda: NOW) as receiver:
            assert (await made.post(receiver.url, [OTHER_SECRET, SECRET], "e1", BODY)).ok
            assert len(receiver.heads[0]["webhook-signature"].split(" ")) == 2
            assert receiver.heads[0]["content-type"] == "application/cloudevents+json"
    async with Receiver(SECRET, clock=lambda: NOW) as receiver:
        assert (await made.post(receiver.url, [OTHER_SECRET], "e1", BODY)).status == 401
    await made.close()


# -- TLS: the certificate is that of the name, not of the address


async def test_over_tls_the_name_is_asked_for_and_its_certificate_is_checked(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "hooks.test")
    asked: list[str | None] = []
    server.sni_callback = lambda socket, name, context: asked.append(name)
    names = Names(hooks_test=["127.0.0.1"], other_test=["127.0.0.1"])
    async with Receiver(clock=lambda: NOW, tls=server) as receiver:
        made = sender(True, names, client)
        good = await made.post(f"https://hooks.test:{receiver.port}/", [SECRET], "e1", BODY)
        other = await made.post(f"https://other.test:{receiver.port}/", [SECRET], "e2", BODY)
        await made.close()
        assert good.ok, good
        assert other.status == 0 and "certificate" in (other.detail or "").lower(), other
        assert asked == ["hooks.test", "other.test"]
        assert [head["webhook-id"] for head in receiver.heads] == ["e1"]
