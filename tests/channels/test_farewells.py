"""What callers are told and may press, and what is wrong with what an owner has written about it."""

import pytest

from channels import asterisk, farewells
from channels.providers.asterisk import Asterisk
from channels.providers.twilio_voice import TwilioVoice
from support.channel import account


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"keys": {"12": "callback"}}, "settings.keys.12"),
        ({"keys": {"": "callback"}}, "settings.keys."),
        ({"keys": {"1": "music"}}, "settings.keys.1"),
        ({"keys": {"1": ["callback"]}}, "settings.keys.1"),
        ({"keys": ["1"]}, "settings.keys"),
        ({"words": {"hello": {"en": "x"}}}, "settings.words.hello"),
        ({"words": {"closed": "x"}}, "settings.words.closed"),
        ({"words": {"closed": {"en": "x" * 501}}}, "settings.words.closed"),
        ({"sounds": {"closed": 7}}, "settings.sounds.closed"),
        ({"sounds": {"open": "sound:x"}}, "settings.sounds.open"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, object], where: str) -> None:
    assert (farewells.fault(settings) or "").startswith(where)
    for provider in (Asterisk(), TwilioVoice()):
        assert (provider.settings_fault(settings) or "").startswith(where)


def test_what_is_right_is_taken() -> None:
    settings = {
        "keys": {"1": "callback", "*": "voicemail"},
        "words": {"closed": {"ko": "끝", "en": "over"}},
        "sounds": {"voicemail": "sound:custom/speak", "keys": "sound:custom/keys"},
    }
    assert farewells.fault(settings) is None and farewells.fault({}) is None


def test_a_key_is_one_of_those_on_a_phone() -> None:
    assert farewells.keys(account(Asterisk(), {"keys": {"12": "callback", "2": "voicemail"}})) == {"2": "voicemail"}


def test_each_press_is_asked_about_anew() -> None:
    """Who was refused while an agent's phone rang was refused ever after, as one who had asked the same thing twice."""
    ours = account(Asterisk(), {"keys": {"1": "callback", "2": ["voicemail"]}})
    first, again, other = (farewells.pressed(ours, "c1", "1", press) for press in ("t1", "t1", "t2"))
    assert first is not None and again is not None and other is not None
    assert first == again and first.key != other.key
    assert farewells.pressed(ours, "c1", "2", "t1") is None


def test_an_exchange_names_the_keys_with_a_sound_of_its_owners() -> None:
    ours = account(Asterisk(), {"sounds": {"keys": "sound:custom/keys"}})
    assert asterisk.place_said(ours, 2)[-1] == "sound:custom/keys"
    assert "sound:custom/keys" not in asterisk.place_said(account(Asterisk()), 2)
