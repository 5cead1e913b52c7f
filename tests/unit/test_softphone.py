"""Who is told where to register a phone, and with which password."""

from typing import Any

import msgspec
import pytest

from agents.softphone import Registration, Softphone, softphone_of
from router.config import Agent, Brand, Channel, Config, Queue, faults

EXCHANGE = {"url": "wss://pbx.shop.test:8089/ws"}
SECRETS = {("main", "secret:softphone-mina"): "mina's own", ("b", "secret:softphone-mina"): "another house's"}
MINA = Agent(id="mina", name="Mina", phone="1001", softphone="secret:softphone-mina")
JUN = Agent(id="jun", name="Jun", phone="1002")


def config(*agents: Agent, webrtc: Any = EXCHANGE, enabled: bool = True) -> Config:
    channel = Channel(
        id="phone",
        name="Phone",
        brand="shop",
        provider="asterisk",
        kind="voice",
        enabled=enabled,
        settings={"url": "http://pbx:8088/ari", "webrtc": webrtc},
    )
    shop = Brand(id="shop", name="Shop", default_queue="care")
    return Config(brands=(shop,), queues=(Queue(id="care", name="Care"),), channels=(channel,), agents=agents)


def told(config: Config, agent: str = "mina", workspace: str = "main") -> Softphone:
    return softphone_of(config, workspace, agent, lambda house, name: SECRETS.get((house, name)))


def test_an_agents_desk_is_told_its_own_phone() -> None:
    both = config(MINA, JUN)
    mine = Registration(url="wss://pbx.shop.test:8089/ws", domain="pbx.shop.test", user="1001", password="mina's own")
    assert told(both) == Softphone(registration=mine)
    assert told(both, "jun") == told(both, "nobody") == Softphone(), "a phone of one's own is no softphone"


def test_a_domain_may_be_another_than_the_address() -> None:
    answer = told(config(MINA, webrtc={**EXCHANGE, "domain": "shop.test"}))
    assert answer.registration is not None and answer.registration.domain == "shop.test"


@pytest.mark.parametrize(
    "webrtc", [None, "wss://pbx/ws", {}, {"url": 7}, {"url": "https://pbx/ws"}, {"url": "wss:///ws"}]
)
def test_without_an_exchange_for_it_the_desk_is_told_so(webrtc: Any) -> None:
    assert told(config(MINA, webrtc=webrtc)) == Softphone(missing="exchange")
    assert told(config(MINA, enabled=False)) == Softphone(missing="exchange")


def test_a_password_that_was_not_put_is_missing_and_that_of_another_house_is_not_taken() -> None:
    assert told(config(MINA), workspace="c") == Softphone(missing="secret")


@pytest.mark.parametrize(
    "reference",
    ["secret:ari-password", "env:NARU_SECRET_ARI", "file:softphone-mina", "secret:softphone-../ari", "mina"],
)
def test_a_softphone_can_name_no_secret_that_is_not_a_softphones(reference: str) -> None:
    """What a page is told is no longer a secret, so that field must not read out the others."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "mina", "name": "Mina", "softphone": reference}, Agent)


@pytest.mark.parametrize("phone", [None, "", "+821012345678", "10 01", "1001@pbx"])
def test_a_softphone_is_an_endpoint_of_the_exchange(phone: str | None) -> None:
    [fault] = faults(config(msgspec.structs.replace(MINA, phone=phone)))
    assert fault.startswith("agent 'mina': with a softphone, phone is the name of an endpoint")


def test_two_agents_have_two_phones_and_two_passwords() -> None:
    assert faults(config(MINA, JUN)) == []
    again = msgspec.structs.replace(JUN, softphone=MINA.softphone)
    assert "agent 'jun': 'mina' has the same softphone" in faults(config(MINA, again))
    assert faults(config(MINA, msgspec.structs.replace(JUN, phone="1001"))) == [
        "agent 'mina': 'jun' has the same phone"
    ]
