"""Leases of agents who work over REST alone: any request renews one, silence ends it, and the log is told.

A desk's socket is its own lease; see agents.socket.
"""

from agents.ports import Bus, Clock, Unavailable
from router.inputs import Connect, Disconnect

LEASE_S = 60.0


class Leases:
    """`name` is this gateway's connection prefix, `gateway:boot`."""

    def __init__(self, bus: Bus, clock: Clock, name: str) -> None:
        self._bus = bus
        self._clock = clock
        self._name = name
        self._until: dict[tuple[str, str], float] = {}
        self._count = 0
        self._connection: dict[tuple[str, str], str] = {}

    async def renew(self, workspace: str, agent: str) -> None:
        key = (workspace, agent)
        if key not in self._connection:
            self._count += 1
            connection = self._connection[key] = f"{self._name}:rest{self._count}"
            try:
                await self._bus.ask(workspace, "naru", connection, Connect(agent=agent, connection=connection))
            except Unavailable:
                del self._connection[key]  # not told: the next request tells
                return
        self._until[key] = self._clock() + LEASE_S

    async def expire(self) -> None:
        """End the leases that are over. Called every second or so; what cannot be told now is told next time."""
        now = self._clock()
        for key in [key for key, until in self._until.items() if until < now]:
            workspace, agent = key
            connection = self._connection[key]
            body = Disconnect(agent=agent, connection=connection)
            await self._bus.take(workspace, "naru", f"{connection}:end", body)
            if self._until.get(key, now) < now:
                del self._until[key], self._connection[key]
