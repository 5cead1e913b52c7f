"""Examining an installation, and copying one. Each finding says how to mend it."""

import asyncio
import importlib.metadata
import shutil
import socket
import sqlite3
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path

import asyncpg
from sqlalchemy.exc import DatabaseError

from naru.bus import topics
from naru.bus.base import LogUnavailable
from naru.settings import Settings
from naru.store.migrate import is_newest

Row = dict[str, str]
LEAST_FREE_BYTES = 500_000_000
OUR_NAMES = ("router", "channels", "agents", "naru")


def examine(settings: Settings) -> list[Row]:
    checks: tuple[Callable[[Settings], Row], ...] = (_python, _names, _folder, _disk, _port, _schema, _key, _zones)
    rows = [check(settings) for check in checks]
    if settings.database_url:
        rows.append(_role(settings))
    if not settings.embedded:
        rows.append(_topics(settings))
    return rows


def _row(check: str, result: str, said: str, mend: str = "") -> Row:
    return {"check": check, "result": result, "said": said, "mend": mend}


def _python(settings: Settings) -> Row:
    good = sys.version_info >= (3, 11)
    return _row("python", "pass" if good else "fail", sys.version.split()[0], "" if good else "install Python 3.11+")


def _names(settings: Settings) -> Row:
    """Our packages have plain names; another distribution that ships one of them would shadow ours."""
    owners = importlib.metadata.packages_distributions()
    others = {n: [o for o in owners.get(n, []) if o != "naru"] for n in OUR_NAMES}
    bad = [f"{name} ({', '.join(found)})" for name, found in others.items() if found]
    mend = "uninstall them, or give Naru a virtual environment of its own" if bad else ""
    return _row("package names", "fail" if bad else "pass", "; ".join(bad) or "ours alone", mend)


def _folder(settings: Settings) -> Row:
    folder = settings.folder
    probe = folder / ".probe"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        return _row("data folder", "fail", f"{folder}: {error.strerror}", "name a folder we may write with --data")
    return _row("data folder", "pass", str(folder.resolve()))


def _disk(settings: Settings) -> Row:
    folder = settings.folder if settings.folder.exists() else Path()
    free = shutil.disk_usage(folder).free
    good = free > LEAST_FREE_BYTES
    return _row("disk", "pass" if good else "warn", f"{free // 1_000_000} MB free", "" if good else "free some space")


def _port(settings: Settings) -> Row:
    where = f"{settings.host}:{settings.port}"
    try:
        socket.create_connection((settings.host, settings.port), 1).close()
        taken = True
    except OSError:
        taken = False
    return _row(
        "port",
        "warn" if taken else "pass",
        f"{where} is {'in use' if taken else 'free'}",
        "a server runs there already, or choose another with --port" if taken else "",
    )


def _schema(settings: Settings) -> Row:
    file = settings.folder / "store.sqlite"
    if not settings.database_url and not file.exists():
        return _row("schema", "pass", "no database yet")
    try:
        newest = is_newest(settings.store_url)
    except DatabaseError as error:
        return _row("schema", "fail", f"{file}: {error.orig}", "put back a backup (naru db backup makes them)")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return _row(
            "schema", "fail", f"{type(error).__name__}: {error}", "is PostgreSQL up, and NARU_DATABASE_URL right?"
        )
    by_hand = bool(settings.database_url)
    mend = "naru db upgrade" + ("" if by_hand else " (the server does so at start, after a backup)")
    if newest:
        return _row("schema", "pass", "newest")
    return _row("schema", "fail" if by_hand else "warn", "older", mend)


def _role(settings: Settings) -> Row:
    """Row-level security is the second wall between workspaces; some roles walk through it."""

    async def ask() -> tuple[str, bool]:
        connection = await asyncpg.connect(settings.database_url, timeout=5)
        try:
            row = await connection.fetchrow(
                "SELECT current_user AS me, rolsuper OR rolbypassrls AS walks FROM pg_roles WHERE rolname = current_user"
            )
            return row["me"], row["walks"]
        finally:
            await connection.close()

    try:
        me, walks = asyncio.run(ask())
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        return _row("database role", "fail", f"{type(error).__name__}: {error}", "is PostgreSQL up?")
    mend = f"ALTER ROLE {me} NOSUPERUSER NOBYPASSRLS, or use deploy/postgres/role.sql" if walks else ""
    said = f"'{me}' passes row-level security by" if walks else f"'{me}' is held by row-level security"
    return _row("database role", "fail" if walks else "pass", said, mend)


def _topics(settings: Settings) -> Row:
    try:
        found = asyncio.run(topics.faults(settings.broker, settings.shards))
    except LogUnavailable as error:
        return _row("kafka", "fail", str(error), "are the brokers up, and NARU_KAFKA and its security right?")
    return _row(
        "kafka", "fail" if found else "pass", "; ".join(found) or "all topics as they must be", "; ".join(found)
    )


def _key(settings: Settings) -> Row:
    file = settings.folder / "master.key"
    if settings.master_key or not file.exists():
        return _row("master key", "pass", "given" if settings.master_key else "made at first start")
    open_to_others = file.stat().st_mode & 0o077
    mend = f"chmod 600 {file}" if open_to_others else ""
    return _row("master key", "fail" if open_to_others else "pass", str(file), mend)


def _zones(settings: Settings) -> Row:
    try:
        zoneinfo.ZoneInfo("Asia/Seoul")
    except zoneinfo.ZoneInfoNotFoundError:
        return _row("time zones", "fail", "no time zone data", "pip install tzdata")
    return _row("time zones", "pass", "there")


def backup(folder: Path, target: Path) -> None:
    """SQLite's own online backup for both databases, then files and key. Raises OSError."""
    if target.exists() and any(target.iterdir()):
        raise OSError(f"{target} is not empty")
    for name in ("store.sqlite", "log.sqlite"):
        if not (folder / name).exists():
            raise OSError(f"{folder} is no data folder: there is no {name}")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The log last: it may know more than the database, and the projector catches up; never the other way round.
    for name in ("store.sqlite", "log.sqlite"):
        source = sqlite3.connect(folder / name)
        copy = sqlite3.connect(target / name)
        with source, copy:
            source.backup(copy)
        source.close()
        copy.close()
    if (folder / "files").exists():
        shutil.copytree(folder / "files", target / "files", ignore=shutil.ignore_patterns("*.part"))
    if (folder / "master.key").exists():
        shutil.copy2(folder / "master.key", target / "master.key")
        (target / "master.key").chmod(0o600)
