"""E-mail: any mailbox by IMAP and SMTP. Here only translation; the connection is in channels.mailbox.

What a mail means, and how an answer is written, is in channels.letters. Log-in by password, or by OAuth 2 (`oauth: google`
or `microsoft`): a refresh token, which Microsoft replaces with every use, is exchanged for an access token of an hour, which
both servers take by XOAUTH2. Sources: developers.google.com/gmail/imap/xoauth2-protocol, learn.microsoft.com "Authenticate an
IMAP, POP or SMTP connection using OAuth".
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from channels import letters, loose
from channels.base import (
    About,
    Account,
    Call,
    Look,
    Mail,
    Outgoing,
    Reading,
    Result,
    Token,
    Transport,
    Webhook,
    by_status,
)
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

GOOGLE, MICROSOFT = "google", "microsoft"
TOKEN_URLS = {
    GOOGLE: "https://oauth2.googleapis.com/token",
    MICROSOFT: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
}
SCOPES = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access"
OAUTH_SECRETS = ("client_id", "client_secret", "refresh_token")
HOUR_S = 3600.0


class Email:
    name = "email"
    about = About(
        title="Any mailbox (IMAP and SMTP)",
        family="email",
        receives="mails",
        sends="mails",
        receipts="bounces",
        media="both ways",
        evidence="real server",
        verified_against="postfix 3.7 and dovecot 2.3 (password); small servers of ours (OAuth)",
    )
    kinds: tuple[Kind, ...] = ("email",)
    transport: Transport = "mailbox"
    required_settings: tuple[str, ...] = ("address", "imap_host", "smtp_host")
    required_secrets: tuple[str, ...] = ("password",)

    def secrets_for(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return OAUTH_SECRETS if settings.get("oauth") in TOKEN_URLS else self.required_secrets

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False  # mails come from the mailbox, never from a hook

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return letters.reading(account, webhook.body)

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=100_000)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Mail:
        letter = letters.letter(account, effect, message)
        raw = letters.written(letter, message.files if message else (), now)
        return Mail(sender=letter.sender, recipient=letter.to, raw=raw)

    def outcome(self, status: int, body: bytes) -> Result:
        return Result("rejected", detail="mail is not sent by HTTP")

    def renew(self, account: Account, kept: Mapping[str, str], now: float) -> Call | None:
        """The refresh token that was kept, unless the owner has entered another one since."""
        at = account.setting("oauth")
        if at not in TOKEN_URLS:
            return None
        is_of_this = kept.get("of") == _fingerprint(account)
        fields = {
            "grant_type": "refresh_token",
            "client_id": account.secrets["client_id"],
            "client_secret": account.secrets["client_secret"],
            "refresh_token": kept["refresh_token"] if is_of_this else account.secrets["refresh_token"],
        }
        if at == MICROSOFT:
            fields["scope"] = SCOPES
        url = account.setting("token_url") or TOKEN_URLS[at].format(tenant=account.setting("tenant", "common"))
        return Call(url=url, form=tuple(fields.items()))

    def renewed(
        self, account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float
    ) -> Token | Result:
        said = loose.fields(loose.decoded(body))
        token = loose.text(said, "access_token", most=20_000)
        if not 200 <= status < 300 or not token:
            words = f"{loose.text(said, 'error', most=400)} {loose.text(said, 'error_description', most=400)}".strip()
            refused = Result("rejected", detail=f"{status} {words}"[:500])
            return by_status(status, words) if status >= 300 else refused
        life = said.get("expires_in")
        life_s = float(life) if isinstance(life, int | float) and 0 < life < 10 * 86400 else HOUR_S
        newest = loose.text(said, "refresh_token", most=20_000)
        if newest:
            return Token(
                value=token,
                expires_at=now + life_s,
                kept={"refresh_token": newest, "of": _fingerprint(account)},
            )
        return Token(value=token, expires_at=now + life_s, kept=dict(kept))


def _fingerprint(account: Account) -> str:
    """Which refresh token of the owner's the kept ones descend from."""
    told = msgspec.json.encode([account.secrets["client_id"], account.secrets["refresh_token"]])
    return hashlib.sha256(told).hexdigest()[:32]
