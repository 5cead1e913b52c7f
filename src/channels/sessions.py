"""Which transport has a connection of its own kind, and what holds it. A new protocol is one line here."""

from collections.abc import Callable

from channels.ari import Exchange
from channels.base import Account, Line, Session, Transport
from channels.smpp import Smsc

SESSIONS: dict[Transport, Callable[[Account, Line], Session]] = {"ari": Exchange, "smpp": Smsc}
