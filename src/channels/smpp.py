"""A session with an SMS centre by SMPP 3.4, bound as transceiver and held for ever.

What comes in is answered only when it is durable; else the SMSC is told to come again. Of what goes out: a submit that
was not written, or that the SMSC refused for now, may be tried again; one that was written and not answered is
uncertain, for the protocol has no way to ask. Why this is not a library's work: docs/adr/0011.
"""

import asyncio
import contextlib
import hashlib
import ssl

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from channels import smpp_pdu as wire
from channels.base import Account, Item, Line, Order, Result, Submit, Webhook
from channels.ports import Unavailable
from channels.providers.smpp import Smpp, setting, submit_bodies
from channels.smpp_inbox import PARTS_WAIT_S, Group, Heard, Inbox
from channels.smpp_pdu import Pdu, Short

log = structlog.get_logger("channels.smpp")

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0
OPEN_S = 20.0
READY_S = 240.0
"""How long a submit waits for a connection that is away: a try that cannot be one is none."""
PROVE_S = 1.0
"""How soon after a response the SMSC is asked anything, so that we know that it has the response."""
SWEEP_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""How long nothing is sent after the SMSC has said that it is too much."""
REFUSED_S = 5.0
PART_TRIES = 6
QUEUE = 200
BATCH = 50


class Broken(Exception):
    """The connection is of no use any more, and why."""


class Link:
    """One connection: who waits for which answer, and how many may wait at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, window: int) -> None:
        self._reader = reader
        self._writer = writer
        self._window = asyncio.Semaphore(window)
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._sequence = 0
        self.came: asyncio.Queue[Pdu] = asyncio.Queue(QUEUE)
        self.is_open = True

    async def next(self) -> Pdu:
        head = await self._reader.readexactly(16)
        length, command, status, sequence = wire.HEAD.unpack(head)
        if not 16 <= length <= wire.MAX_PDU_BYTES:
            raise Broken(f"a PDU of {length} bytes")
        return Pdu(command, status, sequence, await self._reader.readexactly(length - 16))

    def say(self, command: int, sequence: int, body: bytes = b"", status: int = 0) -> None:
        if self.is_open:
            self._writer.write(wire.frame(command, sequence, body, status))

    def heard(self, pdu: Pdu) -> None:
        """An answer; one that nobody waits for (any more) is dropped."""
        waiting = self._waiting.get(pdu.sequence)
        if waiting is not None and not waiting.done():
            waiting.set_result(pdu)

    async def ask(self, command: int, body: bytes, within_s: float) -> Pdu:
        """Raises TimeoutError, and Broken once the connection is."""
        self._sequence = self._sequence % 0x7FFF_FFFF + 1
        sequence = self._sequence
        self._waiting[sequence] = asyncio.get_running_loop().create_future()
        try:
            self.say(command, sequence, body)
            async with asyncio.timeout(within_s):
                return await self._waiting[sequence]
        finally:
            del self._waiting[sequence]

    async def submit(self, body: bytes, within_s: float) -> Result:
        async with self._window:
            if not self.is_open:
                return Result("retry", detail="the connection went down before it was sent", after_s=1)
            try:
                return by_answer(await self.ask(wire.SUBMIT_SM, body, within_s))
            except TimeoutError:
                return Result("uncertain", detail=f"the SMSC did not answer within {within_s:g} s")
            except Broken as error:
                return Result("uncertain", detail=f"the connection went down before the answer: {error}"[:300])

    async def bound(self, body: bytes) -> None:
        """Raises Broken when the SMSC does not want us."""
        self._sequence += 1
        self.say(wire.BIND_TRANSCEIVER, self._sequence, body)
        async with asyncio.timeout(OPEN_S):
            answer = await self.next()
        if answer.status != wire.OK or answer.command != wire.BIND_TRANSCEIVER | wire.RESPONSE:
            raise Broken(f"bind refused: {wire.words(answer.status)}")

    def close(self, why: str, unbind: bool = False) -> None:
        if unbind:
            self.say(wire.UNBIND, self._sequence + 1)
        self.is_open = False
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Broken(why))
        self._writer.close()


