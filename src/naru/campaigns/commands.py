"""`naru campaigns …` and `naru do-not-call …`, for the terminal. They ask the server that runs."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from naru.terminal import AsJson, Data, Remote, Workspace, fail, group, settings_of, show

campaigns_app = group("Calls and messages that we begin.")
refusals_app = group("Those who want no calls.")

Campaign = Annotated[str, typer.Argument(help="The campaign.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV or XLSX file.")]
Country = Annotated[str | None, typer.Option(help="The country of numbers that name none, such as KR.")]
LOOK_AGAIN_S = 0.5


def _server(data: str | None, workspace: str) -> Remote:
    remote = Remote.running(settings_of(data), workspace)
    if remote is None:
        fail("no server answers here; start it with naru serve")
    return remote


@campaigns_app.command("list")
def list_campaigns(workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """Every campaign, and whether it runs."""
    remote = _server(data, workspace)
    found = [_status(remote, item["id"]) for item in remote.request("GET", "/v1/campaigns").json()["items"]]
    lines = [f"{each['campaign']:24} {each['mode']:12} {_state(each)}" for each in found]
    show(as_json, {"items": found}, "\n".join(lines) or "there is no campaign")


@campaigns_app.command()
def status(campaign: Campaign, workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """How a campaign goes, how many lines may ring now, and what limits them."""
    found = _status(_server(data, workspace), campaign)
    show(as_json, found, "\n".join(_told(found)))


def _status(remote: Remote, campaign: str) -> dict[str, Any]:
    found: dict[str, Any] = remote.request("GET", f"/v1/campaigns/{campaign}/status").json()
    return found


def _state(found: dict[str, Any]) -> str:
    if not found["running"]:
        return "stopped"
    return f"rests: {found['reason']}" if found.get("rests") else "running"


def _told(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['campaign']} ({found['mode']}): {_state(found)}"]
    if "lines" in found:
        ringing, agents, answers = found["lines"], found["agents"], found["answers"]
        lines += [
            f"lines: {ringing['ringing']} ring, {ringing['may_ring']} may, limited by {ringing['limited_by']}",
            f"agents: {agents['kept']} kept, {agents['busy']} busy, {agents['soon_free']} soon free",
            f"live answers: {answers['live']}, abandoned {answers['abandoned']} "
            f"(ceiling {answers['ceiling']:.0%} in {answers['window_days']} days)",
        ]
    lines += [f"people: {row['people']} {row['state']} {row['outcome'] or ''}".rstrip() for row in found["people"]]
    return lines + [f"attempts: {count} {outcome}" for outcome, count in sorted(found["attempts"].items())]


@campaigns_app.command()
def start(campaign: Campaign, workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """Let a campaign call."""
    found = _server(data, workspace).request("POST", f"/v1/campaigns/{campaign}/start").json()
    show(as_json, found, f"{campaign} runs")


@campaigns_app.command()
def stop(campaign: Campaign, workspace: Workspace = "main", data: Data = None, as_json: AsJson = False) -> None:
    """Call nobody new. What rings goes on."""
    found = _server(data, workspace).request("POST", f"/v1/campaigns/{campaign}/stop").json()
    show(as_json, found, f"{campaign} is stopped")


@campaigns_app.command("import")
def import_list(
    campaign: Campaign,
    file: File,
    country: Country = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out instead of refusing the file.")
    ] = False,
    workspace: Workspace = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take in a list of people. With a bad row nothing of it is taken, and each such row is named."""
    remote = _server(data, workspace)
    query = {"skip_bad": skip_bad, **({"country": country} if country else {})}
    with file.open("rb") as body:
        made = remote.request(
            "POST", f"/v1/campaigns/{campaign}/lists", files={"file": (file.name, body)}, params=query
        ).json()
    path = f"/v1/campaigns/{campaign}/lists/{made['list']}"
    while (found := remote.request("GET", path).json())["state"] == "running":
        time.sleep(LOOK_AGAIN_S)
    taken = f"{found['taken']} people taken of {found['rows']} rows, {found['twice']} known already, {found['bad']} bad"
    show(as_json, found, "\n".join([f"{found['state']}: {taken}", *found["faults"]]))
    if found["state"] == "refused":
        raise typer.Exit(2)


@campaigns_app.command()
def ledger(
    campaign: Campaign,
    since: Annotated[float, typer.Option(help="Seconds since 1970.")] = 0,
    workspace: Workspace = "main",
    data: Data = None,
) -> None:
    """Every attempt, what was checked before it and what became of it: a line of JSON each, the oldest first."""
    remote = _server(data, workspace)
    after = ""
    while True:
        query = {"since": since, "after": after, "limit": 1000}
        items = remote.request("GET", f"/v1/campaigns/{campaign}/attempts", params=query).json()["items"]
        for item in items:
            print(json.dumps(item, ensure_ascii=False))
        if not items:
            return
        since, after = items[-1]["reserved_at"], items[-1]["id"]


@refusals_app.command()
def add(
    value: Annotated[str, typer.Argument(help="A telephone number or mail address.")],
    scope: Annotated[str, typer.Option(help="workspace, or brand:ID.")] = "workspace",
    country: Country = None,
    source: Annotated[str, typer.Option(help="Where the wish came from.")] = "by hand",
    workspace: Workspace = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Call this number no more, from now on."""
    body = {"value": value, "scope": scope, "source": source, **({"country": country} if country else {})}
    found = _server(data, workspace).request("POST", "/v1/do-not-call", json=body).json()
    show(as_json, found, f"{found['value']} is on the list")


@refusals_app.command()
def remove(
    value: Annotated[str, typer.Argument(help="As the list has it.")],
    scope: Annotated[str, typer.Option(help="workspace, brand:ID or registry:COUNTRY.")] = "workspace",
    workspace: Workspace = "main",
    data: Data = None,
) -> None:
    """Take a number off a list."""
    _server(data, workspace).request("DELETE", f"/v1/do-not-call/{value}", params={"scope": scope})
    print(f"{value} is off the list")


@refusals_app.command("import")
def import_refusals(
    file: File,
    scope: Annotated[
        str, typer.Option(help="workspace, brand:ID, or a country's registry, registry:KR.")
    ] = "workspace",
    country: Country = None,
    workspace: Workspace = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put a file of numbers on a list. A country's registry must be imported anew as often as its rules say."""
    query = {"scope": scope, **({"country": country} if country else {})}
    with file.open("rb") as body:
        found = (
            _server(data, workspace)
            .request("POST", "/v1/do-not-call/import", files={"file": (file.name, body)}, params=query)
            .json()
        )
    show(as_json, found, "\n".join([f"{found['rows']} numbers are on the list", *found["faults"]]))
