"""Naver TalkTalk by its chat bot API (github.com/navertalk/chatbot-api, handover_v1.md).

Naver neither signs nor names messages: a request is let in by the secret in its path and the networks it may come from
(`channels/unsigned.py`), and what one customer says twice within a minute counts once. Errors come in HTTP 200.

With handover switched on, a colleague in the partner centre may hold a conversation: what the customer says then is marked
`standby` and is that colleague's, whose answers are shown. With `standby: take` it is ours: the first answer to it takes
the conversation over (`takeThread`) in a request made just before it (`base.Calls`).
"""

from typing import Any

import msgspec

from channels import loose, unsigned
from channels.base import (
    About,
    Account,
    Call,
    Calls,
    File,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
    by_status,
)
from channels.elsewhere import arrived, leads_to
from channels.saying import said
from router.effects import AnyEffect
from router.inputs import ReceiveMessage
from router.model import Content, Elsewhere, Identity, Kind, Part, ReplyPolicy, Text, Thread

API = "https://gw.talk.naver.com/chatbot/v1/event"
MAX_TEXT = 10_000
PARTNER = "1"
"""The `sourceId` of what a person wrote in the partner centre; a bot's own has another."""
NAVERS = (".naver.net", ".naver.com", ".pstatic.net")


class NaverTalkTalk:
    name = "naver_talktalk"
    about = About(
        title="Naver TalkTalk",
        family="messages",
        receives="texts, pictures, echoes",
        sends="texts",
        media="in",
        policy="10,000 characters",
        evidence="documents",
        verified_against="Naver's published API description; nothing of it is signed",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ()
    required_secrets: tuple[str, ...] = ("path_secret", "authorization")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return unsigned.path_within(account, webhook) is not None

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        event = loose.fields(loose.decoded(webhook.body))
        kind, user = loose.text(event, "event", most=40), loose.key(event, "user")
        partner = account.setting("partner")
        is_echo = kind == "echo" and loose.text(event, "options", "sourceId") == PARTNER
        elsewhere = event.get("standby") is True and account.setting("standby") != "take"
        is_others = partner and loose.text(event, "partner") not in ("", partner)
        parts = _parts(event)
        if not user or not parts or is_others or not (is_echo or (kind == "send" and not elsewhere)):
            return Reading()
        minute = f"{webhook.t // 60:.0f}"
        key = loose.hashed(user, kind, loose.text(event, "textContent", "code"), *map(repr, parts), minute)
        body = ReceiveMessage(
            channel=account.channel,
            thread=Thread(external=user),
            identity=Identity(scope=f"talktalk:{partner or account.channel}", kind="external", value=user),
            dedupe_key=key,
            author="external_console" if is_echo else "customer",
        )
        headers = {"standby": "yes"} if event.get("standby") is True else {}
        return Reading((Item(key, body, Content(parts=parts, headers=headers)),))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call | Calls:
        deliver, outgoing, text = said(effect, message, "TalkTalk", MAX_TEXT)
        user = deliver.identity.value
        told = {"textContent": {"text": text}, "options": {"notification": True}}
        answer = _post(account, {"event": "send", "user": user, **told})
        if outgoing.first and outgoing.last_headers.get("standby"):
            take = {"event": "handover", "user": user, "options": {"control": "takeThread", "metadata": ""}}
            return Calls(before=(_post(account, take),), call=answer)
        return answer

    def outcome(self, status: int, body: bytes) -> Result:
        told = loose.decoded(body)
        code = loose.text(told, "resultCode", most=20)
        if 200 <= status < 300 and loose.at(told, "success") is True and code in ("", "00"):
            return Result("accepted")
        words = f"{code} {loose.text(told, 'resultMessage', most=300)}".strip()
        if 200 <= status < 300:
            refused = loose.at(told, "success") is False
            return Result("rejected" if refused else "uncertain", detail=words or "an answer without a result")
        return by_status(status, words)

    def fetch(self, account: Account, ref: str) -> Call:
        return Call(method="GET", url=ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return arrived(status, media_type, body, "Naver")


def _post(account: Account, event: dict[str, Any]) -> Call:
    headers = {"content-type": "application/json;charset=UTF-8", "authorization": account.secrets["authorization"]}
    return Call(url=account.setting("api_url", API), headers=headers, body=msgspec.json.encode(event))


def _parts(event: dict[str, Any]) -> tuple[Part, ...]:
    """Words, or a picture. Who is let in may still not make us ask hosts that are not Naver's."""
    words, picture = loose.text(event, "textContent", "text"), loose.text(event, "imageContent", "imageUrl", most=2000)
    if picture:
        name = loose.text(event, "imageContent", "fileName", most=loose.MAX_NAME) or "image"
        file = Elsewhere(ref=picture, name=name, media_type="image/jpeg")
        return (file if leads_to(picture, *NAVERS, schemes=("http", "https")) else Text(text=f"[image] {picture}"),)
    if loose.fields(event, "compositeContent"):
        first = loose.fields(event, "compositeContent", "compositeList", 0)
        told = (loose.text(first, "title", most=2000), loose.text(first, "description", most=2000))
        return (Text(text="\n".join(filter(None, told)) or "[composite message]"),)
    return (Text(text=words),) if words else ()
