"""Carrying out an agent's commands, the same for REST and WebSocket: check, find files, ask the log, pass the answer on."""

from typing import Any, TypeVar

from fastapi import HTTPException
from pydantic import ValidationError

from agents.auth import Principal, agent_of, require
from agents.commands import COMMANDS, STATUS, Args, Message, Status, status_input
from agents.ports import Bus, Files, Unavailable
from router import inputs
from router.model import Content, Part, Text
from router.turn import Answer


class Desk:
    def __init__(self, bus: Bus, files: Files) -> None:
        self.bus = bus
        self.files = files

    async def do(self, who: Principal, key: str, name: str, args: dict[str, Any]) -> tuple[Answer | None, str]:
        """One command by name. Raises HTTPException 403, 404, 422 or 503."""
        if name == STATUS:
            require("agent", who)
            return await self.ask(who.workspace, who.id, key, status_input(agent_of(who), _checked(Status, args)))
        command = COMMANDS.get(name)
        if command is None:
            raise HTTPException(404, "unknown-command")
        require(command.role, who)
        by = agent_of(who) if command.as_agent else who.agent or who.id
        rest = dict(args)
        target = rest.pop(command.of, None)
        if not isinstance(target, str) or not 0 < len(target) <= 64:
            raise HTTPException(422, "invalid")
        checked = _checked(command.args, rest)
        content = await self.content(who.workspace, checked) if isinstance(checked, Message) else None
        return await self.ask(who.workspace, who.id, key, command.build(by, target, checked), content)

    async def ask(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> tuple[Answer | None, str]:
        try:
            return await self.bus.ask(workspace, actor, key, body, content)
        except Unavailable as error:
            raise HTTPException(503, "log-unavailable", {"Retry-After": "2"}) from error

    async def content(self, workspace: str, message: Message) -> Content:
        parts: list[Part] = [Text(text=message.text)] if message.text.strip() else []
        for sha256 in message.files:
            media = await self.files.about(workspace, sha256)
            if media is None:
                raise HTTPException(422, "unknown-file")
            parts.append(media)
        if not parts:
            raise HTTPException(422, "empty-message")
        return Content(parts=tuple(parts), subject=message.subject)


A = TypeVar("A", bound=Args)


def _checked(kind: type[A], args: dict[str, Any]) -> A:
    try:
        return kind.model_validate(args)
    except ValidationError as error:
        raise HTTPException(422, "invalid") from error
