"""Menus by key, as values: what is said, where each key leads, and what is wrong with one that cannot be."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.accounts import Accounts
from channels.menus import (
    MAX_DEPTH,
    MAX_MENUS,
    MAX_TRIES,
    START,
    Chosen,
    Place,
    after,
    at,
    heard,
    menu_fault,
    menu_of,
    place_of,
)
from channels.providers.asterisk import Asterisk
from naru.admin.config import export, parse
from router.config import Channel, Config

SHOP: dict[str, Any] = {
    "say": {"ko": "주문은 1번, 배송은 2번", "en": "For English press 9"},
    "keys": {
        "1": {"attributes": {"intent": "order"}},
        "2": {
            "attributes": {"intent": "delivery"},
            "menu": {"say": {"ko": "급하면 1번"}, "keys": {"1": {"attributes": {"urgent": "yes"}}}, "tries": 1},
        },
        "9": {
            "language": "en",
            "menu": {"say": {"ko": "주문", "en": "Orders: 1"}, "keys": {"1": {"attributes": {"intent": "order"}}}},
        },
        "0": {},
    },
    "tries": 2,
}
ROOT = menu_of({"menu": SHOP})
assert ROOT is not None
NOTHING = Chosen()


def walk(*keys: str) -> Place | Chosen:
    """What comes of these keys, one after the other; "" is none in time."""
    step: Place | Chosen = START
    for key in keys:
        assert isinstance(step, Place), f"it was over before {key}"
        step = after(ROOT, step, key)  # type: ignore[arg-type]
    return step


def test_a_key_leads_to_the_queue_with_what_it_says_of_the_call() -> None:
    assert walk("1") == Chosen(attributes={"intent": "order"})
    assert walk("0") == NOTHING


def test_a_menu_within_a_menu_adds_to_what_was_chosen() -> None:
    assert walk("2") == Place("2")
    assert walk("2", "1") == Chosen(attributes={"intent": "delivery", "urgent": "yes"})
    assert walk("9", "1") == Chosen(attributes={"intent": "order"}, language="en")


def test_no_key_and_a_wrong_one_are_said_again_so_often_and_then_queued() -> None:
    assert walk("") == walk("7") == Place("", 2)
    assert walk("", "7") == NOTHING
    assert walk("", "1") == Chosen(attributes={"intent": "order"}), "at the second time of asking"


def test_who_gives_up_in_a_later_menu_keeps_what_was_chosen_before() -> None:
    assert walk("2", "") == Chosen(attributes={"intent": "delivery"})
    assert walk("9", "", "", "") == Chosen(language="en")


def test_the_words_are_in_every_language_until_one_is_chosen() -> None:
    menu, chosen = at(ROOT, START)  # type: ignore[arg-type]
    assert heard(menu, chosen, "ko") == (("ko", "주문은 1번, 배송은 2번"), ("en", "For English press 9"))
    assert heard(*at(ROOT, Place("9")), "ko") == (("en", "Orders: 1"),)  # type: ignore[arg-type]
    assert heard(*at(ROOT, Place("2")), "ko") == (("ko", "급하면 1번"),)  # type: ignore[arg-type]
    assert heard(*at(ROOT, Place("2")), "en") == (("ko", "급하면 1번"),), "better than nothing"  # type: ignore[arg-type]


def test_a_sound_may_be_one_for_all_languages() -> None:
    menu = menu_of({"menu": {"play": "sound:custom/welcome", "keys": {1: {"language": "en"}}}})
    assert menu is not None
    assert list(menu.keys) == ["1"], "YAML reads a bare 1 as a number"
    assert heard(menu, NOTHING, "ko") == (("ko", "sound:custom/welcome"),)


def test_a_place_comes_back_out_of_a_url_whatever_was_in_it() -> None:
    assert place_of("2*#", "3") == Place("2*#", 3)
    for nonsense in ("", "x", "-1", "0", "²", "99999999999999999999"):
        assert place_of("", nonsense).tries in range(1, MAX_TRIES + 1)
    assert len(place_of("1" * 1000, "1").keys) == MAX_DEPTH


def test_a_place_that_is_no_more_is_the_first_menu_anew() -> None:
    assert at(ROOT, Place("222")) == (ROOT, NOTHING)  # type: ignore[arg-type]
    assert after(ROOT, Place("77"), "1") == Chosen(attributes={"intent": "order"})  # type: ignore[arg-type]


# -- what is wrong with one


def nested(depth: int) -> dict[str, Any]:
    menu: dict[str, Any] = {"say": {"ko": "x"}, "keys": {"1": {}}}
    for _ in range(depth - 1):
        menu = {"say": {"ko": "x"}, "keys": {"1": {"menu": menu}}}
    return menu


def wide(menus: int) -> dict[str, Any]:
    """So many menus beside and below each other, besides the first."""
    leaves = [{"say": {"ko": "x"}, "keys": {"1": {}}} for _ in range(menus - menus // 10 - 1)]
    rows = [leaves[n : n + 9] for n in range(0, len(leaves), 9)]
    inner = [{"say": {"ko": "x"}, "keys": {str(n): {"menu": leaf} for n, leaf in enumerate(row)}} for row in rows]
    return {"say": {"ko": "x"}, "keys": {str(n): {"menu": menu} for n, menu in enumerate(inner)}}


@pytest.mark.parametrize(
    ("menu", "where", "what"),
    [
        ("press 1", "settings.menu:", "`say` or `play`"),
        ({"keys": {"1": {}}}, "settings.menu:", "one of `say` and `play`"),
        ({"say": {"ko": "x"}, "play": "y", "keys": {"1": {}}}, "settings.menu:", "one of `say` and `play`"),
        ({"say": {"ko": "x"}}, "settings.menu.keys:", "no key"),
        ({"say": {"ko": "x"}, "keys": {"10": {}}}, "settings.menu.keys:", "'10' is no key of a telephone"),
        ({"say": {"ko": "x"}, "keys": {True: {}}}, "settings.menu.keys:", "'True' is no key"),
        ({"say": {"ko": "x"}, "keys": {"1": "order"}}, "settings.menu.keys.1:", "`attributes`"),
        ({"say": {"ko": "x"}, "keys": {"1": {"atributes": {}}}}, "settings.menu.keys.1:", "atributes"),
        ({"say": {"ko": "x"}, "keys": {"1": {"attributes": {"vip": 1}}}}, "settings.menu.keys.1:", "str"),
        ({"say": {"ko": "x"}, "keys": {"1": {"language": "Korean please"}}}, "settings.menu.keys.1:", "language"),
        ({"say": {"ko": "x"}, "keys": {"1": {}}, "tries": 99}, "settings.menu:", "tries"),
        ({"say": {"ko": "x"}, "keys": {"1": {}}, "timeout_s": 0}, "settings.menu:", "timeout_s"),
        ({"say": {"ko": "x" * 1001}, "keys": {"1": {}}}, "settings.menu:", "say"),
        (
            {"say": {"ko": "x"}, "keys": {"2": {"menu": {"play": "y", "keys": {"x": {}}}}}},
            "settings.menu.keys.2.menu.keys:",
            "no key of a telephone",
        ),
        (nested(MAX_DEPTH + 1), "settings.menu.keys.1.menu", f"deeper than {MAX_DEPTH}"),
        (nested(5000), "settings.menu.keys.1.menu", f"deeper than {MAX_DEPTH}"),
        (wide(MAX_MENUS + 11), "settings.menu:", f"more than {MAX_MENUS}"),
    ],
)
def test_a_faulty_menu_is_named_with_the_place_of_its_fault(menu: Any, where: str, what: str) -> None:
    fault = menu_fault({"menu": menu}, lambda menu: None)
    assert fault is not None
    assert fault.startswith(where) and what in fault, fault
    assert menu_of({"menu": menu}) is None


def test_a_provider_says_of_any_of_its_menus_why_it_cannot() -> None:
    fault = menu_fault({"menu": SHOP}, lambda menu: "too short" if menu.tries == 1 else None)
    assert fault == "settings.menu.keys.2.menu: too short"
    assert menu_fault({"menu": SHOP}, lambda menu: None) is None
    assert menu_fault({}, lambda menu: "never asked") is None


def test_as_deep_and_as_many_as_may_be() -> None:
    assert menu_of({"menu": nested(MAX_DEPTH)}) is not None


def phone(menu: Any) -> Channel:
    secrets = {"username": "env:A", "password": "env:B"}
    settings = {"url": "http://pbx:8088/ari", "menu": menu}
    return Channel(id="c", name="C", brand="b", provider="asterisk", kind="voice", settings=settings, secrets=secrets)


def test_a_channel_whose_menu_cannot_be_is_not_connected_and_says_why() -> None:
    accounts = Accounts({"asterisk": Asterisk()}, lambda *parts: "t", lambda *_: "secret", "http://x")
    accounts.configure("ws", Config(channels=(phone({"play": "sound:a", "keys": {"1": {}}}),)))
    assert accounts.fault("ws", "c") is None
    accounts.configure("ws", Config(channels=(phone(SHOP),)))
    assert accounts.fault("ws", "c") == (
        "settings.menu: an exchange has no voice that reads words: record them and give the sound in `play`"
    )


def test_a_document_may_leave_the_keys_unquoted_and_comes_back_with_texts() -> None:
    document = """
