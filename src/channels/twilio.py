"""What Twilio and those compatible with it (SignalWire, Telnyx TeXML) share: signature, forms, REST addresses.

Signature (twilio.com/docs/usage/security): base64(HMAC-SHA1(auth_token, url + each form key and value, sorted by key)).
"""

import base64
import hmac
from urllib.parse import parse_qsl, quote

import msgspec

from channels.base import Account, Call, Result, Webhook, by_status

MAX_FIELDS = 200
API = "https://api.twilio.com"


def form(webhook: Webhook) -> dict[str, str]:
    """The fields of a form body, the first of each name; empty for what is no form."""
    try:
        pairs = parse_qsl(webhook.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def verify(account: Account, webhook: Webhook) -> bool:
    given = webhook.headers.get("x-twilio-signature", "")
    wanted = signature(account.secrets["auth_token"], webhook.url, form(webhook) if webhook.method == "POST" else {})
    return hmac.compare_digest(wanted.encode(), given.encode())


def signature(auth_token: str, url: str, fields: dict[str, str]) -> str:
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()


def post(account: Account, resource: str, *fields: tuple[str, str]) -> Call:
    """A POST to the account's REST API."""
    sid = account.setting("account_sid")
    base = account.setting("api_url", API).rstrip("/")
    return Call(
        url=f"{base}/2010-04-01/Accounts/{quote(sid)}/{resource}.json",
        form=fields,
        basic=(sid, account.secrets["auth_token"]),
    )


def outcome(status: int, body: bytes) -> Result:
    """The name (`sid`) of what was made, or Twilio's own error code and words."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        said = {}
    said = said if isinstance(said, dict) else {}
    sid = said.get("sid")
    detail = f"{said.get('code', '')} {said.get('message', '')}".strip()
    return by_status(status, detail, (sid,) if isinstance(sid, str) else ())
