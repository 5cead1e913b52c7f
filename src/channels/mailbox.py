"""A mailbox's connection: IMAP IDLE in a thread, SMTP out. A mail is marked read only once it is durable with us.

The cursor is (UIDVALIDITY, uid, old, done): `old` is the highest UID of a mailbox when we first saw it, or when its server
numbered it anew. Up to there only what nobody has read is ours, and what lies there is in no hurry: it is taken in by the
batch, from `done` on, after whatever is new, from `uid` on. What we know already is recognised by its key.
"""

import asyncio
import concurrent.futures
import contextlib
import imaplib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import aiosmtplib
import msgspec
import structlog
from imap_tools import BaseMailBox, MailBox, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from channels.base import Account, Mail, Result
from channels.ports import Unavailable
from channels.tokens import Tokens

log = structlog.get_logger("channels.mailbox")

IDLE_S = 540.0
POLL_S = 2.0
BATCH = 20
"""Of what lay there before us, taken in between two looks for what is new."""
ASK_S = 30.0
"""How often a server is asked that cannot tell by itself."""
LONGEST_BACKOFF_S = 60.0
MAX_MAIL_BYTES = 30_000_000
FETCH_TRIES = 3
SMTP_TIMEOUT_S = 30.0

Deliver = Callable[[bytes, bool], Awaitable[None]]
"""(a mail's raw bytes, whether it lay there before us)"""
Cursor = dict[str, Any]


class Refused(Exception):
    """There is no access token, or the server does not take it."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far a mailbox has been read: `old` was its end when we came, `done` and `uid` are the last taken up to there and
    after it."""

    uid: int = 0
    old: int = 0
    done: int = 0

    @classmethod
    def of(cls, cursor: Cursor) -> "Place":
        """One that has no `done` is of a time when everything was taken in the order of its numbers."""
        uid, old = int(cursor.get("uid", 0)), int(cursor.get("old", 0))
        return cls(uid=uid, old=old, done=int(cursor.get("done", min(uid, old))))

    def after(self, uid: int) -> "Place":
        return msgspec.structs.replace(self, **{"done" if uid <= self.old else "uid": uid})

    def cursor(self, validity: str) -> Cursor:
        return {"validity": validity, "uid": self.uid, "old": self.old, "done": self.done}


