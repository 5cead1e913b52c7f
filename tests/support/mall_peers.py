"""Peers that behave as malls' documents say, and know nothing of our providers: a shop of Cafe24 and a SmartStore.

Each is what `httpx2.MockTransport` asks for: a request in, an answer out.
"""

import json
from typing import Any
from urllib.parse import parse_qsl

import httpx2


class Shop:
    """Cafe24: access tokens of two hours, refresh tokens that are good once, articles on a board."""

    def __init__(self) -> None:
        self.refresh, self.access = "first", "none"
        self.renewals = 0
        self.articles: list[dict[str, Any]] = [self.article(1, "customer1", "언제 오나요?")]

    def article(self, number: int, member: str, content: str, parent: int | None = None) -> dict[str, Any]:
        at = f"2023-11-15T0{number}:00:00+09:00"
        names = {"board_no": 6, "article_no": number, "parent_article_no": parent, "member_id": member}
        return {**names, "content": content, "created_date": at, "secret": "F", "title": "문의"}

    def __call__(self, asked: httpx2.Request) -> httpx2.Response:
        if asked.url.path == "/api/v2/oauth/token":
            return self._renew(dict(parse_qsl(asked.content.decode())))
        if asked.headers["authorization"] != f"Bearer {self.access}":
            return httpx2.Response(401, json={"error": {"code": 401, "message": "access_token time expired"}})
        if asked.method == "GET":
            return httpx2.Response(200, json={"articles": self.articles})
        [wanted] = json.loads(asked.content)["requests"]
        number = len(self.articles) + 1
        made = self.article(number, "kshop", wanted["content"], wanted["reply_article_no"])
        self.articles.append(made)
        return httpx2.Response(201, json={"articles": [made]})

    def _renew(self, wanted: dict[str, str]) -> httpx2.Response:
        if wanted["refresh_token"] != self.refresh:
            return httpx2.Response(400, json={"error": "invalid_grant", "error_description": "used already"})
        self.renewals += 1
        self.refresh, self.access = f"r{self.renewals}", f"a{self.renewals}"
        times = {"expires_at": "2023-11-15T09:13:20.000"} if self.renewals == 1 else {"expires_in": 7200}
        return httpx2.Response(200, json={"access_token": self.access, "refresh_token": self.refresh, **times})


class Store:
    """SmartStore: an inquiry takes one answer, a question's answer is whatever was written last."""

    def __init__(self) -> None:
        asked = {"inquiryContent": "배송?", "title": "?", "orderId": "1", "customerName": "홍*동", "answered": False}
        self.inquiries = [{"inquiryNo": 7, **asked, "inquiryRegistrationDateTime": "2023-11-15T01:00:00.000+09:00"}]
        self.questions = [
            {"questionId": 9, "question": "재질?", "answered": False, "createDate": "2023-11-15T01:00:00+09:00"}
        ]

    def __call__(self, asked: httpx2.Request) -> httpx2.Response:
        path = asked.url.path.removeprefix("/external")
        if path == "/v1/oauth2/token":
            good = dict(parse_qsl(asked.content.decode()))["client_secret_sign"] != ""
            token = {"access_token": "t", "expires_in": 10800, "token_type": "Bearer"}
            return httpx2.Response(200, json=token) if good else httpx2.Response(400, json={"code": "BAD_REQUEST"})
        if path == "/v1/pay-user/inquiries":
            return httpx2.Response(200, json={"content": self.inquiries, "last": True})
        if path == "/v1/contents/qnas":
            return httpx2.Response(
                200, json={"contents": [q for q in self.questions if not q["answered"]], "last": True}
            )
        said = json.loads(asked.content)
        if asked.method == "PUT":
            self.questions[0] |= {"answered": True, "answer": said["commentContent"]}
            return httpx2.Response(204)
        if self.inquiries[0]["answered"]:
            return httpx2.Response(400, json={"code": "ERR-NC-101010", "message": "이미 답변이 존재합니다"})
        self.answer(said["answerComment"])
        return httpx2.Response(200, json={"code": "S", "data": {"inquiryNo": 7, "inquiryCommentNo": 70}})

    def answer(self, text: str) -> None:
        at = "2023-11-15T02:00:00.000+09:00"
        self.inquiries[0] |= {
            "answered": True,
            "answerContentId": 70,
            "answerContent": text,
            "answerRegistrationDateTime": at,
        }
