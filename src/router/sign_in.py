"""Sign-in by an OpenID provider, as a workspace configures it. Here is what is written down; `naru.admin.oidc` does it."""

import re
from typing import Annotated

from msgspec import Meta

from router.model import Name, Value

LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?(/.*)?\Z")


class SignIn(Value, frozen=True, kw_only=True):
    """The provider by which people come in besides their passwords. `label` stands on the button.

    `issuer` is the provider's own spelling of itself. Without a `secret` we are a public client.
    """

    issuer: Annotated[str, Meta(pattern=r"^https?://[!-~]{1,500}\Z")]
    client_id: Annotated[str, Meta(pattern=r"^[ -~]{1,500}\Z")]
    label: Name
    secret: Annotated[str, Meta(pattern=r"^(env|secret):[A-Za-z0-9_-]{1,100}\Z")] | None = None
    scopes: Annotated[tuple[Annotated[str, Meta(pattern=r"^[!#-\[\]-~]{1,100}\Z")], ...], Meta(max_length=20)] = (
        "openid",
        "email",
        "profile",
    )


def is_safe(url: str) -> bool:
    """Whether what is said to this address stays between us and it: by TLS, or on this machine."""
    return url.startswith("https://") or LOOPBACK.match(url) is not None


def faults(sign_in: SignIn) -> list[str]:
    found = []
    if not is_safe(sign_in.issuer):
        found.append(f"sign_in: issuer '{sign_in.issuer[:60]}' must begin with https:// (http only on this machine)")
    if any(mark in sign_in.issuer for mark in "?#@\\"):
        found.append("sign_in: the issuer is an address without user, query and fragment")
    if "openid" not in sign_in.scopes:
        found.append("sign_in: 'openid' must be among the scopes")
    return found