class Smsc:
    """One account's SMS centre, held for ever by `run`."""

    def __init__(self, account: Account, line: Line) -> None:
        self._account = account
        self._line = line
        self._provider = Smpp()
        self._inbox: Inbox | None = None
        self._link: Link | None = None
        self._ready = asyncio.Event()
        self._saving = asyncio.Lock()
        self._owes = asyncio.Event()
        self._reference = int(line.clock()) & 0xFF
        self._pause_s = 0.0
        self._pause_until = 0.0
        self.state = "connecting"

    # -- holding it

    async def run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                await self._hold()
            except Exception as error:
                # Whatever it was, the next connection may work; it is told, and tried again ever more seldom.
                worked = self.state == "ok"
                backoff_s = FIRST_BACKOFF_S if worked else min(LONGEST_BACKOFF_S, backoff_s * 2)
                self.state = f"failed: {type(error).__name__}: {error}"[:300]
                known = isinstance(error, OSError | EOFError | Broken)
                log.warning("smpp.failed", channel=self._account.channel, error=self.state, exc_info=not known)
            await self._line.sleep(backoff_s)

    async def _hold(self) -> None:
        """Bind and serve until something breaks."""
        inbox = self._inbox = self._inbox or Inbox(
            await self._line.cursor(), self._seal, self._unseal, setting(self._account, "parts_wait_s", PARTS_WAIT_S)
        )
        link = await self._open()
        why = "closed"
        inbox.session += 1
        self._link, self.state = link, "ok"
        self._ready.set()
        doing = [asyncio.create_task(part) for part in (self._read(link), self._prove(link, inbox),
                                                        self._take(link, inbox), self._sweep(inbox))]  # fmt: skip
        try:
            done, _ = await asyncio.wait(doing, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._link = None
            self._ready.clear()
            for part in doing:
                part.cancel()
            link.close(why, unbind=why == "closed")
            await asyncio.gather(*doing, return_exceptions=True)

    async def _open(self) -> Link:
        account = self._account
        tls = ssl.create_default_context() if account.settings.get("tls") is True else None
        async with asyncio.timeout(OPEN_S):
            reader, writer = await asyncio.open_connection(
                account.setting("host"), int(setting(account, "port", 2775)), ssl=tls
            )
        link = Link(reader, writer, max(1, int(setting(account, "window", 10))))
        try:
            names = (account.setting("system_id"), account.secrets["password"], account.setting("system_type"))
            await link.bound(wire.bind(*names))
        except BaseException:
            link.close("not bound")
            raise
        return link

    async def _read(self, link: Link) -> None:
        while True:
            pdu = await link.next()
            if pdu.command & wire.RESPONSE:
                link.heard(pdu)
            elif pdu.command in (wire.DELIVER_SM, wire.DATA_SM):
                try:
                    link.came.put_nowait(pdu)
                except asyncio.QueueFull:
                    link.say(pdu.command | wire.RESPONSE, pdu.sequence, b"\0", wire.LATER)
            elif pdu.command == wire.ENQUIRE_LINK:
                link.say(wire.ENQUIRE_LINK | wire.RESPONSE, pdu.sequence)
            elif pdu.command == wire.UNBIND:
                link.say(wire.UNBIND | wire.RESPONSE, pdu.sequence)
                raise Broken("the SMSC has unbound us")
            elif pdu.command not in (wire.ALERT, wire.OUTBIND):
                link.say(wire.GENERIC_NACK, pdu.sequence, status=wire.BAD_COMMAND)

    async def _prove(self, link: Link, inbox: Inbox) -> None:
        """Ask whether the SMSC is there, now and then, and soon after our responses: then it has them."""
        every_s = setting(self._account, "enquire_link_s", 30)
        within_s = setting(self._account, "response_s", 30)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._owes.wait()
                    await self._line.sleep(PROVE_S)
            self._owes.clear()
            answers = inbox.answers
            try:
                await link.ask(wire.ENQUIRE_LINK, b"", within_s)
            except TimeoutError:
                raise Broken(f"the SMSC has not answered enquire_link within {within_s:g} s") from None
            inbox.proven(answers, self._line.clock())
            await self._save(inbox)

    # -- what comes in

    async def _take(self, link: Link, inbox: Inbox) -> None:
        while True:
            batch = [await link.came.get()]
            while not link.came.empty() and len(batch) < BATCH:
                batch.append(link.came.get_nowait())
            rows: dict[str, list[tuple[Pdu, Short, Heard | None]]] = {}
            for pdu in batch:
                message = wire.short(pdu)
                if message is None:
                    log.error("smpp.unreadable", channel=self._account.channel, pdu=pdu.raw.hex()[:2000])
                    link.say(pdu.command | wire.RESPONSE, pdu.sequence, b"\0", wire.NEVER)
                else:
                    row = rows.setdefault(message.source.value, [])
                    row.append((pdu, message, self._known(inbox, pdu, message)))
            saved = await self._save(inbox)
            # Of one sender in the order of coming; different senders beside each other.
            await asyncio.gather(*(self._take_row(link, inbox, row, saved) for row in rows.values()))
            await self._take_groups(inbox)

    def _known(self, inbox: Inbox, pdu: Pdu, message: Short) -> Heard | None:
        """What we remember of it; nothing is needed for receipts, and for whole messages that the SMSC has named."""
        if self._provider.receipt(self._account, message) is not None:
            return None
        identity, is_named = self._provider.identity(self._account, [pdu])
        if is_named and not message.is_part:
            return None
        now = self._line.clock()
        heard = inbox.hear(identity, pdu.sequence, message.is_part, now)
        if message.is_part and not heard.kept:
            heard.kept = inbox.add(message, heard, pdu, now)
        return heard

    async def _take_row(
        self, link: Link, inbox: Inbox, row: list[tuple[Pdu, Short, Heard | None]], saved: bool
    ) -> None:
        for pdu, message, heard in row:
            if message.is_part and heard is not None:
                good = heard.kept = heard.kept and saved
            else:
                # If only the inbox cannot be kept, this is taken all the same: a message that comes twice after a crash
                # just then is better than none for as long as the database is away.
                good = await self._durable(pdu.raw, heard)
            if heard is not None:
                inbox.answered(heard, good, self._line.clock())
                self._owes.set()
            link.say(pdu.command | wire.RESPONSE, pdu.sequence, b"\0", wire.OK if good else wire.LATER)

    async def _durable(self, raw: bytes, heard: Heard | Group | None) -> bool:
        """Whether all that these PDUs say is durable with us."""
        told = {"name": heard.name} if heard is not None else {}
        if isinstance(heard, Group) or (heard is not None and heard.again):
            told["again"] = "1"
        hook = Webhook(method="SMPP", url="", path="", headers=told, query={}, body=raw, t=self._line.clock())
        try:
            items: tuple[Item, ...] = self._provider.read(self._account, hook, self._line.look).items
            for item in items:
                await self._line.take(item)
        except Unavailable as error:  # the SMSC keeps it and comes again
            log.warning("smpp.not_taken", channel=self._account.channel, error=str(error)[:300])
            return False
        except Exception:
            log.exception("smpp.not_taken", channel=self._account.channel)
            return False
        return True

    async def _take_groups(self, inbox: Inbox) -> None:
        for group in inbox.due(self._line.clock()):
            if not group.is_whole:
                inbox.give_up(group)
                log.warning("smpp.parts_missing", channel=self._account.channel, parts=sorted(group.parts))
            if await self._durable(group.pdus, group):
                inbox.drop(group)

    async def _sweep(self, inbox: Inbox) -> None:
        while True:
            await self._take_groups(inbox)
            await self._save(inbox)
            await self._line.sleep(SWEEP_S)

    async def _save(self, inbox: Inbox) -> bool:
        """Whether the inbox is kept as it is now."""
        async with self._saving:
            if not inbox.changed:
                return True
            inbox.changed = False
            try:
                await self._line.move_cursor(inbox.as_cursor())
            except BaseException as error:
                inbox.changed = True
                if not isinstance(error, Exception):
                    raise
                log.warning("smpp.not_kept", channel=self._account.channel, error=str(error)[:300])
                return False
            return True

    def _cipher(self) -> AESSIV:
        return AESSIV(hashlib.sha512(self._account.sign("smpp inbox").encode()).digest())

    def _seal(self, raw: bytes) -> bytes:
        return self._cipher().encrypt(raw, None)

    def _unseal(self, sealed: bytes) -> bytes | None:
        try:
            return self._cipher().decrypt(sealed, None)
        except (InvalidTag, ValueError):
            return None

    # -- what goes out

    async def send(self, order: Order) -> Result:
        """All parts of it. Once one is taken, the rest follow however long that needs, or the whole is uncertain."""
        if not isinstance(order, Submit):
            return Result("rejected", detail="an SMSC sends texts only")
        self._reference = (self._reference + 1) & 0xFF
        bodies = submit_bodies(self._account, order, self._reference)
        externals: tuple[str, ...] = ()
        for number, body in enumerate(bodies):
            result = await self._submit(body)
            for _ in range(PART_TRIES if number else 0):
                if result.kind != "retry":
                    break
                await self._line.sleep(max(1.0, result.after_s))
                result = await self._submit(body)
            if result.kind != "accepted" and number:
                told = f"{number} of {len(bodies)} parts were taken; then: {result.detail}"
                return Result("uncertain", detail=told[:500])
            if result.kind != "accepted":
                return result
            externals += result.externals
        ids = self._account.setting("receipt_ids", "as_is")
        return Result("accepted", tuple(wire.external(name, ids, from_receipt=False) for name in externals))

    async def _submit(self, body: bytes) -> Result:
        try:
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        except TimeoutError:
            return Result("retry", detail=f"not connected: {self.state}"[:300], after_s=5)
        while (wait_s := self._pause_until - self._line.clock()) > 0:
            await self._line.sleep(wait_s)
        link = self._link
        if link is None:
            return Result("retry", detail="not connected", after_s=1)
        result = await link.submit(body, setting(self._account, "response_s", 30))
        if result.kind == "accepted":
            self._pause_s = 0.0
        elif result.kind == "retry" and result.after_s == REFUSED_S:
            self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2 or FIRST_PAUSE_S)
            self._pause_until = self._line.clock() + self._pause_s
        return result


def by_answer(answer: Pdu) -> Result:
    """What a submit_sm_resp, or a generic_nack, means. An error says that the SMSC has not taken it (4.4.2)."""
    if answer.status == wire.OK and answer.command == wire.SUBMIT_SM | wire.RESPONSE:
        name = wire.first_field(answer.body)
        return Result("accepted", (name,) if name else ())
    detail = wire.words(answer.status)
    if answer.status in wire.NOT_NOW:
        return Result("retry", detail=detail, after_s=REFUSED_S)
    return Result("rejected", detail=detail)