queues: [{id: q, name: Q}]
brands: [{id: b, name: B, default_queue: q}]
channels:
- {id: c, name: C, brand: b, provider: asterisk, kind: voice,
   settings: {url: 'http://pbx', menu: {play: 'sound:a', keys: {1: {menu: {play: 'sound:b', keys: {2: {}}}}}}}}
"""
    config = parse(document)
    assert config.channels[0].settings["menu"]["keys"] == {
        "1": {"menu": {"play": "sound:b", "keys": {"2": {}}}},
    }
    assert parse(export(config)) == config


Scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
Things = st.recursive(
    Scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["say", "play", "keys", "1", "menu", "ko", "attributes", 2]), inner, max_size=5
        )
    ),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(Things, st.text(max_size=9), st.text(max_size=4), st.text(max_size=2))
def test_whatever_settings_hold_and_whatever_is_pressed(menu: Any, keys: str, tries: str, key: str) -> None:
    """A menu or a fault, never an exception; and of every menu the walk ends."""
    fault = menu_fault({"menu": menu}, lambda menu: None)
    root = menu_of({"menu": menu})
    assert menu is None or (fault is None) == (root is not None)
    for known in (root, ROOT):
        step: Place | Chosen = place_of(keys, tries)
        for _ in range(MAX_DEPTH * MAX_TRIES + 1):
            if known is not None and isinstance(step, Place):
                step = after(known, step, key)
        assert known is None or isinstance(step, Chosen)
