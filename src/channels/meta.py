"""What Messenger, Instagram and WhatsApp share: signature, handshake, the Graph API and its errors, and between the first
two the form of their events.

Sources: developers.facebook.com, "Webhooks" (one POST may hold many pages and numbers, up to 1000 changes; every one is
filtered by the id of ours), "Send API", "Error codes". An answer may be given within a day of the customer's last
message. What comes in `standby` belongs to another app, so it asks nobody here.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec

from channels import loose, multipart
from channels.base import Account, Call, File, Found, HookReply, Item, Outgoing, Result, Span, Webhook, by_status
from channels.elsewhere import arrived
from channels.signatures import meta, same
from router.inputs import ReceiveMessage, ReceiveReceipt, ReviseMessage
from router.model import Content, Elsewhere, Identity, Part, ReplyPolicy, SendStatus, Text, Thread, Unit

GRAPH = "https://graph.facebook.com/v25.0"
DAY_S = 86_400.0
HUMAN_AGENT, HUMAN_AGENT_S = "HUMAN_AGENT", 7 * DAY_S
READ_WITHIN_S = 1.0
"""A message counts as ours when its acceptance is in the log, a little after the provider's own time of it."""
MAX_REF = 4000
UPLOAD_S = 60.0
FETCHED = {"image": "image/jpeg", "video": "video/mp4", "audio": "audio/mp4", "file": "application/octet-stream"}
NEWEST, CONVERSATIONS = 20, 25
OURS = "naru:"
"""Begins what we write in a message's `metadata`, which comes back with its echo."""

LATER_S = {1: 0, 2: 5, 4: 60, 17: 60, 32: 60, 613: 60, 80007: 60, 130429: 5, 131016: 30, 131056: 10, 133004: 30}
"""Graph error codes after which the same may be tried again, and when. 1 is unknown to Meta itself."""


def verify(account: Account, webhook: Webhook) -> bool:
    """Whether one of the app's secrets signed the raw body. No time is signed: repetitions are told apart by their keys."""
    given = webhook.headers.get("x-hub-signature-256", "")
    return any(same(meta(secret, webhook.body), given) for secret in account.secrets["app_secret"].split())


def handshake(account: Account, webhook: Webhook) -> HookReply:
    """hub.challenge as it came, if hub.verify_token is ours."""
    challenge = webhook.query.get("hub.challenge", "")
    token = webhook.query.get("hub.verify_token", "")
    asks = webhook.query.get("hub.mode") == "subscribe" and bool(challenge) and len(challenge) <= 200
    if asks and same(token, account.secrets["verify_token"]):
        return HookReply(200, challenge)
    return HookReply(403, "not the verify token")


def entries(body: bytes, what: str) -> Iterator[dict[str, Any]]:
    """The entries of a POST about one kind of object."""
    said = loose.decoded(body)
    for entry in loose.many(said, "entry") if loose.text(said, "object") == what else []:
        if isinstance(entry, dict):
            yield entry


def post(account: Account, path: str, body: dict[str, Any], base: str = GRAPH, files: tuple[File, ...] = ()) -> Call:
    """A POST to the Graph API: JSON, or with a file a form whose fields are JSON each."""
    url = f"{account.setting('api_url', base).rstrip('/')}/{path}"
    media_type, raw = "application/json", msgspec.json.encode(body)
    if files:
        fields = [(n, v if isinstance(v, str) else msgspec.json.encode(v).decode()) for n, v in body.items()]
        media_type, raw = multipart.form(fields, [("filedata", file) for file in files])
    headers = {"authorization": f"Bearer {_token(account)}", "content-type": media_type}
    return Call(url=url, headers=headers, body=raw, timeout_s=UPLOAD_S if files else 15.0)


def attachment(file: File) -> dict[str, Any]:
    kind = file.media_type.partition("/")[0]
    return {"attachment": {"type": kind if kind in FETCHED else "file", "payload": {}}}


def get(account: Account, path: str) -> Call:
    url = path if path.startswith("https://") else f"{account.setting('api_url', GRAPH).rstrip('/')}/{path}"
    return Call(method="GET", url=url, headers={"authorization": f"Bearer {_token(account)}"})


