"""Customers' devices, to which pushes go. What a push service calls them is sealed: it is of use to who has it."""

import contextlib
from collections.abc import Callable, Iterator

import msgspec
from sqlalchemy import delete, insert, select

from channels.ports import Unavailable
from channels.push import Device
from naru.keyring import Keyring
from naru.store import tables as db
from naru.store.database import Database, StoreUnavailable

USE = "device"


class StoredDevices:
    def __init__(self, database: Database, keyring: Keyring, clock: Callable[[], float]) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    async def put(self, workspace: str, channel: str, conversation: str, device: Device, most: int) -> None:
        c = db.devices.c
        here = (c.workspace == workspace) & (c.channel == channel)
        row = {
            "workspace": workspace,
            "channel": channel,
            "id": device.id,
            "conversation": conversation,
            "sealed": self._keyring.seal(workspace, USE, msgspec.json.encode(device)),
            "seen_at": self._clock(),
        }
        with _translated():
            async with self._database.write(workspace) as connection:
                await connection.execute(delete(db.devices).where(here, c.id == device.id))
                known = await connection.execute(
                    select(c.id).where(here, c.conversation == conversation).order_by(c.seen_at.desc(), c.id)
                )
                over = list(known.scalars())[most - 1 :]
                await connection.execute(delete(db.devices).where(here, c.id.in_(over)))
                await connection.execute(insert(db.devices).values(row))

    async def of(self, workspace: str, channel: str, conversation: str) -> list[Device]:
        c = db.devices.c
        mine = (c.workspace == workspace) & (c.channel == channel) & (c.conversation == conversation)
        with _translated():
            async with self._database.read(workspace) as connection:
                found = await connection.execute(select(c.sealed).where(mine).order_by(c.seen_at.desc(), c.id))
                sealed = list(found.scalars())
        return [msgspec.json.decode(self._keyring.open(workspace, USE, one), type=Device) for one in sealed]

    async def remove(self, workspace: str, channel: str, conversation: str, device: str) -> None:
        c = db.devices.c
        mine = (c.workspace == workspace) & (c.channel == channel) & (c.conversation == conversation)
        with _translated():
            async with self._database.write(workspace) as connection:
                await connection.execute(delete(db.devices).where(mine, c.id == device))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (StoreUnavailable, OSError) as error:
        raise Unavailable(str(error)) from error
