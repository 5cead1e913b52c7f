"""Copying what customers sent from where it vanishes: links of five minutes, files that a provider deletes.

It may be done twice without harm. What cannot be had is said in the message, so that an agent knows there was something.
"""

import hashlib

import httpx2
import structlog

from channels.base import Account, Call, Fetches, File, Result
from channels.http import MAX_FILE_BYTES, request
from channels.ports import Bus, Contents, Files
from router.effects import CopyFiles
from router.inputs import ReviseMessage
from router.model import Content, Elsewhere, Part, Text

log = structlog.get_logger("channels.copying")

HOPS = 4
"""Requests on the way to one file: its address, where that leads, the file."""


class Copying:
    def __init__(self, bus: Bus, contents: Contents, files: Files, client: httpx2.AsyncClient, name: str) -> None:
        self._bus = bus
        self._contents = contents
        self._files = files
        self._client = client
        self._name = name

    async def copy(self, account: Account, provider: object, effect: CopyFiles) -> Result:
        """Fetch what a message left with the provider, and say so to the log. `retry` while it may still be had."""
        content = await self._contents.received(account.workspace, effect.conversation, effect.message)
        if content is None or not any(isinstance(part, Elsewhere) for part in content.parts):
            return Result("accepted")
        parts: list[Part] = []
        for part in content.parts:
            copied = await self._part(account, provider, part)
            if isinstance(copied, Result):
                return copied
            parts.append(copied)
        refs = "\x1f".join(part.ref for part in content.parts if isinstance(part, Elsewhere))
        await self._bus.take(
            account.workspace,
            self._name,
            f"copied:{effect.message}:{hashlib.sha256(refs.encode('utf-8', 'replace')).hexdigest()[:16]}",
            ReviseMessage(channel=account.channel, thread=effect.thread, change="copied", message=effect.message),
            Content(parts=tuple(parts), subject=content.subject, headers=content.headers),
        )
        return Result("accepted")

    async def _part(self, account: Account, provider: object, part: Part) -> Part | Result:
        if not isinstance(part, Elsewhere):
            return part
        found = await self._fetch(account, provider, part) if isinstance(provider, Fetches) else Result("rejected")
        if isinstance(found, Result):
            if found.kind in ("retry", "uncertain"):
                return found
            log.warning("file.lost", channel=account.channel, detail=found.detail)
            return Text(text=f"[{part.name}: {found.detail or 'could not be fetched'}]"[:500])
        name = found.name or part.name
        return await self._files.save(account.workspace, name, found.media_type or part.media_type, found.body)

    async def _fetch(self, account: Account, provider: Fetches, part: Elsewhere) -> File | Result:
        call = provider.fetch(account, part.ref)
        for _ in range(HOPS):
            answer = await request(self._client, call, MAX_FILE_BYTES + 1)
            if isinstance(answer, Result):
                return answer
            if len(answer.body) > MAX_FILE_BYTES:
                return Result("rejected", detail=f"larger than {MAX_FILE_BYTES // 1_000_000} MB")
            found = provider.fetched(account, part.ref, answer.status, answer.media_type, answer.body)
            if not isinstance(found, Call):
                return found
            call = found
        return Result("rejected", detail="its provider leads in circles")