def _token(account: Account) -> str:
    return account.secrets["access_token"]


def outcome(status: int, body: bytes, *external: str | int) -> Result:
    """The message's id, which lies at `external`, or Meta's own code and words."""
    said = loose.decoded(body)
    code = loose.number(said, "error", "code")
    if code is None:
        named = loose.key(said, *external)
        fine = 200 <= status < 300
        return by_status(status, "", (named,)) if named or not fine else Result("uncertain", detail="no message id")
    words = loose.text(said, "error", "error_data", "details") or loose.text(said, "error", "message")
    numbers = f"{code:.0f}/{loose.text(said, 'error', 'error_subcode')}".rstrip("/")
    detail = f"{numbers} {words}"[:500]
    after_s = LATER_S.get(int(code))
    if after_s is None:
        return Result("uncertain" if status >= 500 else "rejected", detail=detail)
    return Result("retry", detail=detail, after_s=after_s) if after_s else Result("uncertain", detail=detail)


# -- Messenger and Instagram


def inputs(account: Account, webhook: Webhook, what: str, ours: str, limit: int, unit: Unit) -> tuple[Item, ...]:
    """What the events of one page (or account) say. `ours` is its id."""
    found: list[Item] = []
    for entry in entries(webhook.body, what):
        changes = [change for change in loose.many(entry, "changes") if loose.text(change, "field") == "messages"]
        for event in [*loose.many(entry, "messaging"), *(loose.at(change, "value") for change in changes)]:
            if loose.text(entry, "id") == ours and isinstance(event, dict):
                found += _event(account, webhook, event, ours, ReplyPolicy(max_length=limit, unit=unit))
    return tuple(found)


def _event(account: Account, webhook: Webhook, event: dict[str, Any], ours: str, policy: ReplyPolicy) -> Iterator[Item]:
    sender, recipient = loose.key(event, "sender", "id"), loose.key(event, "recipient", "id")
    customer = recipient if sender == ours else sender
    if not customer or customer == ours:
        return
    thread = Thread(external=customer)
    if "read" in event or "delivery" in event:
        yield from _receipts(account, event, thread)
        return
    edit = loose.key(event, "message_edit", "mid")
    if edit:
        words = Content(parts=(Text(text=loose.text(event, "message_edit", "text")),))
        body = ReviseMessage(channel=account.channel, thread=thread, change="edited", dedupe_key=edit)
        counted = loose.text(event, "message_edit", "num_edit", most=20) or loose.hashed(words.text)
        yield Item(f"{edit}:edit:{counted}", body, words)
        return
    said = loose.fields(event, "message")
    mid = loose.key(said, "mid") or loose.key(event, "postback", "mid")
    if said.get("is_deleted") is True and mid:
        gone = ReviseMessage(channel=account.channel, thread=thread, change="deleted", dedupe_key=mid)
        yield Item(f"{mid}:deleted", gone, Content())
        return
    parts = _parts(event)
    if not parts:
        return
    mid = mid or loose.hashed(customer, loose.text(event, "timestamp"), *(repr(part) for part in parts))
    echo = said.get("is_echo") is True or sender == ours
    if echo and _is_ours(account, said):
        mark = loose.text(said, "metadata", most=100)
        if mark.startswith(OURS):  # it went out, even if the answer to our request was lost
            yield Item(f"{mid}:sent", ReceiveReceipt(message=mark.removeprefix(OURS), status="sent"))
        return
    sent_at = loose.moment(event, "timestamp", per_s=1000, now=webhook.t)
    yield _item(account, mid, customer, ours, parts, sent_at, None if echo else policy)


def _item(
    account: Account,
    mid: str,
    customer: str,
    ours: str,
    parts: tuple[Part, ...],
    sent_at: float,
    policy: ReplyPolicy | None,
) -> Item:
    """A message; one without a policy is an echo."""
    window_s = HUMAN_AGENT_S if account.setting("human_agent") == "yes" else DAY_S
    received = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=customer),
        identity=Identity(scope=f"{account.provider}:{ours}", kind="external", value=customer),
        dedupe_key=mid,
        occurred_at=sent_at,
        to=ours,
        author="external_console" if policy is None else "customer",
        policy=None if policy is None else msgspec.structs.replace(policy, until=sent_at + window_s),
    )
    return Item(mid, received, Content(parts=parts, headers={"mid": mid}))


