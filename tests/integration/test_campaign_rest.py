"""REST for campaigns: what it says of all of them, lists as large as they are, and the list of those who want no calls."""

import csv
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest

from naru.campaigns.routes import MAX_FILE_BYTES
from naru.web import MAX_FILE_BODY_BYTES
from support.center import Center

CONFIG = """\
version: 1
name: Outreach
timezone: Asia/Seoul
brands:
- {id: shop, name: Shop, default_queue: out, languages: [ko]}
channels:
- {id: hook, name: Hook, brand: shop, provider: webhook, kind: sms, secrets: {signing_secret: 'env:NARU_SECRET_HOOK'}}
queues:
- {id: out, name: Outbound}
agents:
- {id: owner, name: Owner, role: owner}
- {id: jun, name: Jun, brands: [shop], mode: outbound}
campaigns:
- {id: news, name: News, channel: hook, queue: out, mode: direct, purpose: service}
- {id: other, name: Other, channel: hook, queue: out, mode: direct, purpose: service}
"""


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with Center(tmp_path_factory.mktemp("campaigns") / "data", CONFIG) as center:
        yield center


def get(center: Center, path: str) -> Any:
    answer = center.request("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_how_every_campaign_goes_is_told_at_once(center: Center) -> None:
    def running() -> dict[str, bool]:
        return {row["campaign"]: row["running"] for row in get(center, "/v1/campaign-status")["items"]}

    assert running() == {"news": False, "other": False}
    assert center.request("POST", "/v1/campaigns/other/start").status_code == 200
    assert running() == {"news": False, "other": True}
    assert center.request("GET", "/v1/campaign-status", center.agent_key("jun")).status_code == 403
    center.request("POST", "/v1/campaigns/other/stop")


def test_a_list_may_be_as_large_as_a_list_is(center: Center) -> None:
    """Larger than other bodies may be. What a list may have, its body may."""
    assert MAX_FILE_BODY_BYTES > MAX_FILE_BYTES
    rows = "".join(f"010-{n // 10_000 + 2000:04d}-{n % 10_000:04d},{'x' * 100}\n" for n in range(12_000))
    answer = center.request(
        "POST", "/v1/campaigns/news/lists", files={"file": ("people.csv", "phone,note\n" + rows, "text/csv")}
    )
    assert answer.status_code == 202, answer.text
    path, end = f"/v1/campaigns/news/lists/{answer.json()['list']}", time.perf_counter() + 60
    while (found := get(center, path))["state"] == "running":
        assert time.perf_counter() < end
        time.sleep(0.1)
    assert (found["state"], found["taken"], found["faults"]) == ("done", 12_000, [])


def test_an_empty_ledger_is_a_heading(center: Center) -> None:
    answer = center.request("GET", "/v1/campaigns/news/attempts?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    (heading,) = csv.reader(io.StringIO(answer.text))
    assert heading[:2] == ["id", "campaign"]
    assert get(center, "/v1/campaigns/news/attempts?newest=true") == {"items": []}


def test_a_file_for_a_list_that_is_none_is_refused(center: Center) -> None:
    files = {"file": ("numbers.csv", "phone\n010-2000-0003\n", "text/csv")}
    path = "/v1/do-not-call/import"
    for scope, status in (("somewhere", 422), ("registry:kr", 422), ("registry:KR", 200)):
        answer = center.request("POST", path, params={"scope": scope}, files=files)
        assert answer.status_code == status, (scope, answer.text)
    value = "%2B821020000003"
    gone = center.request("DELETE", f"/v1/do-not-call/{value}", params={"scope": "registry:KR"})
    assert gone.status_code == 204, gone.text


def test_a_number_on_two_lists_is_seen_on_both_page_by_page(center: Center) -> None:
    number, scopes = "+821020000001", ["brand:shop", "workspace"]
    for scope in scopes:
        answer = center.request("POST", "/v1/do-not-call", json={"value": "010-2000-0001", "scope": scope})
        assert answer.status_code == 201, answer.text
    odd = "who/what@shop.test"
    assert center.request("POST", "/v1/do-not-call", json={"value": odd}).status_code == 201
    seen: list[tuple[str, str]] = []
    while True:
        value, scope = seen[-1] if seen else ("", "")
        query = {"limit": 1, "after": value, "after_scope": scope}
        found = center.request("GET", "/v1/do-not-call", params=query).json()["items"]
        if not found:
            break
        seen += [(row["value"], row["scope"]) for row in found]
    assert seen == [*((number, scope) for scope in scopes), (odd, "workspace")]
    for value, scope in seen:
        path = f"/v1/do-not-call/{value.replace('/', '%2F').replace('+', '%2B')}"
        assert center.request("DELETE", path, params={"scope": scope}).status_code == 204, value
    assert get(center, "/v1/do-not-call") == {"items": []}
