"""Nothing is acknowledged before the disk has it: read from the system calls of a center under strace.

For every webhook and chat message the trace must show, in this order: the message's own bytes written to the log's
write-ahead file, an fdatasync (or fsync) of that file that began after the write and has ended, and only then the
answer on the socket. A sync for something else in between does not count, because the bytes are told apart by id.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect

from support.center import Center, ChatPage
from support.ledger import signed

pytestmark = pytest.mark.slow

LAUNCHER = [sys.executable, str(Path(__file__).parent.parent / "support" / "crash_launcher.py")]
MESSAGES = 25
CALLS = "fdatasync,fsync,pwrite64,pwritev,sendto,sendmsg,write,writev"
LINE = re.compile(r"^(\d+) +[\d:.]+ (.*)$")
WAL_WRITE = re.compile(r"^pwrite(?:64|v)\(\d+<[^>]*/log\.sqlite-wal>, (.*)")
WAL_SYNC = re.compile(r"^f(?:data)?sync\(\d+<[^>]*/log\.sqlite-wal>")
SENT = re.compile(r"^(?:write|writev|sendto|sendmsg)\(\d+<TCP:\[.*?\]>, (.*)")


def strace_or_skip() -> str:
    """Where strace is, if it may trace here."""
    strace = shutil.which("strace")
    tried = strace and subprocess.run([strace, "-f", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if strace is not None and tried and tried.returncode == 0:
        return strace
    why = tried.stderr.strip()[-300:] if tried else "strace is not installed"
    message = f"not proved here: an fdatasync before each acknowledgement ({why})"
    if os.environ.get("NARU_TEST_REQUIRE") == "all":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def traced(folder: Path, strace: str, **env: str) -> tuple[Center, Path]:
    trace = folder / "trace"
    # -yy names files and sockets, -s is more than a page of the log.
    wrapper = [strace, "-f", "-tt", "-yy", "-s", "6000", "-o", str(trace), "-e", f"trace={CALLS}"]
    return Center(folder / "data", env=env, launcher=LAUNCHER, wrapper=wrapper), trace


def end(center: Center) -> None:
    """SIGTERM to the center itself; strace ends with it."""
    assert center.process is not None
    tracer = center.process.pid
    [traced_pid] = Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
    os.kill(int(traced_pid), signal.SIGTERM)
    center.process.wait(20)


async def speak(center: Center) -> tuple[list[str], list[str]]:
    """Webhooks one after another, then a chat; the ids of each, which their own bytes in the log carry in the clear."""
    hook, web = center.hook("hook"), center.hook("web")
    webhooks = [f"proof-hook-{number:04}" for number in range(MESSAGES)]
    chats = [f"proof-chat-{number:04}" for number in range(MESSAGES // 2)]
    async with httpx2.AsyncClient(base_url=center.url, timeout=30) as http:
        for id_ in webhooks:
            body = f'{{"thread": "{id_}", "from": {{"value": "c"}}, "text": "hello"}}'
            answer = await http.post(f"/hooks/{hook}", content=body, headers=signed(id_, body))
            assert answer.status_code == 202, answer.text
    # Without compression, so that the acknowledgement can be read in the trace.
    page = ChatPage(await connect(center.url.replace("http", "ws") + "/chat/ws", compression=None))
    await page.send(type="hello", channel=web, visitor=None, after=0)
    await page.next("welcome")
    for id_ in chats:
        await page.say(id_, "hello")
    await page.close()
    return webhooks, chats


class Call:
    """One system call: the line where it began, the line where it ended, and its text."""

    def __init__(self, began: int, text: str) -> None:
        self.began = began
        self.ended = began
        self.text = text


def calls(trace: Path) -> list[Call]:
    """The calls that ended, in the order in which they began."""
    found: list[Call] = []
    unfinished: dict[str, Call] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        match = LINE.match(line)
        if match is None:
            continue
        thread, text = match.groups()
        if text.startswith("<... "):
            call = unfinished.pop(thread)
            call.ended, call.text = number, call.text + text
        else:
            call = Call(number, text)
            found.append(call)
            if text.endswith("<unfinished ...>"):
                unfinished[thread] = call
    return [call for call in found if call not in unfinished.values()]


def unproved(found: list[Call], id_: str, answer: Call) -> str | None:
    """Why the trace does not show that this message was on the disk before it was acknowledged; None when it does."""
    wrote = next((c for c in found if (m := WAL_WRITE.match(c.text)) and id_ in m.group(1)), None)
    if wrote is None or wrote.ended > answer.began:
        return f"{id_}: answered before it was written to the log"
    synced = [c for c in found if WAL_SYNC.match(c.text) and c.began > wrote.ended and c.ended < answer.began]
    if not any(c.text.rstrip().endswith("= 0") for c in synced):
        return f"{id_}: answered without a sync after it was written"
    return None


def all_unproved(found: list[Call], webhooks: list[str], chats: list[str]) -> list[str]:
    sent = [(call, match.group(1)) for call in found if (match := SENT.match(call.text))]
    # A webhook's answer does not name it, but they come one after another.
    accepted = [call for call, text in sent if "HTTP/1.1 202" in text]
    assert len(accepted) == len(webhooks)
    acks = [next(call for call, text in sent if re.search(rf"ack.*{id_}", text)) for id_ in chats]
    pairs = zip([*webhooks, *chats], [*accepted, *acks], strict=True)
    return [reason for id_, answer in pairs if (reason := unproved(found, id_, answer)) is not None]


async def test_every_acknowledgement_comes_after_an_fdatasync_of_its_message(tmp_path: Path) -> None:
    center, trace = traced(tmp_path, strace_or_skip())
    center.start()
    try:
        webhooks, chats = await speak(center)
    finally:
        end(center)
    found = calls(trace)
    syncs = sum(1 for call in found if WAL_SYNC.match(call.text))
    reasons = all_unproved(found, webhooks, chats)
    print(f"acknowledged {len(webhooks)} webhooks and {len(chats)} chats; syncs of the log {syncs}; unproved {reasons}")
    assert not reasons


async def test_a_log_that_never_syncs_is_found_out(tmp_path: Path) -> None:
    center, trace = traced(tmp_path, strace_or_skip(), PLANT="no-sync")
    center.start()
    try:
        webhooks, chats = await speak(center)
    finally:
        end(center)
    assert len(all_unproved(calls(trace), webhooks, chats)) == len(webhooks) + len(chats)