def is_late(account: Account, message: Outgoing, now: float) -> bool:
    """Whether only a human agent may still answer, where Meta has allowed that."""
    return account.setting("human_agent") == "yes" and now - message.last_at > DAY_S


def why(account: Account, message: Outgoing, now: float) -> dict[str, str]:
    """What Messenger wants to know of a message: an answer, or a late one of a person."""
    if is_late(account, message, now):
        return {"messaging_type": "MESSAGE_TAG", "tag": HUMAN_AGENT}
    return {"messaging_type": "RESPONSE"}


def _is_ours(account: Account, said: dict[str, Any]) -> bool:
    app = account.setting("app_id")
    return (bool(app) and loose.text(said, "app_id") == app) or loose.text(said, "metadata").startswith(OURS)


def _receipts(account: Account, event: dict[str, Any], thread: Thread) -> Iterator[Item]:
    """Of one message each where they are named, else of all up to a time, in milliseconds."""
    kinds: tuple[tuple[str, SendStatus], ...] = (("read", "read"), ("delivery", "delivered"))
    for kind, status in kinds:
        named = loose.many(event, kind, "mids") or [loose.at(event, kind, "mid")]
        mids = [mid for mid in (loose.key(one) for one in named[:1000]) if mid]
        for mid in mids:
            body = ReceiveReceipt(channel=account.channel, external=mid, status=status)
            yield Item(f"{mid}:{status}", body)
        mark = loose.number(event, kind, "watermark")
        if mark and not mids:
            up_to = mark / 1000 + READ_WITHIN_S
            said = ReceiveReceipt(channel=account.channel, thread=thread, up_to=up_to, status=status)
            yield Item(f"{thread.external}:{mark:.0f}:{status}", said)


def _parts(event: dict[str, Any]) -> tuple[Part, ...]:
    """What was said: words or the words of a button, then what hangs on them."""
    words = loose.text(event, "message", "text") or loose.text(event, "postback", "title")
    parts: list[Part] = [Text(text=words)] if words else []
    for number, attached in enumerate(loose.many(event, "message", "attachments")[:20]):
        kind, url = loose.text(attached, "type", most=40), loose.text(attached, "payload", "url", most=MAX_REF + 1)
        known = "image" if loose.at(attached, "payload", "sticker_id") is not None else kind
        if known in FETCHED and url.startswith("https://") and len(url) <= MAX_REF:
            parts.append(Elsewhere(ref=url, name=f"{known}-{number + 1}", media_type=FETCHED[known]))
        else:
            parts.append(Text(text=_described(kind, attached, url)))
    if loose.at(event, "message", "is_unsupported") is True and not parts:
        parts.append(Text(text="[a kind of message that Meta does not pass on]"))
    return tuple(parts)


def _described(kind: str, attached: Any, url: str) -> str:
    """In words: a place, a shared link or post. Links that customers choose are never fetched."""
    where = loose.place(loose.at(attached, "payload", "coordinates"), "lat", "long")
    title = loose.text(attached, "title", most=300) or loose.text(attached, "payload", "title", most=300)
    told = " ".join(filter(None, (where, title, url or loose.text(attached, "url", most=2000))))
    return f"[{kind or 'attachment'}] {told}".rstrip()


def fetch(ref: str) -> Call:
    """A link of Meta's own, good for a while and without a token."""
    return Call(method="GET", url=ref)


def fetched(status: int, media_type: str, body: bytes) -> File | Result:
    return arrived(status, media_type, body, "Meta", 5)


# -- what was lost: the newest conversations, and of each the newest messages. Meta tells the details of no more than 20.

FIELDS = f"updated_time,messages.limit({NEWEST}){{id,created_time,from,message,attachments,sticker}}"


