"""Files kept outside the log, named by the SHA-256 of name, type and bytes, sealed with the workspace's key.

Where one machine serves, their bodies lie in a folder; where several do, in the database that they share.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy import select

from naru.keyring import Keyring
from naru.store import tables as db
from naru.store.database import Database
from naru.store.rows import put_if_absent
from router.model import Media


class Bodies(Protocol):
    """Where sealed bodies lie. `put` is durable on return and may come twice; `get` raises FileNotFoundError."""

    async def put(self, workspace: str, sha256: str, sealed: bytes) -> None: ...

    async def get(self, workspace: str, sha256: str) -> bytes: ...


class StoredFiles:
    def __init__(self, bodies: Bodies, database: Database, keyring: Keyring, clock: Callable[[], float]) -> None:
        self._bodies = bodies
        self._database = database
        self._keyring = keyring
        self._clock = clock

    async def save(self, workspace: str, name: str, media_type: str, body: bytes) -> Media:
        """Durable on return. The same bytes under the same name twice are one file."""
        sha256 = hashlib.sha256(f"{name}\0{media_type}\0".encode() + body).hexdigest()
        await self._bodies.put(workspace, sha256, self._keyring.seal(workspace, "file", body))
        async with self._database.write(workspace) as connection:
            await put_if_absent(
                connection,
                db.files,
                workspace=workspace,
                sha256=sha256,
                name=name.replace("\0", ""),
                media_type=media_type.replace("\0", ""),
                size_bytes=len(body),
                created_at=self._clock(),
            )
        return Media(sha256=sha256, media_type=media_type, name=name, size_bytes=len(body))

    async def about(self, workspace: str, sha256: str) -> Media | None:
        c = db.files.c
        async with self._database.read(workspace) as connection:
            found = await connection.execute(select(db.files).where(c.workspace == workspace, c.sha256 == sha256))
            row = found.first()
        if row is None:
            return None
        return Media(sha256=sha256, media_type=row.media_type, name=row.name, size_bytes=row.size_bytes)

    async def read(self, workspace: str, sha256: str) -> bytes:
        return self._keyring.open(workspace, "file", await self._bodies.get(workspace, sha256))


class TableBodies:
    """In the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, workspace: str, sha256: str, sealed: bytes) -> None:
        async with self._database.write(workspace) as connection:
            await put_if_absent(connection, db.file_bodies, workspace=workspace, sha256=sha256, body=sealed)

    async def get(self, workspace: str, sha256: str) -> bytes:
        c = db.file_bodies.c
        async with self._database.read(workspace) as connection:
            body = await connection.scalar(select(c.body).where(c.workspace == workspace, c.sha256 == sha256))
        if body is None:
            raise FileNotFoundError(sha256)
        return bytes(body)


class FolderBodies:
    """In a folder of this machine's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, workspace: str, sha256: str, sealed: bytes) -> None:
        await asyncio.to_thread(self._write, self._path(workspace, sha256), sealed)

    async def get(self, workspace: str, sha256: str) -> bytes:
        return await asyncio.to_thread(self._path(workspace, sha256).read_bytes)

    def _path(self, workspace: str, sha256: str) -> Path:
        return self._folder / hashlib.sha256(workspace.encode()).hexdigest()[:16] / sha256[:2] / sha256

    def _write(self, path: Path, sealed: bytes) -> None:
        """Under a name of its own first, so that neither a crash nor a second saver ever leaves half a file."""
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            partial = Path(file.name)
            try:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
                partial.replace(path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
