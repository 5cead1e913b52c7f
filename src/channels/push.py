"""Telling a customer's device that there is a message, when nobody has the chat open anywhere.

Three services: FCM (Android), APNs (Apple), Web Push (browsers). A push says that there is a message, and what it says only
with the setting `push_text`. It may come twice, so it replaces the one before it. What a service does not know any more is
forgotten. Nothing depends on a push: whoever opens the chat sees everything.

FCM: firebase.google.com/docs/reference/fcm/rest/v1, by a service account's token (RFC 7523). APNs: developer.apple.com,
"sending notification requests to APNs", which wants HTTP/2. Web Push: `channels.webpush`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol
from urllib.parse import quote, urlsplit

import httpx2
import msgspec
import structlog
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from channels import oauth, webpush
from channels.base import Account, Call, Result, Token
from channels.http import request
from channels.ports import Unavailable
from channels.tokens import Tokens
from router.model import Content
from router.state import Pool

log = structlog.get_logger("channels.push")

Platform = Literal["fcm", "apns", "webpush"]
MAX_DEVICES = 10
"""Of one customer on one channel; the one that was not heard of for the longest gives way."""
MAX_SHOWN = 200
LIFE_S = 86_400
AT_ONCE = 200
BACKOFF_S = (2.0, 15.0, 60.0)
APNS_JWT_S = 2_400.0
"""Apple wants a new one after 20 minutes at the earliest, and after 60 at the latest."""
FCM, APNS = "https://fcm.googleapis.com", "https://api.push.apple.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
HOSTS = ("fcm.googleapis.com", "push.services.mozilla.com", "notify.windows.com", "push.apple.com")
"""Where browsers' push services are. An address comes from the browser, so it must not lead into our own network."""
SAYS = {"ko": "새 메시지가 도착했습니다.", "en": "You have a new message."}


class Device(msgspec.Struct, frozen=True):
    """`token` is the service's name of it; of `webpush` the subscription as JSON. `id` is the app's own name of it."""

    id: str
    platform: Platform
    token: str


class Devices(Protocol):
    """Raises Unavailable."""

    async def put(self, workspace: str, channel: str, conversation: str, device: Device, most: int) -> None:
        """A device is in one conversation: where it was before, it is no more."""
        ...

    async def of(self, workspace: str, channel: str, conversation: str) -> list[Device]: ...

    async def remove(self, workspace: str, channel: str, conversation: str, device: str) -> None: ...


class Notice(msgspec.Struct, frozen=True):
    conversation: str
    title: str
    body: str

    @property
    def tag(self) -> str:
        """32 letters: what replaces the one before it."""
        return self.conversation.replace("-", "")[:32]


class ServiceAccount(msgspec.Struct, frozen=True):
    """The JSON file of a Google service account, as far as it matters."""

    project_id: str
    client_email: str
    private_key: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


def notice(account: Account, pool: Pool, conversation: str, content: Content | None) -> Notice:
    brand, known = pool.brand(account.brand), pool.conversations.get(conversation)
    languages = [known.language if known else None, *(brand.languages if brand else ()), "en"]
    body = next(SAYS[language[:2]] for language in languages if language and language[:2] in SAYS)
    if account.settings.get("push_text") is True and content is not None and content.text.strip():
        body = content.text.strip()[:MAX_SHOWN]
    return Notice(conversation, brand.name if brand else account.brand, body)


# -- the three services


def serves(account: Account, platform: Platform) -> bool:
    """Whether the channel has what this service wants."""
    if platform == "fcm":
        return service_account(account) is not None
    if platform == "apns":
        return bool(account.secrets.get("apns_key")) and all(
            account.setting(name) for name in ("apns_key_id", "apns_team_id", "apns_topic")
        )
    return vapid_key(account) is not None and bool(account.setting("vapid_subject"))


def service_account(account: Account) -> ServiceAccount | None:
    try:
        return msgspec.json.decode(account.secrets.get("fcm_service_account", ""), type=ServiceAccount)
    except (msgspec.MsgspecError, RecursionError):
        return None


def vapid_key(account: Account) -> str | None:
    """The public half, with which a page subscribes."""
    try:
        return webpush.public_key(account.secrets["vapid_private_key"])
    except (KeyError, ValueError):
        return None


class FcmTokens:
    """Google's access token for a service account (`base.Renews`)."""

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call:
        known = service_account(account) or ServiceAccount("", "", "")
        claims = {"iss": known.client_email, "scope": SCOPE, "aud": known.token_uri}
        claims_and_times = {**claims, "iat": int(now), "exp": int(now) + 3600}
        signed = jwt.encode({"typ": "JWT", "alg": "RS256"}, claims_and_times, RSAKey.import_key(known.private_key))
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return Call(url=known.token_uri, form=(("grant_type", grant), ("assertion", signed)))

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        return oauth.granted(status, body, now)


def fcm(account: Account, token: str, said: Notice) -> Call:
    known = service_account(account)
    message = {
        "token": token,
        "notification": {"title": said.title, "body": said.body},
        "data": {"conversation": said.conversation},
        "android": {
            "priority": "HIGH",
            "ttl": f"{LIFE_S}s",
            "collapse_key": said.tag,
            "notification": {"tag": said.tag},
        },
    }
    return Call(
        url=f"{account.setting('fcm_url', FCM)}/v1/projects/{quote(known.project_id if known else '')}/messages:send",
        headers={"authorization": f"Bearer {account.token}", "content-type": "application/json"},
        body=msgspec.json.encode({"message": message}),
    )