class Mailbox:
    """One account's inbox, followed for ever by `run`. Tokens are those of accounts that log in with one."""

    def __init__(
        self,
        account: Account,
        deliver: Deliver,
        load: Callable[[], Awaitable[Cursor]],
        save: Callable[[Cursor], Awaitable[None]],
        tokens: Tokens | None = None,
    ) -> None:
        self.account = account
        self._tokens = tokens
        self._deliver = deliver
        self._load = load
        self._save = save
        self._stop = threading.Event()
        self._refused: dict[int, int] = {}
        self.state = "connecting"

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        thread = concurrent.futures.ThreadPoolExecutor(1, "mailbox")  # its own: it waits in IDLE nearly all the time
        backoff_s = 1.0
        try:
            while True:
                try:
                    account = await self._with_token()
                    await loop.run_in_executor(thread, self._follow, loop, account, await self._load())
                except (OSError, ImapToolsError, imaplib.IMAP4.error, Unavailable, ValueError, Refused) as error:
                    backoff_s = self._failed(error, backoff_s)
                except Exception as error:
                    # What nobody foresaw must not end the mailbox for good: it is told, and tried again.
                    log.exception("mailbox.broken", channel=self.account.channel)
                    backoff_s = self._failed(error, backoff_s)
                await asyncio.sleep(backoff_s)
        finally:
            self._stop.set()
            thread.shutdown(wait=False)

    def _failed(self, error: Exception, backoff_s: float) -> float:
        """How long to wait: ever longer, and short again after a connection that worked."""
        worked, self.state = self.state == "ok", f"failed: {type(error).__name__}: {error}"[:300]
        log.warning("mailbox.failed", channel=self.account.channel, error=str(error)[:300])
        return 1.0 if worked else min(LONGEST_BACKOFF_S, backoff_s * 2)

    async def _with_token(self) -> Account:
        account = await self._tokens.account(self.account) if self._tokens else self.account
        if isinstance(account, Result):
            raise Refused(f"no access token: {account.detail}")
        return account

    # -- in the thread

    def _follow(self, loop: asyncio.AbstractEventLoop, account: Account, cursor: Cursor) -> None:
        def wait(work: Awaitable[None]) -> None:
            asyncio.run_coroutine_threadsafe(_as_coroutine(work), loop).result(60)

        box = self._connect(account)
        try:
            status = box.folder.status(box.folder.get() or "INBOX")
            validity = str(status["UIDVALIDITY"])
            place = Place.of(cursor)
            if cursor.get("validity") != validity:
                place = Place(old=int(status["UIDNEXT"]) - 1)
                wait(self._save(place.cursor(validity)))
            idles = "IDLE" in repr(box.client.capability()).upper()
            self.state = "ok"
            waiting = self._old_uids(box, place)
            while not self._stop.is_set():
                announced(box)
                for uid in [*self._new_uids(box, place), *waiting[:BATCH]]:
                    raw = self._fetch(box, uid)
                    if raw is not None:
                        wait(self._deliver(raw, uid <= place.old))
                    place = place.after(uid)
                    wait(self._save(place.cursor(validity)))
                    box.client.uid("STORE", str(uid), "+FLAGS", "(\\Seen)")
                del waiting[:BATCH]
                if waiting or announced(box):
                    continue  # while we were busy; the server will not say it again in IDLE
                if idles:
                    self._idle(box)
                else:
                    self._stop.wait(ASK_S)
        finally:
            with contextlib.suppress(OSError, ImapToolsError, imaplib.IMAP4.error):
                box.logout()
            with contextlib.suppress(OSError):
                box.client.shutdown()  # which a logout that failed has left open

    def _connect(self, account: Account) -> BaseMailBox:
        tls = account.settings.get("imap_tls", True)
        port = int(account.settings.get("imap_port", 993 if tls else 143))
        kind = MailBox if tls else MailBoxUnencrypted
        box = kind(account.setting("imap_host"), port, timeout=30)
        try:
            self._log_in(box, account)
            box.folder.set(account.setting("folder", "INBOX"))
        except BaseException:
            box.client.shutdown()  # else the connection would stay open
            raise
        return box

    def _log_in(self, box: BaseMailBox, account: Account) -> None:
        user = account.setting("username") or account.setting("address")
        if not account.token:
            box.login(user, account.secrets["password"], initial_folder=None)
            return
        said = iter((f"user={user}\x01auth=Bearer {account.token}\x01\x01".encode(), b""))
        try:
            # A server that does not take it first says why, and waits for an empty answer.
            box.client.authenticate("XOAUTH2", lambda challenge: next(said, None))
        except imaplib.IMAP4.error as error:
            if self._tokens is not None:
                self._tokens.refused(account)
            raise Refused(f"the server does not take the access token: {error}"[:300]) from error

    def _new_uids(self, box: BaseMailBox, place: "Place") -> list[int]:
        """`n:*` is never empty: where n is beyond the highest UID, it is that highest one (RFC 3501, 9)."""
        last = max(place.uid, place.old)
        return sorted(uid for uid in map(int, box.uids(f"UID {last + 1}:*")) if uid > last)

    def _old_uids(self, box: BaseMailBox, place: "Place") -> list[int]:
        """Of what was there before us, what nobody has read."""
        if place.done >= place.old:
            return []
        return sorted(uid for uid in map(int, box.uids("UNSEEN")) if place.done < uid <= place.old)

    def _fetch(self, box: BaseMailBox, uid: int) -> bytes | None:
        """A mail, up to our bound of it; None when it is gone, or its server will not give it."""
        status, answer = box.client.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_MAIL_BYTES}>)")
        if status != "OK":
            self._refused[uid] = self._refused.get(uid, 0) + 1
            if self._refused[uid] < FETCH_TRIES:
                raise ConnectionError(f"the server does not give mail {uid}: {answer!r}"[:300])
            log.error("mail.refused", channel=self.account.channel, uid=uid, answer=repr(answer)[:300])
            return None
        for part in answer:
            if isinstance(part, tuple) and isinstance(part[1], bytes):
                if len(part[1]) >= MAX_MAIL_BYTES:
                    log.error("mail.cut", channel=self.account.channel, uid=uid, size_bytes=len(part[1]))
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


def announced(box: BaseMailBox) -> bool:
    """Whether the server has told of new mails since this was last asked. It does so in answers to any command."""
    _, told = box.client.response("EXISTS")
    return told != [None]


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


async def send(account: Account, mail: Mail, on_refused: Callable[[], None] = lambda: None) -> Result:
    """Hand a mail to the account's SMTP server. What breaks after the data were sent is uncertain.

    `on_refused` is told when the server does not take the access token, so that the next try has another.
    """
    tls = account.setting("smtp_tls", "starttls")
    username = account.setting("username") or account.setting("address")
    login = account.settings.get("smtp_auth", True)

    async def token() -> str:
        return account.token

    try:
        client = aiosmtplib.SMTP(
            hostname=account.setting("smtp_host"),
            port=int(account.settings.get("smtp_port", {"tls": 465, "starttls": 587}.get(tls, 25))),
            use_tls=tls == "tls",
            start_tls=tls == "starttls",
            username=username if login else None,
            password=account.secrets["password"] if login and not account.token else None,
            oauth_token_generator=token if login and account.token else None,
            timeout=SMTP_TIMEOUT_S,
        )
        await client.connect()
    except aiosmtplib.SMTPAuthenticationError as error:
        if account.token:
            on_refused()
        kind: Literal["retry", "rejected"] = "retry" if account.token else "rejected"
        return Result(kind, detail=f"{error.code} {error.message}"[:500], after_s=5 if account.token else 0)
    except ValueError as error:
        return Result("rejected", detail=f"the channel's settings do not work: {error}"[:500])
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