def conversations(account: Account, owner: str, platform: str, base: str = GRAPH, after: str = "") -> Call:
    asked = {"platform": platform, "fields": FIELDS, "limit": str(CONVERSATIONS), **({"after": after} if after else {})}
    url = f"{account.setting('api_url', base).rstrip('/')}/{owner}/conversations?{urlencode(asked)}"
    return Call(method="GET", url=url, headers={"authorization": f"Bearer {_token(account)}"}, timeout_s=30)


def found(account: Account, call: Call, span: Span, status: int, body: bytes, ours: str, policy: ReplyPolicy) -> Found:
    """What customers wrote since the span began. What was said by us is not told apart from what a colleague said in
    Meta's own pages, so neither is taken."""
    said = loose.record_of(body)
    if status != 200 or not isinstance(said.get("data"), list):
        return Found(fault=f"{status} {outcome(status, body).detail or ''}".strip())
    items: list[Item] = []
    newest = 0.0
    for conversation in loose.objects(said, "data"):
        newest = loose.time(conversation, "updated_time") or newest
        for message in loose.objects(conversation, "messages", "data")[:NEWEST]:
            items += _found(account, message, span, ours, policy)
    after = loose.text(said, "paging", "cursors", "after", most=1_000)
    is_over = newest < span.start or not loose.text(said, "paging", "next", most=20_000)
    return Found(items=tuple(items), more=() if is_over or not after else (_after(call, after),))


def _after(call: Call, after: str) -> Call:
    url, _, query = call.url.partition("?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    return msgspec.structs.replace(call, url=f"{url}?{urlencode({**asked, 'after': after})}")


def _found(account: Account, said: dict[str, Any], span: Span, ours: str, policy: ReplyPolicy) -> list[Item]:
    mid, sender, at = loose.key(said, "id"), loose.key(said, "from", "id"), loose.time(said, "created_time")
    if not mid or sender in ("", ours, account.setting("page_id")) or at is None or not span.start <= at <= span.end:
        return []
    words = loose.text(said, "message")
    parts: list[Part] = [Text(text=words)] if words else []
    for number, attached in enumerate(loose.objects(said, "attachments", "data")[:20], 1):
        parts.append(_attached(attached, number))
    if loose.text(said, "sticker", most=MAX_REF):
        parts.append(Text(text="[sticker]"))
    told = tuple(parts) or (Text(text="[a kind of message that Meta does not pass on]"),)
    return [_item(account, mid, sender, ours, told, at, policy)]


def _attached(attached: dict[str, Any], number: int) -> Part:
    for kind, place in (("image", ("image_data", "url")), ("video", ("video_data", "url")), ("file", ("file_url",))):
        url = loose.text(attached, *place, most=MAX_REF + 1)
        if url.startswith("https://") and len(url) <= MAX_REF:
            name = loose.name(attached, "name") or f"{kind}-{number}"
            return Elsewhere(ref=url, name=name, media_type=loose.name(attached, "mime_type") or FETCHED[kind])
    return Text(text=_described(loose.text(attached, "mime_type", most=40), {}, ""))


# -- whether the app is told


def subscribed(account: Account, owner: str, base: str = GRAPH) -> Call:
    url = f"{account.setting('api_url', base).rstrip('/')}/{owner}/subscribed_apps"
    return Call(method="GET", url=url, headers={"authorization": f"Bearer {_token(account)}"})


def subscription(account: Account, status: int, body: bytes) -> str | None:
    """Whether an app, ours where it is known, is told of messages. Meta takes a subscription away from who does not answer."""
    said = loose.record_of(body)
    if status != 200 or not isinstance(said.get("data"), list):
        return f"{status} {outcome(status, body).detail or ''}".strip()
    app = account.setting("app_id")
    told = [one for one in loose.objects(said, "data") if not app or loose.text(one, "id") in (app, "")]
    if not told:
        return "the app is not subscribed: subscribe it anew"
    is_told = any("messages" in loose.many(one, "subscribed_fields") for one in told)
    return None if is_told else "the app is subscribed, but not to `messages`"
