"""What all commands share: where the server is, how to ask it, and how to answer whoever asked us."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from naru.settings import Settings

Data = Annotated[str | None, typer.Option("--data", help="The data folder (NARU_DATA).")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Workspace = Annotated[str, typer.Option("--workspace", "-w", help="The workspace.")]


def group(help_: str) -> typer.Typer:
    """A group of commands."""
    # Without rich, whose import takes longer than everything else that `--help` does.
    return typer.Typer(
        no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=help_
    )


def fail(message: str, code: int = 1) -> NoReturn:
    print(f"naru: {message}", file=sys.stderr)
    raise typer.Exit(code)


def settings_of(data: str | None, **given: Any) -> "Settings":
    from naru.settings import BadSettings, load

    try:
        return load(data=data, **given)
    except BadSettings as error:
        fail(str(error), 2)


def show(as_json: bool, value: Any, text: str) -> None:
    print(json.dumps(value, ensure_ascii=False) if as_json else text)


class Remote:
    """The server that runs on a data folder, spoken to with its local key."""

    def __init__(self, settings: "Settings", workspace: str) -> None:
        import httpx2

        url, _, key = (settings.folder / f"local-{workspace}.key").read_text().strip().partition(" ")
        self.client = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)

    def request(self, method: str, path: str, **more: Any) -> Any:
        response = self.client.request(method, path, **more)
        if response.status_code >= 400:
            said = response.json()
            fail(
                f"{said.get('title')}: {said.get('detail') or said.get('code')}",
                2 if response.status_code == 422 else 1,
            )
        return response

    @classmethod
    def running(cls, settings: "Settings", workspace: str) -> "Remote | None":
        """The server, if one is there and answers."""
        import httpx2

        try:
            remote = cls(settings, workspace)
            remote.client.get("/livez")
        except (OSError, httpx2.HTTPError, httpx2.InvalidURL, ValueError):
            return None
        return remote

    @classmethod
    def needed(cls, settings: "Settings", workspace: str) -> "Remote":
        """The server, without which the command ends."""
        remote = cls.running(settings, workspace)
        if remote is not None:
            return remote
        others = {file.stem.removeprefix("local-") for file in settings.folder.glob("local-*.key")} - {workspace}
        mend = f"--workspace may be meant: {', '.join(sorted(others))}" if others else "start one with naru serve"
        fail(f"no server runs on this data folder for workspace {workspace}; {mend}")
