"""Lists of people to call, and of those who want no calls, from files: staged, counted, and then in force all at once.

A list is refused whole when one of its rows is bad, unless those rows are to be left out; either way it is told which they
are and why. Until its last row is read nobody of it is called, and of a list that did not come to its end nothing stays.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog
from sqlalchemy import delete, func, insert, select, update

from naru.campaigns.sheets import BadFile, Line, lines, numbers_of, person
from naru.store import ledger
from naru.store import tables as db
from naru.store.database import Database
from naru.store.rows import put_all_if_absent, shown
from router.model import Kind, derive_id

BATCH = 1_000
MOST_FAULTS_TOLD = 100

log = structlog.get_logger("naru.campaigns")


SILENT_S = 120.0
"""A list of which no more has been read for so long is read by nobody."""
TOLD = tuple(column for column in db.prospect_lists.c if column.name not in ("reader", "read_at"))
"""Which gateway reads a list is told to nobody."""


class Import(msgspec.Struct):
    """A file on its way into a campaign's list, and what has become of it so far. `country` holds for numbers that name
    none; with `skip_bad` the rows that are none are left out."""

    workspace: str
    id: str
    campaign: str
    kind: Kind = "voice"
    path: Path = Path()
    name: str = ""
    country: str = ""
    skip_bad: bool = False
    rows: int = 0
    bad: int = 0
    faults: list[str] = []


class Lists:
    """`name` is this process's, by which it knows after a crash what it was reading."""

    def __init__(self, database: Database, clock: Callable[[], float], name: str) -> None:
        self._database = database
        self._clock = clock
        self._name = name

    async def begin(self, workspace: str, campaign: str, name: str, by: str, id_: str) -> None:
        await self._forsaken(workspace, db.prospect_lists.c.read_at < self._clock() - SILENT_S)
        async with self._database.write(workspace) as connection:
            await connection.execute(
                insert(db.prospect_lists).values(
                    workspace=workspace,
                    id=id_,
                    campaign=campaign,
                    name=name[:200],
                    made_by=by,
                    made_at=self._clock(),
                    state="running",
                    reader=self._name,
                    read_at=self._clock(),
                    rows=0,
                    taken=0,
                    twice=0,
                    bad=0,
                    faults=[],
                )
            )

    async def take(self, work: Import) -> bool:
        """Read a file to its end. Whether people may be called now that could not be before."""
        try:
            return await self._read(work)
        except BadFile as error:
            work.faults.insert(0, str(error))
        except Exception:
            # Nobody is to be called from half a list, whatever it was.
            log.exception("list.broken", campaign=work.campaign, list=work.id)
            work.faults.insert(0, "it could not be read")
        return await self._refuse(work)

    async def _read(self, work: Import) -> bool:
        source = lines(work.path, work.name)
        while batch := await asyncio.to_thread(_batch, source, work.kind, work.country):
            good, bad = batch
            work.rows += len(good) + len(bad)
            work.bad += len(bad)
            work.faults += bad[: max(0, MOST_FAULTS_TOLD - len(work.faults))]
            await self._stage(work, good)
            await self._note(work, rows=work.rows, bad=work.bad, faults=work.faults)
        if work.bad and not work.skip_bad:
            return await self._refuse(work)
        return await self._finish(work)

    async def _stage(self, work: Import, good: list[tuple[int, dict[str, Any]]]) -> None:
        now = self._clock()
        rows = [
            {
                "workspace": work.workspace,
                "id": derive_id("prospect", work.workspace, work.campaign, known["kind"], known["value"]),
                "campaign": work.campaign,
                "list": work.id,
                "row": number,
                "state": "staged",
                "next_at": 0.0,
                "attempts": 0,
                "changed_at": now,
                **known,
            }
            for number, known in good
        ]
        async with self._database.write(work.workspace) as connection:
            await put_all_if_absent(connection, db.prospects, rows)

    async def _note(self, work: Import, **values: Any) -> None:
        c = db.prospect_lists.c
        async with self._database.write(work.workspace) as connection:
            await connection.execute(
                update(db.prospect_lists)
                .where(c.workspace == work.workspace, c.id == work.id, c.state == "running")
                .values(**values, read_at=self._clock())
            )

    def _staged(self, work: Import) -> Any:
        c = db.prospects.c
        return (c.workspace == work.workspace) & (c.list == work.id) & (c.state == "staged")

    async def _refuse(self, work: Import) -> bool:
        async with self._database.write(work.workspace) as connection:
            await connection.execute(delete(db.prospects).where(self._staged(work)))
        faults = work.faults[:MOST_FAULTS_TOLD]
        await self._note(work, state="refused", rows=work.rows, bad=work.bad, faults=faults)
        return False

    async def _finish(self, work: Import) -> bool:
        """In force, the whole list in one transaction; unless we were so slow that it was refused meanwhile."""
        c, where = db.prospect_lists.c, self._staged(work)
        async with self._database.write(work.workspace) as connection:
            taken = await connection.scalar(select(func.count()).select_from(db.prospects).where(where)) or 0
            ended = await connection.execute(
                update(db.prospect_lists)
                .where(c.workspace == work.workspace, c.id == work.id, c.state == "running")
                .values(
                    state="done",
                    taken=taken,
                    twice=work.rows - work.bad - taken,
                    rows=work.rows,
                    bad=work.bad,
                    faults=work.faults[:MOST_FAULTS_TOLD],
                )
            )
            if ended.rowcount:
                await connection.execute(update(db.prospects).where(where).values(state="ready"))
        return taken > 0 if ended.rowcount else await self._refuse(work)

    async def mend(self, workspace: str) -> None:
        """What we were reading when we ended is refused: nobody reads on. Others may be reading theirs; of one that has
        not come back it is known by its silence."""
        c = db.prospect_lists.c
        await self._forsaken(workspace, (c.reader == self._name) | (c.read_at < self._clock() - SILENT_S))

    async def _forsaken(self, workspace: str, which: Any) -> None:
        c = db.prospect_lists.c
        async with self._database.read(workspace) as connection:
            where = (c.workspace == workspace) & (c.state == "running") & which
            left = list(await connection.execute(select(c.id, c.campaign, c.rows, c.bad).where(where)))
        for row in left:
            work = Import(workspace=workspace, id=row.id, campaign=row.campaign, rows=row.rows, bad=row.bad)
            work.faults.append("it was not read to its end: send it again")
            await self._refuse(work)

    async def all(self, workspace: str, campaign: str) -> list[dict[str, Any]]:
        c = db.prospect_lists.c
        async with self._database.read(workspace) as connection:
            rows = await connection.execute(
                select(*TOLD)
                .where(c.workspace == workspace, c.campaign == campaign)
                .order_by(c.made_at.desc(), c.id)
                .limit(100)
            )
            return [shown(row) for row in rows]

    async def one(self, workspace: str, id_: str) -> dict[str, Any] | None:
        c = db.prospect_lists.c
        async with self._database.read(workspace) as connection:
            row = (await connection.execute(select(*TOLD).where(c.workspace == workspace, c.id == id_))).first()
        return None if row is None else shown(row)

    # -- those who want no calls

    async def refuse(self, workspace: str, value: str, scope: str, source: str, by: str) -> None:
        """At once: whoever is being given leave to call it is waited for, and nobody is after."""
        async with self._database.write(workspace) as connection:
            await ledger.refuse(connection, workspace, [value], source, by, self._clock(), scope)

    async def allow(self, workspace: str, value: str, scope: str) -> bool:
        c = db.suppressions.c
        async with self._database.write(workspace) as connection:
            gone = await connection.execute(
                delete(db.suppressions).where(c.workspace == workspace, c.scope == scope, c.value == value)
            )
        return gone.rowcount > 0

    async def refused(self, workspace: str, after: str, after_scope: str, limit: int) -> list[dict[str, Any]]:
        c = db.suppressions.c
        further = (c.value > after) | ((c.value == after) & (c.scope > after_scope))
        async with self._database.read(workspace) as connection:
            rows = await connection.execute(
                select(db.suppressions).where(c.workspace == workspace, further).order_by(c.value, c.scope).limit(limit)
            )
            return [shown(row) for row in rows]

    async def import_refused(
        self, workspace: str, path: Path, name: str, scope: str, country: str, by: str
    ) -> dict[str, Any]:
        """A file of numbers onto a list. A country's registry is fresh again by it; who was on a copy before stays. Raises
        BadFile."""
        now, taken, faults = self._clock(), 0, list[str]()
        source = numbers_of(lines(path, name), country)
        while some := await asyncio.to_thread(lambda: list(itertools.islice(source, BATCH))):
            faults += [row for row in some if isinstance(row, str)][: max(0, MOST_FAULTS_TOLD - len(faults))]
            good = [row[1] for row in some if not isinstance(row, str)]
            taken += len(good)
            async with self._database.write(workspace) as connection:
                await ledger.refuse(connection, workspace, good, name, by, now, scope)
        if scope.startswith("registry:"):
            await self._registry(workspace, scope.removeprefix("registry:"), by, taken, now)
        return {"rows": taken, "faults": faults}

    async def _registry(self, workspace: str, country: str, by: str, count: int, now: float) -> None:
        c = db.registries.c
        async with self._database.write(workspace) as connection:
            await connection.execute(delete(db.registries).where(c.workspace == workspace, c.country == country))
            await connection.execute(
                insert(db.registries).values(
                    workspace=workspace, country=country, imported_at=now, made_by=by, numbers=count
                )
            )


def _batch(
    source: Iterator[Line], kind: Kind, country: str
) -> tuple[list[tuple[int, dict[str, Any]]], list[str]] | None:
    """The next rows, as people and as faults; None at the end."""
    good: list[tuple[int, dict[str, Any]]] = []
    bad: list[str] = []
    some = list(itertools.islice(source, BATCH))
    for line in some:
        known = person(line, kind, country)
        if isinstance(known, str):
            bad.append(f"row {line.number}: {known}")
        else:
            good.append((line.number, known))
    return (good, bad) if some else None
