"""Instagram's own: its host, its length in bytes, its marks. What it shares with Messenger is tested there."""

import pytest

from channels.base import Unsendable
from channels.providers.instagram import Instagram
from support.channel import NOW, account, asked, hook
from support.social import by_meta, deliver, saying, sent

OURS = account(Instagram(), {"account_id": "178414"}, {"access_token": "IGAA", "app_secret": "app_secret"})


def test_a_body_is_signed_by_the_app() -> None:
    assert Instagram().verify(OURS, by_meta({"object": "instagram"}))
    assert not Instagram().verify(OURS, by_meta({"object": "instagram"}, "other"))
    assert not Instagram().verify(OURS, hook(b'{"object":"instagram"}'))


def test_an_answer_is_one_post_to_instagrams_own_graph() -> None:
    call = Instagram().write(OURS, deliver("1234"), saying("네, 있습니다!", last_at=NOW - 9), NOW)
    assert call.url == "https://graph.instagram.com/v25.0/178414/messages"
    assert call.headers["authorization"] == "Bearer IGAA"
    assert sent(call) == {"recipient": {"id": "1234"}, "message": {"text": "네, 있습니다!"}}


def test_an_account_that_hangs_on_a_page_answers_by_the_page() -> None:
    linked = account(Instagram(), {"account_id": "178414", "page_id": 2086}, {"access_token": "EAAG"})
    call = Instagram().write(linked, deliver("1234"), saying("네", last_at=NOW), NOW)
    assert call.url == "https://graph.facebook.com/v25.0/2086/messages"


def test_a_late_answer_of_a_human_agent_says_so() -> None:
    human = account(Instagram(), {"human_agent": "yes"})
    late = Instagram().write(human, deliver("1234"), saying("네", last_at=NOW - 86_401), NOW)
    assert sent(late)["tag"] == "HUMAN_AGENT"


def test_a_text_is_measured_in_bytes() -> None:
    Instagram().write(OURS, deliver("1"), saying("가" * 333), NOW)
    with pytest.raises(Unsendable, match="1000 bytes"):
        Instagram().write(OURS, deliver("1"), saying("가" * 334), NOW)
    assert Instagram().policy(OURS).unit == "bytes_utf8"


def test_a_message_about_another_account_is_not_ours() -> None:
    event = {"sender": {"id": "5"}, "recipient": {"id": "other"}, "message": {"mid": "m", "text": "x"}}
    for about, account_id in (("instagram", "other"), ("page", "178414")):
        body = {"object": about, "entry": [{"id": account_id, "messaging": [event]}]}
        assert Instagram().read(OURS, by_meta(body), lambda call: None).items == ()


def test_the_id_it_gives_is_the_external_one() -> None:
    assert Instagram().outcome(200, b'{"recipient_id":"1","message_id":"aWd"}').externals == ("aWd",)


def test_what_was_lost_is_asked_for_where_answers_go() -> None:
    linked = account(Instagram(), {"account_id": "178414", "page_id": 2086}, {"access_token": "EAAG"})
    for ours, place in (
        (OURS, "https://graph.instagram.com/v25.0/178414"),
        (linked, "https://graph.facebook.com/v25.0/2086"),
    ):
        (call,) = asked(Instagram(), ours)
        assert call.url.startswith(f"{place}/conversations?platform=instagram&")
        assert Instagram().ask_subscription(ours, NOW).url == f"{place}/subscribed_apps"
