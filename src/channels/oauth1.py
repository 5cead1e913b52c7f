"""The Authorization header of OAuth 1.0a (RFC 5849), as X and Flickr want it. The signature is `signatures.oauth1`.

`nonce` must differ from request to request and `now` is in seconds: both come from the caller, so nothing here is chance.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from channels.signatures import oauth1

NAMES = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


def authorization(
    secrets: Mapping[str, str], method: str, url: str, nonce: str, now: float, params: Iterable[tuple[str, str]] = ()
) -> str:
    """`params` are those of a form; those of the URL's query are added, a JSON body is not signed (3.4.1.3)."""
    ours = {
        "oauth_consumer_key": secrets["consumer_key"],
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": f"{now:.0f}",
        "oauth_token": secrets["access_token"],
        "oauth_version": "1.0",
    }
    signature = oauth1(
        method, url, [*ours.items(), *params], secrets["consumer_secret"], secrets["access_token_secret"]
    )
    told = sorted({**ours, "oauth_signature": signature}.items())
    return "OAuth " + ", ".join(f'{name}="{quote(value, safe="-._~")}"' for name, value in told)
