"""The command line. It speaks to the server that runs on the data folder; only where none runs it opens the files itself.

Exit codes: 0 done, 1 failed, 2 wrong use or bad configuration, 3 there are changes (`plan`). Data go to stdout,
everything else to stderr. Heavy imports wait until a command needs them.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote

import typer

from naru.campaigns.commands import campaigns_app, refusals_app
from naru.terminal import AsJson, Data, Remote, Workspace, fail, group, settings_of, show

if TYPE_CHECKING:
    from naru.app import Naru
    from naru.settings import Settings


T = TypeVar("T")
PLAN_HAS_CHANGES = 3

app = group("Naru, a contact center.")
keys_app = group("API keys.")
db_app = group("The database.")
channels_app = group("Channels.")
bench_app = group("Measurements.")
ops_app = group("What Prometheus and Grafana need.")
app.add_typer(keys_app, name="keys")
app.add_typer(db_app, name="db")
app.add_typer(channels_app, name="channels")
app.add_typer(bench_app, name="bench")
app.add_typer(ops_app, name="ops")
app.add_typer(campaigns_app, name="campaigns")
app.add_typer(refusals_app, name="do-not-call")


def main() -> None:
    app()


def _writable(settings: "Settings") -> None:
    try:
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{settings.folder} cannot be the data folder: {error.strerror}; name another with --data")


# -- running


@app.command()
def serve(
    role: Annotated[str, typer.Argument(help="all, gateway, channels, router or projector.")] = "all",
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run a center until it is told to stop (SIGTERM)."""
    settings = settings_of(data, host=host, port=port)
    from naru.members import ROLES

    roles = frozenset(known for known in ROLES if role in ("all", known))
    if not roles:
        fail(f"there is no role '{role}'; there are all, {', '.join(ROLES)}", 2)
    if role != "all" and settings.embedded:
        fail(f"role '{role}' alone needs a log that several processes share, NARU_KAFKA; use 'all'", 2)
    if settings.embedded:
        _writable(settings)
    from naru.app import Busy, Unfit
    from naru.server import serve as run

    try:
        ended_well = _run(run(settings, roles=roles))
    except Busy as error:
        fail(f"{error}; stop it first, or name another folder with --data")
    except Unfit as error:
        fail(str(error))
    except SystemExit:  # uvicorn's, which has said why
        fail(f"cannot listen on {settings.host}:{settings.port}; choose another port with --port")
    raise typer.Exit(0 if ended_well else 1)