def apns_jwt(account: Account, now: float) -> str:
    key = ECKey.import_key(account.secrets["apns_key"])
    head = {"alg": "ES256", "kid": account.setting("apns_key_id")}
    return jwt.encode(head, {"iss": account.setting("apns_team_id"), "iat": int(now)}, key)


def apns(account: Account, token: str, said: Notice, signed: str, now: float) -> Call:
    alert = {"alert": {"title": said.title, "body": said.body}, "sound": "default"}
    return Call(
        url=f"{account.setting('apns_url', APNS)}/3/device/{quote(token, safe='')}",
        headers={
            "authorization": f"bearer {signed}",
            "apns-topic": account.setting("apns_topic"),
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": str(int(now) + LIFE_S),
            "apns-collapse-id": said.tag,
        },
        body=msgspec.json.encode({"aps": alert, "conversation": said.conversation}),
    )


def web(account: Account, token: str, said: Notice, chance: bytes, now: float) -> Call:
    """Raises ValueError for a subscription that is none."""
    to = msgspec.json.decode(token, type=webpush.Subscription)
    if not may_be_pushed_to(account, to.endpoint):
        raise ValueError("not a push service's address")
    private, subject = account.secrets["vapid_private_key"], account.setting("vapid_subject")
    return Call(
        url=to.endpoint,
        headers={
            "authorization": webpush.vapid(to.endpoint, private, subject, now),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(LIFE_S),
            "urgency": "high",
            "topic": said.tag,
        },
        body=webpush.seal(msgspec.json.encode(said), to.keys, chance),
    )


def may_be_pushed_to(account: Account, endpoint: str) -> bool:
    """Known push services by https; hosts of the setting `push_hosts` as they are named, by http too."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return False
    host, more = parts.hostname or "", account.settings.get("push_hosts")
    if isinstance(more, list) and host in more:
        return parts.scheme in ("https", "http")
    return parts.scheme == "https" and any(f".{host}".endswith(f".{known}") for known in HOSTS)


def is_gone(platform: Platform, status: int, body: bytes) -> bool:
    """Whether the service will never know this device again."""
    if platform == "fcm":
        return status == 404 or (status == 400 and b'"UNREGISTERED"' in body)
    return status == 410 or (status == 404 and platform == "webpush")


# -- sending


class Pusher:
    """`chance(n)` gives n bytes that nobody knows. `client` speaks HTTP/2, as Apple wants it."""

    def __init__(
        self,
        devices: Devices,
        client: httpx2.AsyncClient,
        tokens: Tokens,
        clock: Callable[[], float],
        chance: Callable[[int], bytes],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._devices = devices
        self._client = client
        self._tokens = tokens
        self._clock = clock
        self._chance = chance
        self._sleep = sleep
        self._apns: dict[tuple[str, str], tuple[float, Account, str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, account: Account, said: Notice) -> None:
        """Does not wait, and does not fail."""
        if not any(serves(account, platform) for platform in ("fcm", "apns", "webpush")):
            return
        if len(self._tasks) >= AT_ONCE:
            log.warning("push.too_many", channel=account.channel)
            return
        task = asyncio.create_task(self.push(account, said))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def push(self, account: Account, said: Notice) -> None:
        """To all devices of a conversation."""
        try:
            known = await self._devices.of(account.workspace, account.channel, said.conversation)
            served = [device for device in known if serves(account, device.platform)]
            await asyncio.gather(*(self._push(account, device, said) for device in served))
        except Unavailable as error:
            log.warning("push.unavailable", channel=account.channel, error=str(error))
        except Exception:  # an owner's key that is none, above all: told, and of no harm to others
            log.exception("push.broken", channel=account.channel)

    async def _push(self, account: Account, device: Device, said: Notice) -> None:
        detail: str | None = None
        for pause_s in (*BACKOFF_S, 0.0):
            status, detail = await self._once(account, device, said)
            if 200 <= status < 300:
                return
            if status and status not in (401, 403, 408, 425, 429) and status < 500:
                break
            await self._sleep(pause_s)
        log.warning("push.failed", channel=account.channel, platform=device.platform, detail=detail)

    async def _once(self, account: Account, device: Device, said: Notice) -> tuple[int, str | None]:
        """The status, 0 for none, 200 for what needs no further try."""
        made = await self._call(account, device, said)
        if isinstance(made, Result):
            return 0, made.detail
        answer = await request(self._client, made)
        if isinstance(answer, Result):
            return 0, answer.detail
        if is_gone(device.platform, answer.status, answer.body):
            await self._devices.remove(account.workspace, account.channel, said.conversation, device.id)
            return 200, None
        if answer.status in (401, 403):
            self._tokens.refused(account)
            self._apns.pop((account.workspace, account.channel), None)
        return answer.status, f"{answer.status} {answer.body[:200].decode(errors='replace')}"

    async def _call(self, account: Account, device: Device, said: Notice) -> Call | Result:
        now = self._clock()
        if device.platform == "fcm":
            known = await self._tokens.account(account)
            return known if isinstance(known, Result) else fcm(known, device.token, said)
        if device.platform == "apns":
            return apns(account, device.token, said, self._signed(account, now), now)
        return web(account, device.token, said, self._chance(48), now)

    def _signed(self, account: Account, now: float) -> str:
        key = (account.workspace, account.channel)
        known = self._apns.get(key)
        if known is None or now - known[0] > APNS_JWT_S or known[1].secrets != account.secrets:
            known = self._apns[key] = (now, account, apns_jwt(account, now))
        return known[2]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()
