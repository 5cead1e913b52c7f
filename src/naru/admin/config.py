"""Configuration as versions: read, check, plan, apply, export. The store is the editor, the log puts it in force.

The YAML document, the REST bodies and what `decide` sees are the same structures, so a round trip is exact.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
import yaml
from sqlalchemy import func, insert, select

from channels import registry
from channels.accounts import settings_fault
from naru import holidays
from naru.admin.accounts import Accounts, folded
from naru.admin.plan import consequences, differences, losses
from naru.center import Center
from naru.store import tables as db
from naru.store.database import Database
from router.config import Config, canonical, faults
from router.inputs import ApplyConfig

MAX_DOCUMENT_BYTES = 900_000
MAX_SETTINGS_DEPTH = 20
HOLIDAY_YEARS = 10


class _Loader(yaml.SafeLoader):
    """No aliases: a few lines of them stand for a document of any size."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """No aliases either, and texts with rare line breaks in double quotes: PyYAML misreads its own single quotes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> Any:
    rare = any(mark in text for mark in "\x85\u2028\u2029")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if rare else None)


_Dumper.add_representer(str, _text)


class BadConfig(Exception):
    """Everything that is wrong with a document, one fault a line."""

    def __init__(self, found: list[str]) -> None:
        super().__init__("; ".join(found))
        self.faults = found


class Plan(msgspec.Struct, frozen=True):
    """What applying a document would change, and what that would do to what waits now."""

    version: int
    changes: list[str]
    effects: list[str]


def parse(text: str) -> Config:
    """A document as the owner wrote it. Raises BadConfig."""
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise BadConfig([f"the document is over {MAX_DOCUMENT_BYTES} bytes"])
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise BadConfig([f"not YAML: {error}"]) from error
    if data is None:
        raise BadConfig(["the document is empty"])
    return check(data)


def check(data: Any) -> Config:
    """A document as data. Raises BadConfig."""
    try:
        config = msgspec.convert(data, Config)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
        raise BadConfig([str(error)]) from error
    found = _too_deep(config)
    if found:
        raise BadConfig(found)
    config = _with_keys_as_text(config)
    found = _unstorable(config) or [
        *faults(config),
        *_shared_addresses(config),
        *_unknown_countries(config),
        *_unusable_settings(config),
    ]
    if found:
        raise BadConfig(found)
    return canonical(config)


def _too_deep(config: Config) -> list[str]:
    deep = (channel.id for channel in config.channels if _deeper(channel.settings, MAX_SETTINGS_DEPTH))
    return [f"channel '{id_}': the settings are nested deeper than {MAX_SETTINGS_DEPTH}" for id_ in deep][:1]


def _with_keys_as_text(config: Config) -> Config:
    """A key of digits alone (that of a telephone's menu) is a number in YAML where nobody has put it in quotes."""
    channels = [msgspec.structs.replace(each, settings=_keyed(each.settings)) for each in config.channels]
    return msgspec.structs.replace(config, channels=tuple(channels))


def _keyed(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key) if type(key) is int else key: _keyed(inner) for key, inner in value.items()}
    return [_keyed(inner) for inner in value] if isinstance(value, list) else value


def _unstorable(config: Config) -> list[str]:
    """Free-form settings take whatever YAML knows; only what JSON can carry there and back comes through the log."""
    plain = "the settings hold something that is no text, number, list or mapping of texts"
    try:
        body = msgspec.json.encode(config)
        if len(body) > MAX_DOCUMENT_BYTES:
            return [f"the configuration is over {MAX_DOCUMENT_BYTES} bytes"]
        same = msgspec.json.decode(body, type=Config) == config
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        return [f"{plain}: {error}"]
    return [] if same else [plain]


def _deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(_deeper(part, depth - 1) for part in inner)


