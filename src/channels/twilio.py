"""What Twilio and those compatible with it (SignalWire, Telnyx TeXML) share: signature, forms, REST addresses.

Signature (twilio.com/docs/usage/security): base64(HMAC(auth_token, url + each form key and value, sorted)), SHA-1, or
SHA-256 when the request says that a shared key signed it. While one is rotated, `auth_token` may hold several tokens,
separated by spaces: each is taken, the first is ours.
"""

import base64
import hashlib
import hmac
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote

import msgspec

from channels.base import Account, Call, Result, Webhook, by_status

MAX_FIELDS = 200
API = "https://api.twilio.com"


def form(webhook: Webhook) -> dict[str, str]:
    """The fields of a form body, the first of each name; empty for what is no form."""
    found: dict[str, str] = {}
    for name, value in _pairs(webhook):
        found.setdefault(name, value)
    return found


def _pairs(webhook: Webhook) -> list[tuple[str, str]]:
    try:
        return parse_qsl(webhook.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return []


def verify(account: Account, webhook: Webhook) -> bool:
    """Whether one of the account's tokens signed it. Edges differ in whether the port was signed, so either is taken.

    A body that is no form is signed by its hash in the URL (`bodySHA256`), which is signed in turn.
    """
    given = webhook.headers.get("x-twilio-signature", "").encode()
    shared = "algorithm=HMAC_SHA256" in webhook.headers.get("x-twilio-webhooks-signature-settings", "")
    hashed = webhook.query.get("bodySHA256")
    if hashed is not None and not hmac.compare_digest(
        hashed.encode(), hashlib.sha256(webhook.body).hexdigest().encode()
    ):
        return False
    fields = _pairs(webhook) if webhook.method == "POST" and hashed is None else []
    verdicts = [
        hmac.compare_digest(signature(token, url, fields, "sha256" if shared else "sha1").encode(), given)
        for token in account.secrets["auth_token"].split()
        for url in (webhook.url, _port_turned(webhook.url))
    ]
    return any(verdicts)


def _port_turned(url: str) -> str:
    """The same URL without its port, or with its scheme's own when it has none."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    name, _, port = host.rpartition(":")
    other = name if port.isdigit() and name else f"{host}:{443 if scheme == 'https' else 80}"
    return f"{scheme}://{other}{slash}{path}"


def signature(
    auth_token: str, url: str, fields: dict[str, str] | list[tuple[str, str]], algorithm: str = "sha1"
) -> str:
    pairs = fields.items() if isinstance(fields, dict) else fields
    text = url + "".join(name + value for name, value in sorted(set(pairs)))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), algorithm)).decode()


def post(account: Account, resource: str, *fields: tuple[str, str]) -> Call:
    """A POST to the account's REST API."""
    return Call(url=_address(account, f"{resource}.json"), form=fields, basic=_basic(account))


def get(account: Account, resource: str) -> Call:
    return Call(url=_address(account, resource), method="GET", basic=_basic(account))


def _address(account: Account, resource: str) -> str:
    base = account.setting("api_url", API).rstrip("/")
    return f"{base}/2010-04-01/Accounts/{quote(account.setting('account_sid'))}/{resource}"


def _basic(account: Account) -> tuple[str, str]:
    return account.setting("account_sid"), account.secrets["auth_token"].split()[0]


def outcome(status: int, body: bytes) -> Result:
    """The name (`sid`) of what was made, or Twilio's own error code and words. A success without a name is none."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        said = {}
    said = said if isinstance(said, dict) else {}
    sid = said.get("sid")
    detail = f"{said.get('code', '')} {said.get('message', '')}".strip()
    if isinstance(sid, str):
        return by_status(status, detail, (sid,))
    return by_status(status, detail) if status >= 300 else Result("uncertain", detail=f"{status} without a sid")


def time(said: str) -> float | None:
    """A time as the REST API has it (RFC 2822), in seconds since 1970."""
    try:
        found = parsedate_to_datetime(said[:60])
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None
