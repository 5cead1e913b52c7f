"""A mailbox's connection: IMAP IDLE in a thread, SMTP out. A mail is marked read only once it is durable with us.

The cursor is (UIDVALIDITY, last UID). When the server numbers anew we read again from the start, and what we know
already is recognised by its key.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import aiosmtplib
import structlog
from imap_tools import BaseMailBox, MailBox, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from channels.base import Account, Mail, Result
from channels.ports import Unavailable

log = structlog.get_logger("channels.mailbox")

IDLE_S = 540.0
POLL_S = 2.0
LONGEST_BACKOFF_S = 60.0
MAX_MAIL_BYTES = 30_000_000
SMTP_TIMEOUT_S = 30.0

Deliver = Callable[[bytes], Awaitable[None]]
Cursor = dict[str, Any]


class Mailbox:
    """One account's inbox, followed for ever by `run`."""

    def __init__(
        self,
        account: Account,
        deliver: Deliver,
        load: Callable[[], Awaitable[Cursor]],
        save: Callable[[Cursor], Awaitable[None]],
    ) -> None:
        self.account = account
        self._deliver = deliver
        self._load = load
        self._save = save
        self._stop = threading.Event()
        self.state = "connecting"

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff_s = 1.0
        try:
            while True:
                cursor = await self._load()
                try:
                    await asyncio.to_thread(self._follow, loop, cursor)
                    backoff_s = 1.0
                except (OSError, ImapToolsError, Unavailable, ValueError) as error:
                    self.state = f"failed: {type(error).__name__}: {error}"[:300]
                    log.warning("mailbox.failed", channel=self.account.channel, error=str(error)[:300])
                await asyncio.sleep(backoff_s)
                backoff_s = min(LONGEST_BACKOFF_S, backoff_s * 2)
        finally:
            self._stop.set()

    # -- in the thread

    def _follow(self, loop: asyncio.AbstractEventLoop, cursor: Cursor) -> None:
        def wait(work: Awaitable[None]) -> None:
            asyncio.run_coroutine_threadsafe(_as_coroutine(work), loop).result(60)

        with self._connect() as box:
            validity = str(box.folder.status(box.folder.get() or "INBOX")["UIDVALIDITY"])
            last = int(cursor.get("uid", 0)) if cursor.get("validity") == validity else 0
            first = not cursor
            self.state = "ok"
            while not self._stop.is_set():
                for uid in self._new_uids(box, last, first):
                    raw = self._fetch(box, uid)
                    if raw is not None:
                        wait(self._deliver(raw))
                    last = max(last, uid)
                    wait(self._save({"validity": validity, "uid": last}))
                    box.client.uid("STORE", str(uid), "+FLAGS", "(\\Seen)")
                first = False
                self._idle(box)

    def _connect(self) -> BaseMailBox:
        account = self.account
        tls = account.settings.get("imap_tls", True)
        port = int(account.settings.get("imap_port", 993 if tls else 143))
        kind = MailBox if tls else MailBoxUnencrypted
        box = kind(account.setting("imap_host"), port, timeout=30)
        return box.login(
            account.setting("username") or account.setting("address"),
            account.secrets["password"],
            initial_folder=account.setting("folder", "INBOX"),
        )

    def _new_uids(self, box: BaseMailBox, last: int, first: bool) -> list[int]:
        """UIDs after the last one; on a mailbox never seen before, only what nobody has read."""
        criteria = "UNSEEN" if first else f"UID {last + 1}:*"
        found = sorted(int(uid) for uid in box.uids(criteria))
        return [uid for uid in found if uid > last]

    def _fetch(self, box: BaseMailBox, uid: int) -> bytes | None:
        _, answer = box.client.uid("FETCH", str(uid), "(BODY.PEEK[])")
        for part in answer:
            if isinstance(part, tuple) and isinstance(part[1], bytes):
                if len(part[1]) > MAX_MAIL_BYTES:
                    log.error("mail.too_large", channel=self.account.channel, uid=uid, size_bytes=len(part[1]))
                    return None
                return part[1]
        return None

    def _idle(self, box: BaseMailBox) -> None:
        """Until the server says that something is new; it is asked anew before it would hang up."""
        waited = 0.0
        with box.idle as idle:
            while waited < IDLE_S and not self._stop.is_set():
                if idle.poll(timeout=POLL_S):
                    return
                waited += POLL_S


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


async def send(account: Account, mail: Mail) -> Result:
    """Hand a mail to the account's SMTP server. What breaks after the data were sent is uncertain."""
    tls = account.setting("smtp_tls", "starttls")
    username = account.setting("username") or account.setting("address")
    login = account.settings.get("smtp_auth", True)
    client = aiosmtplib.SMTP(
        hostname=account.setting("smtp_host"),
        port=int(account.settings.get("smtp_port", {"tls": 465, "starttls": 587}.get(tls, 25))),
        use_tls=tls == "tls",
        start_tls=tls == "starttls",
        username=username if login else None,
        password=account.secrets["password"] if login else None,
        timeout=SMTP_TIMEOUT_S,
    )
    try:
        await client.connect()
    except aiosmtplib.SMTPAuthenticationError as error:
        return Result("rejected", detail=f"{error.code} {error.message}"[:500])
    except (aiosmtplib.SMTPException, OSError) as error:
        return Result("retry", detail=str(error)[:500], after_s=30)
    try:
        await client.sendmail(mail.sender, [mail.recipient], mail.raw)
        return Result("accepted")
    except aiosmtplib.SMTPRecipientsRefused as error:
        refused = error.recipients[0]
        return by_code(refused.code, refused.message)
    except aiosmtplib.SMTPResponseException as error:
        return by_code(error.code, error.message)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Result("uncertain", detail=str(error)[:500])
    finally:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()


def by_code(code: int, words: str) -> Result:
    """An SMTP reply: 4xx may be tried again, 5xx never (RFC 5321, 4.2.1)."""
    detail = f"{code} {words}"[:500]
    return Result("retry", detail=detail, after_s=30) if 400 <= code < 500 else Result("rejected", detail=detail)
