"""Secrets of channels and of the sign-in: sealed in the database, or named in the environment or /run/secrets.

Never in YAML, log or answers.
"""

import os
from pathlib import Path

from sqlalchemy import delete, insert, select

from naru.keyring import Keyring
from naru.settings import SECRET_PREFIX
from naru.store import tables as db
from naru.store.database import HOUSE, Database

SECRETS_FOLDER = Path("/run/secrets")


class Secrets:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._known: dict[tuple[str, str], str] = {}

    async def load(self) -> None:
        async with self._database.read(HOUSE) as connection:
            rows = list(await connection.execute(select(db.secrets)))
        for row in rows:
            plain = self._keyring.open(row.workspace, f"secret {row.name}", row.sealed)
            self._known[row.workspace, row.name] = plain.decode()

    async def put(self, workspace: str, name: str, value: str) -> None:
        c = db.secrets.c
        sealed = self._keyring.seal(workspace, f"secret {name}", value.encode())
        async with self._database.write(workspace) as connection:
            await connection.execute(delete(db.secrets).where(c.workspace == workspace, c.name == name))
            await connection.execute(insert(db.secrets).values(workspace=workspace, name=name, sealed=sealed))
        self._known[workspace, name] = value

    def names(self, workspace: str) -> list[str]:
        return sorted(name for owner, name in self._known if owner == workspace)

    def resolve(self, workspace: str, reference: str) -> str | None:
        """A secret in the clear; None when it cannot be had."""
        kind, _, name = reference.partition(":")
        if kind == "secret":
            return self._known.get((workspace, name))
        if kind == "env":
            return os.environ.get(name) if name.startswith(SECRET_PREFIX) else None
        path = SECRETS_FOLDER / Path(name).name
        return path.read_text().strip() if path.is_file() else None
