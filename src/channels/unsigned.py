"""What stands in for a signature where a provider signs nothing: a secret in the path, a fixed header, a list of networks.

The path's secret is always asked for; the header where `header_name` is set; the networks where `allowed` is (CIDR). None
of it protects what is said from whoever sees the request: that is TLS's part.
"""

import ipaddress

from channels.base import Account, Webhook
from channels.signatures import same


def path_within(account: Account, webhook: Webhook) -> str | None:
    """The path behind the secret, of a request that may come in; None for any other."""
    given, _, rest = webhook.path.partition("/")
    knows = any(same(secret, given) for secret in account.secrets["path_secret"].split())
    return rest.strip("/") if knows and _header_fits(account, webhook) and _may_call(account, webhook.peer) else None


def _header_fits(account: Account, webhook: Webhook) -> bool:
    name = account.setting("header_name").lower()
    wanted = account.secrets.get("header_value", "")
    return not name or (bool(wanted) and same(wanted, webhook.headers.get(name, "")))


def _may_call(account: Account, peer: str) -> bool:
    """Whether an address is in one of the networks; where networks are asked for, an entry that is none lets nobody in."""
    networks = account.settings.get("allowed")
    if networks is None:
        return True
    try:
        address = ipaddress.ip_address(peer)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in ipaddress.ip_network(str(one), strict=False) for one in networks)
    except (ValueError, TypeError):
        return False