def _run(work: Any) -> Any:
    import uvloop

    return uvloop.run(work)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port; another free one is taken when it is in use.")] = 8620,
    seed: Annotated[int, typer.Option(help="The same seed gives the same customers.")] = 7,
    speed: Annotated[float, typer.Option(min=0.1, max=50, help="How fast the simulated people live.")] = 1.0,
    data: Annotated[
        str | None, typer.Option("--data", help="Keep the data here instead of in a temporary folder.")
    ] = None,
    for_s: Annotated[float | None, typer.Option("--for", help="Stop after so many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a working center: simulated customers and agents use the public API, and three links let you join."""
    print("naru demo: starting …", file=sys.stderr, flush=True)
    from naru.demo.show import run_demo

    summary = _run(run_demo(port, seed, speed, data, for_s))
    if as_json or for_s is not None:
        print(json.dumps(summary))


# -- setting up

STARTER = """\
version: 1
name: My center
timezone: Asia/Seoul
brands:
- {id: main, name: My shop, default_queue: care, languages: [ko, en]}
channels:
- {id: web, name: Web chat, brand: main, provider: webchat, kind: chat}
queues:
- {id: care, name: Customer care}
skills: []
agents:
- {id: owner, name: Owner, role: owner, brands: [main], email: OWNER}
"""


@app.command()
def init(
    email: Annotated[str, typer.Option(prompt="Your e-mail address", help="The first owner's address.")],
    workspace: Workspace = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a workspace with one queue, a web chat and you, and print the link by which you set your password."""
    settings = settings_of(data)

    async def work(house: "Naru") -> dict[str, str]:
        from naru.admin.config import parse

        await house.ensure_workspace(workspace, parse(STARTER.replace("OWNER", email)))
        token = await house.accounts.invite(workspace, "owner")
        return {"workspace": workspace, "invite": f"{settings.base_url}/desk#invite={token}"}

    made = _offline(settings, work)
    show(as_json, made, f"workspace '{workspace}' is ready\nnext: naru serve, then open {made['invite']}")


def _offline(settings: "Settings", work: Callable[["Naru"], Awaitable[T]]) -> T:
    """Do something on the files themselves, which no server may be using."""
    import asyncio

    from naru.app import Busy, Naru, Unfit
    from naru.members import ROLES
    from naru.observe import configure_logs

    if settings.embedded:
        _writable(settings)

    async def run() -> T:
        # Embedded, nobody else could decide what is asked; on Kafka the routers do. No channel is connected for a command.
        house = Naru(settings, frozenset(set(ROLES) - {"channels"} if settings.embedded else ()))
        await house.start()
        try:
            return await work(house)
        finally:
            await house.stop()

    configure_logs("console", level=40)
    try:
        return asyncio.run(run())
    except Busy as error:
        fail(f"{error}; stop the server for this, or use its REST API")
    except Unfit as error:
        fail(str(error))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}", 2)


Document = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The workspace's YAML document.")]


@app.command()
def plan(file: Document, workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """Say what a document would change, and what that would do to what waits now. Changes nothing."""
    settings = settings_of(data)
    text = _text(file)
    remote = Remote.running(settings, workspace)
    if remote is not None:
        found = remote.request("POST", "/v1/config/plan", content=text.encode()).json()
    else:
        import msgspec

        config = _parsed(text)

        async def work(house: "Naru") -> Any:
            return msgspec.to_builtins(await house.configurations.plan(workspace, config))

        found = _offline(settings, work)
    lines = [*found["changes"], *(f"! {effect}" for effect in found["effects"])]
    show(as_json, found, "\n".join(lines) or "no changes")
    if found["changes"]:
        raise typer.Exit(PLAN_HAS_CHANGES)


@app.command()
def apply(file: Document, workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """Put a document in force. What waits follows it at once."""
    settings = settings_of(data)
    text = _text(file)
    remote = Remote.running(settings, workspace)
    if remote is not None:
        version = remote.request("PUT", "/v1/config", content=text.encode()).json()["version"]
    else:
        config = _parsed(text)

        async def work(house: "Naru") -> int:
            await house.accounts.ensure_workspace(workspace, config.name)
            return await house.configurations.apply(workspace, config, "cli")

        version = _offline(settings, work)
    show(as_json, {"version": version}, f"version {version} is in force")


@app.command()
def export(workspace: Workspace = "main", data: Data = None) -> None:
    """Print the document that is in force, in canonical form: `apply` of it changes nothing."""
    settings = settings_of(data)
    remote = Remote.running(settings, workspace)
    if remote is not None:
        print(remote.request("GET", "/v1/config?format=yaml").text, end="")
        return
    from naru.admin.config import export as as_yaml

    async def work(house: "Naru") -> str:
        return as_yaml((await house.configurations.current(workspace))[1])

    print(_offline(settings, work), end="")


@app.command()
def asyncapi(as_json: AsJson = False) -> None:
    """Print the AsyncAPI 3 document: events, webhooks and the three WebSockets (YAML; a server has it as JSON)."""
    from naru.outgoing.asyncapi import as_yaml, document

    print(json.dumps(document(), ensure_ascii=False) if as_json else as_yaml(), end="")


def _parsed(text: str) -> Any:
    from naru.admin.config import BadConfig, parse

    try:
        return parse(text)
    except BadConfig as error:
        fail("the document is refused:\n  " + "\n  ".join(error.faults), 2)


@app.command()
def why(
    contact: Annotated[str | None, typer.Argument(help="The contact: its last offer, or why it waits.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Why this agent has nothing more now.")] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="Another of the contact's offers.")] = None,
    lang: Annotated[str | None, typer.Option(help="en or ko; else as the terminal's.")] = None,
    workspace: Workspace = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Explain a decision: why a contact went to its agent and to nobody else, why it waits, or why an agent is idle."""
    if (contact is None) == (agent is None) or (agent is not None and attempt is not None):
        fail("name a contact (with --attempt, if you like), or --agent", 2)
    language = lang or ("ko" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("ko") else "en")
    if language not in ("en", "ko"):
        fail("--lang is en or ko", 2)
    remote = Remote.needed(settings_of(data), workspace)
    path = f"/v1/contacts/{quote(contact, '')}/why" if contact else f"/v1/agents/{quote(agent or '', '')}/why-idle"
    query = {"lang": language} | ({"attempt": str(attempt)} if attempt else {})
    found = remote.request("GET", path, params=query, timeout=120).json()
    show(as_json, found, "\n".join(found["text"]))


@keys_app.command("create")
def keys_create(
    name: str,
    role: Annotated[str, typer.Option(help="owner, admin, supervisor, agent or app.")] = "agent",
    agent: Annotated[str | None, typer.Option(help="The agent that the key acts as.")] = None,
    workspace: Workspace = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown once."""
    settings = settings_of(data)
    remote = Remote.running(settings, workspace)
    body = {"name": name, "role": role, "agent": agent}
    if remote is not None:
        made = remote.request("POST", "/v1/keys", json=body).json()
    else:

        async def work(house: "Naru") -> dict[str, str]:
            id_, key = await house.accounts.create_key(workspace, name, role, agent)
            return {"id": id_, "key": key}

        made = _offline(settings, work)
    show(as_json, made, made["key"])


@keys_app.command("list")
def keys_list(workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """List the API keys."""
    remote = Remote.needed(settings_of(data), workspace)
    items = remote.request("GET", "/v1/keys").json()["items"]
    show(as_json, items, "\n".join(f"{row['id']}  {row['prefix']}…  {row['role']:10}  {row['name']}" for row in items))


@channels_app.command("providers")
def channels_providers(
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The table of docs/channels.md.")] = False,
) -> None:
    """What can be connected: what each provider receives and sends, and what it was held against."""
    from naru.admin.channels import listed, provider_table

    show(as_json, listed(), provider_table(listed(), markdown))


@channels_app.command("test")
def channels_test(
    channel: Annotated[str, typer.Argument(help="The channel's id.")],
    workspace: Workspace = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Try a channel step by step: settings, token, credentials, connection, what has come. Nothing is sent to anybody."""
    remote = Remote.needed(settings_of(data), workspace)
    found = remote.request("POST", f"/v1/channels/{channel}/test").json()
    mark = {True: "ok", False: "FAILS", None: "-"}
    lines = []
    for step in found["steps"]:
        lines.append(f"{mark[step['ok']]:6} {step['step']:14} {step.get('cause', '')}")
        lines += [f"       {'':14} mend: {step['mend']}"] if step.get("mend") else []
    show(as_json, found, "\n".join(lines))
    if not found["ok"]:
        raise typer.Exit(1)


@channels_app.command("list")
def channels_list(workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """List the connected channels, where their providers reach us, and what keeps them from working; then, what can be
    connected."""
    remote = Remote.running(settings_of(data), workspace)
    if remote is None:
        channels_providers(as_json)
        typer.echo("no server runs on this data folder: only what can be connected is shown", err=True)
        return
    items = remote.request("GET", "/v1/channels").json()["items"]
    rows = [{**row, **remote.request("GET", f"/v1/channels/{row['id']}/connection").json()} for row in items]
    lines = [f"{row['id']:16} {row['provider']:14} {row['url']}  {row['fault'] or 'ok'}" for row in rows]
    if as_json:
        show(as_json, rows, "")
        return
    from naru.admin.channels import listed, provider_table

    show(False, rows, "\n".join([*lines, "", provider_table(listed(), markdown=False)]))


@db_app.command("upgrade")
def db_upgrade(data: Data = None) -> None:
    """Bring the database to the newest schema, and on Kafka make the topics. Embedded, the server does so at start."""
    settings = settings_of(data)
    from naru.store.migrate import newest, upgrade

    if not settings.database_url:
        _writable(settings)
    try:
        upgrade(settings.store_url)
    except OSError as error:
        fail(f"no database at {settings.store_url.rpartition('@')[2]}: {error}")
    print(f"schema {newest()}", file=sys.stderr)
    if not settings.embedded:
        _make_topics(settings)


def _make_topics(settings: "Settings") -> None:
    import asyncio

    from naru.bus import topics
    from naru.bus.base import LogUnavailable

    try:
        made = asyncio.run(topics.make(settings.broker, settings.shards))
        faults = asyncio.run(topics.faults(settings.broker, settings.shards))
    except LogUnavailable as error:
        fail(str(error))
    print(f"topics made: {', '.join(made) or 'none, all were there'}", file=sys.stderr)
    if faults:
        fail("\n  ".join(["topics that are not as they must be:", *faults]))


@db_app.command("move")
def db_move(data: Data = None, as_json: AsJson = False) -> None:
    """Move an embedded center (--data) into the PostgreSQL, and the Kafka, that NARU_DATABASE_URL and NARU_KAFKA name.

    All or nothing, compared row by row; the folder stays as it was. Run naru db upgrade first.
    """
    settings = settings_of(data)
    from naru.app import Busy
    from naru.bus.base import LogUnavailable
    from naru.moving import move_center
    from naru.observe import configure_logs
    from naru.store.database import StoreUnavailable
    from naru.store.move import CannotMove

    def tell(table: str, rows: int) -> None:
        print(f"\r{table}: {rows:,} rows compared", end="", file=sys.stderr, flush=True)

    configure_logs("console", level=40)
    try:
        moved = _run(move_center(settings, tell))
    except (CannotMove, Busy, LogUnavailable, StoreUnavailable) as error:
        fail(f"nothing was moved: {error}")
    print(file=sys.stderr)
    show(as_json, moved, "\n".join(f"{table:20} {rows:>12,}" for table, rows in moved.items()))


@db_app.command("backup")
def db_backup(target: Path, data: Data = None) -> None:
    """Copy log, database, files and key into an empty folder, consistently, while the server runs."""
    from naru.doctor import backup

    try:
        backup(settings_of(data).folder, target)
    except OSError as error:
        fail(str(error))
    print(f"backed up to {target}", file=sys.stderr)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Look at everything that must be right for a center to run, and say how to mend what is not."""
    from naru.doctor import examine

    found = examine(settings_of(data))
    marks = {"pass": "ok  ", "warn": "warn", "fail": "FAIL"}
    lines: list[str] = []
    for row in found:
        lines.append(f"{marks[row['result']]}  {row['check']}: {row['said']}")
        lines += [f"      {row['mend']}"] if row["mend"] else []
    show(as_json, found, "\n".join(lines))
    raise typer.Exit(1 if any(row["result"] == "fail" for row in found) else 0)


@ops_app.command("grafana")
def ops_grafana() -> None:
    """Print the Grafana dashboard, to be imported or provisioned."""
    from naru.shipped import DASHBOARD, shipped

    print(shipped(DASHBOARD), end="")


@ops_app.command("alerts")
def ops_alerts() -> None:
    """Print the Prometheus alert rules."""
    from naru.shipped import ALERTS, shipped

    print(shipped(ALERTS), end="")


@bench_app.callback()
def bench() -> None:
    """Measurements."""
    import logging

    from naru.observe import configure_logs

    configure_logs("console", level=logging.ERROR)


@bench_app.command("path")
def bench_path(
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 50,
    samples: Annotated[int, typer.Option(help="Requests in all.")] = 2000,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Measure request in to offer frame out, with the disk's own fdatasync in the same run."""
    from naru.bench.path import path

    found = _run(path(settings_of(data).folder if data else None, rate, samples))
    show(as_json, found, "\n".join(f"{name}: {value}" for name, value in found.items()))


@bench_app.command("bus")
def bench_bus(
    routers: Annotated[str, typer.Option(help="Numbers of router processes, growing, with commas.")] = "1",
    as_json: AsJson = False,
) -> None:
    """Measure whole contacts over Kafka (NARU_KAFKA, NARU_DATABASE_URL), beside the same without a router."""
    settings = settings_of(None)
    if settings.embedded:
        fail("name a Kafka and a PostgreSQL to measure: NARU_KAFKA, NARU_DATABASE_URL", 2)
    try:
        counts = sorted(int(count) for count in routers.split(","))
    except ValueError:
        fail(f"'{routers}' is no list of numbers", 2)
    from naru.bench.bus import bus

    found = _run(bus(settings, counts))
    show(as_json, found, "\n".join(f"{name}: {value}" for name, value in found.items()))


@bench_app.command("sockets")
def bench_sockets(
    count: Annotated[int, typer.Option(min=1, max=50_000, help="Agents' desks.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Open so many desks on one process: memory for each, and how soon an offer reaches one.

    It is a whole center; with NARU_KAFKA and NARU_DATABASE_URL a gateway alone.
    """
    from naru.bench.sockets import sockets

    found = _run(sockets(settings_of(None), count))
    show(as_json, found, "\n".join(f"{name}: {value}" for name, value in found.items()))


@bench_app.command("live")
def bench_live(
    minutes: Annotated[float, typer.Option(min=0.1, max=60, help="Of real time, twice.")] = 5,
    calls: Annotated[float, typer.Option(min=0.1, max=50, help="Calls a second.")] = 5,
    comments: Annotated[float, typer.Option(min=1, max=1000, help="Comments a second.")] = 200,
    shared: Annotated[bool, typer.Option("--shared", help="Who takes calls answers the broadcast too.")] = False,
    as_json: AsJson = False,
) -> None:
    """The calls' service level with and without a live broadcast beside them, at real pace."""
    from naru.bench.live import live

    found = _run(live(minutes, calls, comments, shared))
    show(as_json, found, "\n".join(f"{name}: {value}" for name, value in found.items()))


@bench_app.command("surge")
def bench_surge(
    agents: Annotated[int, typer.Option(min=1, max=200)] = 12,
    calm: Annotated[float, typer.Option(min=0.1, max=20, help="Calls a second before and after.")] = 1,
    times: Annotated[float, typer.Option(min=1, max=1000, help="So many times as many in the surge.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long the surge lasts.")] = 10,
    as_json: AsJson = False,
) -> None:
    """A hundred times as many callers within seconds: who is lost, who keeps the place, whether agents idle."""
    from naru.bench.surge import surge

    found = _run(surge(agents, calm, times, 20, seconds))
    show(as_json, found, "\n".join(f"{name}: {value}" for name, value in found.items()))


@bench_app.command("dialer")
def bench_dialer(
    worlds: Annotated[str, typer.Option(help="Seeds, with commas; nothing: 1 to 20.")] = "",
    as_json: AsJson = False,
) -> None:
    """Predictive beside power dialling at equal abandonment, in twenty worlds that change while they run."""
    from naru.bench.dialer import HEADER, dialer, line

    try:
        numbers = [int(number) for number in worlds.split(",")] if worlds else list(range(1, 21))
    except ValueError:
        fail(f"'{worlds}' is no list of seeds", 2)
    _table(as_json, HEADER, lambda tell: dialer(numbers, tell), line)


@bench_app.command("blending")
def bench_blending(as_json: AsJson = False) -> None:
    """A reserve that follows the service level beside the best fixed one, through simulated days with peaks."""
    from naru.bench.blending import HEADER, blending, line

    _table(as_json, HEADER, blending, line)


def _table(
    as_json: bool,
    header: str,
    rows: Callable[[Callable[[Any], None]], list[Any]],
    line: Callable[[Any], str],
) -> None:
    """Rows as they come, or all of them as JSON."""
    import msgspec

    if not as_json:
        print(header)
    found = rows((lambda row: None) if as_json else (lambda row: print(line(row), flush=True)))
    if as_json:
        show(True, {"runs": msgspec.to_builtins(found)}, "")


@bench_app.command("router")
def bench_router(
    agents: Annotated[str, typer.Option(help="Numbers of agents, with commas.")] = "1000,30000",
    as_json: AsJson = False,
) -> None:
    """Matching and whole decisions at growing numbers of agents, beside a linear scan."""
    from naru.bench.router import router

    try:
        counts = [int(count) for count in agents.split(",")]
    except ValueError:
        fail(f"'{agents}' is no list of numbers", 2)
    if not all(1000 <= count <= 2_000_000 for count in counts):
        fail("agents are 1,000 to 2,000,000", 2)
    found = router(counts)
    lines = ["  ".join(f"{name} {value}" for name, value in run.items()) for run in found["runs"]]
    show(as_json, found, "\n".join(lines))


@app.command()
def simulate(
    scenario: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The scenario, a YAML document.")],
    as_json: AsJson = False,
    journal: Annotated[Path | None, typer.Option(help="Write the first replication's events here.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=1024, help="Instead of one for each core.")] = None,
) -> None:
    """Say how a center would fare: the production router under a virtual clock, by a scenario."""
    from naru.sim import BadScenario, parse
    from naru.sim.show import run

    try:
        known = parse(_text(scenario))
    except BadScenario as error:
        fail("the scenario is refused:\n  " + "\n  ".join(error.faults), 2)
    try:
        found, text = run(known, processes, journal)
    except OSError as error:
        fail(str(error))
    show(as_json, found, text)


if __name__ == "__main__":
    main()
