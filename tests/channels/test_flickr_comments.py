"""Comments on Flickr: once an hour which photos have news, then each of them."""

import json
from urllib.parse import parse_qs, urlsplit

import msgspec

from channels.providers.flickr_comments import FlickrComments
from support.channel import NOW, account
from support.comments import deliver, refuses_what_is_no_comment, said, signed_rightly

IT = FlickrComments()
OURS = account(
    IT, {"user_id": "1@N01", "consumer_key": "ck"}, {"consumer_secret": "cs", "token": "t", "token_secret": "ts"}
)
NEWS = {
    "items": {"item": [{"type": "photo", "id": id_, "activity": {"event": [{"type": "comment"}]}} for id_ in "12"]},
    "stat": "ok",
}


def asked(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_which_photos_have_news_is_asked_once_an_hour() -> None:
    first = asked(IT.poll(OURS, {}, NOW).url)
    assert (first["method"], first["timeframe"], first["per_page"]) == ("flickr.activity.userPhotos", "26h", "50")
    quiet = IT.page(OURS, {}, 200, b'{"items": {"item": []}, "stat": "ok"}', NOW)
    assert (quiet.again_s, quiet.cursor["since"]) == (3600.0, NOW)
    assert asked(IT.poll(OURS, {"since": NOW - 7200}, NOW).url)["timeframe"] == "4h"
    assert asked(IT.poll(OURS, {"since": NOW - 9 * 86400}, NOW).url)["timeframe"] == "10d"


def test_then_the_comments_of_each_until_all_are_in() -> None:
    begun = {"since": NOW - 3600.0}
    page = IT.page(OURS, begun, 200, json.dumps(NEWS).encode(), NOW)
    assert (page.cursor["photos"], page.again_s) == (["1", "2"], 1.0)
    one = asked(IT.poll(OURS, page.cursor, NOW + 1).url)
    assert (one["method"], one["photo_id"]) == ("flickr.photos.comments.getList", "1")
    assert one["min_comment_date"] == str(int(NOW - 7200))
    none = b'{"comments": {"photo_id": "1"}, "stat": "ok"}'
    page = IT.page(OURS, page.cursor, 200, none, NOW + 1)
    assert (page.cursor["photos"], page.cursor["since"], page.again_s) == (["2"], NOW - 3600, 1.0)
    page = IT.page(OURS, page.cursor, 200, none, NOW + 2)
    assert (page.cursor, page.again_s) == ({"since": NOW}, 3600.0)


def test_errors_come_with_status_200() -> None:
    fault = b'{"stat": "fail", "code": 98, "message": "Invalid auth token"}'
    assert IT.page(OURS, {}, 200, fault, NOW).fault == "200 98 Invalid auth token"
    assert IT.outcome(200, fault).kind == "rejected"
    assert IT.outcome(200, b'{"stat": "fail", "code": 105, "message": "x"}').kind == "retry"
    assert IT.outcome(200, b'{"stat": "fail", "code": 106, "message": "x"}').kind == "uncertain"
    assert IT.outcome(200, b'{"stat": "ok", "comment": {"id": "6065-1-9"}}').externals == ("6065-1-9",)
    assert IT.outcome(200, b"{}").kind == "uncertain"


def test_an_answer_is_a_comment_on_the_photo() -> None:
    call = IT.write(OURS, deliver("109722179:35468159852@N01"), said("네, 팝니다."), NOW)
    fields = dict(call.form)
    assert (call.method, call.url) == ("POST", "https://www.flickr.com/services/rest")
    assert (fields["method"], fields["photo_id"]) == ("flickr.photos.comments.addComment", "109722179")
    assert fields["comment_text"] == "네, 팝니다."
    assert signed_rightly(call)
    assert not signed_rightly(msgspec.structs.replace(call, form=call.form[:-1]))
    refuses_what_is_no_comment(IT, OURS, "1:2", 5000)