def _shared_addresses(config: Config) -> list[str]:
    """People sign in by address, so no two have the same; a provider's may come in capitals, so then they do not count."""
    same = folded if config.sign_in is not None else str
    owners: dict[str, str] = {}
    found: list[str] = []
    for agent in config.agents:
        if agent.email is None:
            continue
        first = owners.setdefault(same(agent.email), agent.id)
        if first != agent.id:
            found.append(f"agents '{first}' and '{agent.id}': both have the address {agent.email}")
    return found


def _unknown_countries(config: Config) -> list[str]:
    named = ((calendar.id, country) for calendar in config.calendars for country in calendar.holidays)
    return [f"calendar '{id_}': there are no holidays of '{c}'" for id_, c in named if not holidays.known(c)]


def _unusable_settings(config: Config) -> list[str]:
    """A channel with them would not work at all, and a telephone that is silent is worse than a document refused."""
    providers = registry()
    known = ((channel, providers.get(channel.provider)) for channel in config.channels if channel.enabled)
    found = ((channel.id, settings_fault(provider, channel)) for channel, provider in known if provider is not None)
    return [f"channel '{id_}': {fault}" for id_, fault in found if fault is not None]


def export(config: Config) -> str:
    """The canonical document: sorted, nothing that is a default, the same text for the same configuration."""
    data = msgspec.to_builtins(canonical(config), order="deterministic")
    return yaml.dump({"version": 1, **data}, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


class Configurations:
    def __init__(self, database: Database, center: Center, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._database = database
        self._center = center
        self._accounts = accounts
        self._clock = clock

    async def current(self, workspace: str) -> tuple[int, Config]:
        """The newest version and its number, 0 and an empty one when there is none."""
        c = db.config_versions.c
        async with self._database.read(workspace) as connection:
            found = await connection.execute(
                select(c.version, c.body).where(c.workspace == workspace).order_by(c.version.desc()).limit(1)
            )
            row = found.first()
        return (row.version, msgspec.convert(row.body, Config)) if row else (0, Config())

    async def plan(self, workspace: str, config: Config) -> Plan:
        version, now = await self.current(workspace)
        pool = self._center.pool(workspace)
        effects = consequences(pool, config, self._clock(), self._holidays(config)) if pool else []
        return Plan(version, differences(export(now), export(config)), [*losses(now, config), *effects])

    async def apply(self, workspace: str, config: Config, author: str, expected: int | None = None) -> int:
        """Save as the next version and put it in force. Returns the version in force; raises Conflict, LogUnavailable."""
        version, now = await self.current(workspace)
        if expected is not None and expected != version:
            raise Conflict(version)
        config = canonical(config)
        if canonical(now) == config and version > 0:
            await self._put_in_force(workspace, version, config, author)
            return version
        table = db.config_versions
        async with self._database.write(workspace) as connection:
            newest = await connection.scalar(select(func.max(table.c.version)).where(table.c.workspace == workspace))
            if (newest or 0) != version:
                raise Conflict(newest or 0)
            await connection.execute(
                insert(table).values(
                    workspace=workspace,
                    version=version + 1,
                    author=author,
                    created_at=self._clock(),
                    body=msgspec.to_builtins(config),
                )
            )
        await self._put_in_force(workspace, version + 1, config, author)
        return version + 1

    async def _put_in_force(self, workspace: str, version: int, config: Config, author: str) -> None:
        await self._accounts.sync_people(workspace, config)
        body = ApplyConfig(version=version, config=config, holidays=self._holidays(config))
        await self._center.ask(workspace, author, f"config:{version}", body)

    def _holidays(self, config: Config) -> dict[str, dict[str, str]]:
        """The dates of the countries that the calendars name. They ride with the configuration: a replay sees the same."""
        countries = {country for calendar in config.calendars for country in calendar.holidays}
        year = dt.datetime.fromtimestamp(self._clock(), dt.UTC).year
        return holidays.expand(countries, range(year - 1, year + HOLIDAY_YEARS))


class Conflict(Exception):
    """Somebody else has changed the configuration meanwhile."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the configuration is at version {version}")
        self.version = version
