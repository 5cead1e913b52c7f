"""The channel worker: carries out effects, each provider at its own pace.

Effects with a key are claimed in the log before they are done, because their provider cannot tell a repetition. A
claim whose end its worker did not live to tell is *uncertain*: it is shown, never silently repeated. The others may be
done twice without harm, so after a crash, or when their end is unclear, they simply are.

Where several workers live, each channel is one's: `holds` says whose, and it moves when one dies.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import httpx2
import msgspec
import structlog

from channels import mailbox
from channels.accounts import Accounts
from channels.base import (
    Account,
    Calls,
    Mail,
    Order,
    Outgoing,
    Provider,
    Result,
    Steps,
    Submit,
    Transport,
    Unsendable,
    Uploads,
)
from channels.connections import Connections
from channels.copying import Copying
from channels.http import request
from channels.ports import Bus, Contents, Leave, Unavailable
from channels.tokens import Tokens
from router.effects import (
    AnyEffect,
    CopyFiles,
    Deliver,
    Effect,
    EndCaller,
    HoldCaller,
    JoinCaller,
    ReserveAttempt,
    RingLeg,
    SetManner,
)
from router.inputs import ClaimSend, EndCall, EndReserve, EndSend
from router.model import Thread
from router.state import Pool

log = structlog.get_logger("channels.worker")

LANES: dict[Transport | None, int] = {None: 4, "ari": 32}
"""How many things a channel's provider is asked at once, by its transport; None is any other. An exchange is slow to move a
call, and nobody's phone should wait to ring for that."""
LANE_JOBS = 10_000
TRIES = 5
BACKOFF_S = (1.0, 5.0, 30.0, 120.0)
ABOUT = ("contact", "call", "leg", "key")
"""What effects are about: those about one thing are done in their order."""
MOVES = (JoinCaller, HoldCaller, SetManner)
MOVE_AGAIN_S = 1.0
"""When a leg that could not be moved is tried again: perhaps the provider was still answering the call, or ending what
was there before."""


def _can_wait(effect: Effect) -> bool:
    """Customers' lines, put down and dialled: what is done at agents' phones goes first."""
    return isinstance(effect, EndCaller) or (isinstance(effect, RingLeg) and effect.is_to_customer)


class Job(msgspec.Struct, frozen=True):
    workspace: str
    effect: AnyEffect
    number: int = 0


class Worker:
    """`name` is stable, `boot` is new with every process: together they sign claims.

    `holds(workspace, channel)`: whether that channel is ours now; `lives(name)`: whether another worker of that name is.
    """

    def __init__(
        self,
        accounts: Accounts,
        bus: Bus,
        contents: Contents,
        connections: Connections,
        tokens: Tokens,
        copying: Copying,
        client: httpx2.AsyncClient,
        name: str,
        boot: str,
        clock: Callable[[], float],
        leave: Leave,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        holds: Callable[[str, str], bool] = lambda workspace, channel: True,
        lives: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self._holds = holds
        self._lives = lives
        self._accounts = accounts
        self._bus = bus
        self._contents = contents
        self._connections = connections
        self._tokens = tokens
        self._copying = copying
        self._client = client
        self._name = name
        self._me = f"{name}:{boot}"
        self._clock = clock
        self._leave = leave
        self._sleep = sleep
        self._lanes: dict[tuple[str, str, int], asyncio.Queue[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken: dict[str, None] = {}
        self.ordered = 0  # effects so far, and those of them that are not done
        self._open: dict[int, None] = {}
        self.observe: Callable[[str, str], None] = lambda channel, result: None

    # -- what to do

    def record(self, workspace: str, effects: Iterable[Effect]) -> None:
        """Put a record's effects in their lanes. A freed agent's phone rings before the last caller's line is put down."""
        for effect in sorted(effects, key=_can_wait):
            self._put(workspace, effect)  # type: ignore[arg-type]

    async def recover(self, pools: dict[str, Pool]) -> None:
        """For the channels that are ours: take up what nobody claimed, and own up to what was claimed and not finished
        by us before we began anew, or by another who is no more."""
        for workspace, pool in list(pools.items()):
            for key, send in list(pool.memory.sends.items()):
                if not self._holds(workspace, send.effect.channel):
                    continue
                if send.worker is None:
                    self._put(workspace, send.effect)
                elif send.worker != self._me and not self._is_anothers(send.worker):
                    await self._end(workspace, key, Result("uncertain", detail="its worker stopped while sending"))

    def _is_anothers(self, claimant: str) -> bool:
        """Whether a claim is that of another worker, who lives. One of our own name began before us, and is no more."""
        name = claimant.partition(":")[0]
        return name != self._name and self._lives(name)

    @property
    def done_up_to(self) -> int:
        """The number of the last effect before which, and with which, all are done."""
        return next(iter(self._open)) - 1 if self._open else self.ordered

    def _put(self, workspace: str, effect: AnyEffect) -> None:
        self.ordered += 1
        job = Job(workspace, effect, self.ordered)
        key = getattr(job.effect, "key", None)
        if key is not None:
            if isinstance(effect, ReserveAttempt):  # asked once before the agent looks, and once before the call
                key = f"leave:{key}:{effect.person or ''}"
            if key in self._taken:
                return
            self._taken[key] = None
            while len(self._taken) > LANE_JOBS:
                del self._taken[next(iter(self._taken))]
        about = next(filter(None, (getattr(job.effect, name, "") for name in ABOUT)), "")
        lane = (workspace, effect.channel, sum(about.encode()) % self._width(workspace, effect.channel))
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.Queue(LANE_JOBS)
            self._start(self._run(self._lanes[lane]))
        try:
            self._lanes[lane].put_nowait(job)
            self._open[job.number] = None
        except asyncio.QueueFull:
            log.error("lane.full", channel=job.effect.channel)

    def _width(self, workspace: str, channel: str) -> int:
        account = self._accounts.of(workspace, channel)
        transport = self._accounts.providers[account.provider].transport if account is not None else None
        return LANES.get(transport, LANES[None])

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, lane: "asyncio.Queue[Job]") -> None:
        while True:
            job = await lane.get()
            try:
                await self._do(job)
            except Exception:
                # One effect that nobody foresaw must not stop its channel; it is told, and the next one is done.
                log.exception("effect.broken", channel=job.effect.channel, kind=type(job.effect).__name__)
            finally:
                self._open.pop(job.number, None)

    async def _ask_leave(self, job: Job, wish: ReserveAttempt) -> None:
        """Find somebody to call. Until it is known who, nobody has been called: so it is asked until there is an answer,
        and one that comes too late is refused by the router."""
        while True:
            try:
                answer = await self._leave.reserve(job.workspace, wish)
                break
            except Unavailable:
                await self._sleep(1.0)
        await self._tell(job.workspace, f"leave:{wish.key}:{wish.person or ''}", answer)

    async def _do(self, job: Job) -> None:
        if isinstance(job.effect, ReserveAttempt):
            await self._ask_leave(job, job.effect)
            return
        account = self._accounts.of(job.workspace, job.effect.channel)
        if isinstance(job.effect, (Deliver, RingLeg)):
            message = await self._message(job)  # before the claim: until then nothing can have been sent
            if self._may_repeat(account) or await self._claim(job.workspace, job.effect.key):
                await self._end(job.workspace, job.effect.key, await self._claimed(account, job, message))
            return
        result = await self._carry_out(account, job)
        if account is not None and result.kind == "rejected" and isinstance(job.effect, MOVES):
            await self._sleep(MOVE_AGAIN_S)
            result = await self._carry_out(account, job)
            if result.kind == "rejected" and not isinstance(job.effect, SetManner):
                await self._gone(job.workspace, job.effect)
        if result.kind != "accepted":
            log.warning("effect.failed", channel=job.effect.channel, detail=result.detail)

    def _may_repeat(self, account: Account | None) -> bool:
        return account is not None and getattr(self._accounts.providers[account.provider], "repeats_safely", False)

    async def _message(self, job: Job) -> Outgoing | None:
        """What was said, from the history, however long that is behind or away; None only if it is not there."""
        while isinstance(job.effect, Deliver):
            try:
                return await self._contents.outgoing(job.workspace, job.effect.conversation, job.effect.key)
            except Unavailable:
                await self._sleep(1.0)
        return None

    async def _claimed(self, account: Account | None, job: Job, message: Outgoing | None) -> Result:
        """What is claimed is ended, whatever happens."""
        try:
            return await self._carry_out(account, job, message)
        except Exception as error:
            log.exception("effect.broken", channel=job.effect.channel, kind=type(job.effect).__name__)
            return Result("uncertain", detail=f"{type(error).__name__}: {error}"[:500])

    async def _gone(self, workspace: str, effect: JoinCaller | HoldCaller) -> None:
        """The provider knows no such call: its end was told when nobody listened, or before its beginning."""
        body = EndCall(channel=effect.channel, thread=Thread(external=effect.call, kind="call"), cause="gone")
        await self._tell(workspace, f"gone:{effect.call}", body)

    async def _claim(self, workspace: str, key: str) -> bool:
        """Whether the log names us as the one to do it."""
        while True:
            try:
                answer, _ = await self._bus.ask(
                    workspace, self._me, f"claim:{key}", ClaimSend(key=key, worker=self._me)
                )
            except Unavailable:
                answer = None
            if answer is not None:
                return answer.code == "ok"
            await self._sleep(1.0)

    async def _end(self, workspace: str, key: str, result: Result) -> None:
        kind = "rejected" if result.kind == "retry" else result.kind
        body = EndSend(key=key, result=kind, externals=result.externals, detail=result.detail)
        self.observe(key, kind)
        await self._tell(workspace, f"end:{key}", body)

    async def _tell(self, workspace: str, key: str, body: EndSend | EndCall | EndReserve) -> None:
        while True:
            try:
                await self._bus.take(workspace, self._me, key, body)
                return
            except Unavailable:
                await self._sleep(1.0)

    # -- doing it

    async def _carry_out(self, account: Account | None, job: Job, message: Outgoing | None = None) -> Result:
        if account is None:
            return Result("rejected", detail="the channel is not connected")
        provider = self._accounts.providers[account.provider]
        if isinstance(job.effect, Deliver) and message is None:
            return Result("rejected", detail="what was said cannot be found")
        again = ("retry",) if isinstance(job.effect, (Deliver, RingLeg)) else ("retry", "uncertain")
        patience_s = job.effect.timeout_s if isinstance(job.effect, RingLeg) else float("inf")
        result = Result("retry")
        for attempt in range(TRIES):
            result = await self._once(account, provider, job.effect, message)
            pause_s = max(result.after_s, BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            patience_s -= pause_s
            if result.kind not in again or attempt == TRIES - 1 or patience_s <= 0:
                break
            await self._sleep(pause_s)
        return result

    async def _once(self, account: Account, provider: Provider, effect: AnyEffect, message: Outgoing | None) -> Result:
        try:
            known = await self._tokens.account(account)
            if isinstance(known, Result):
                return known
            if isinstance(effect, CopyFiles):
                return await self._copying.copy(known, provider, effect)
            if message is not None and message.files and isinstance(provider, Uploads):
                uploads = await self._uploaded(known, provider, message)
                if isinstance(uploads, Result):
                    return uploads
                message = msgspec.structs.replace(message, uploads=uploads)
            order = provider.write(known, effect, message, self._clock())
        except Unsendable as error:
            return Result("rejected", detail=str(error))
        except Unavailable as error:  # the history or the log is away: nothing has been sent
            return Result("retry", detail=str(error)[:500])
        return await self._try(known, provider, order)

    async def _uploaded(self, account: Account, provider: Uploads, message: Outgoing) -> tuple[str, ...] | Result:
        """The provider's names of a message's files. Nothing was sent when one cannot be had, so it may be retried."""
        names: list[str] = []
        for file in message.files:
            answer = await request(self._client, provider.upload(account, file, self._clock()))
            if isinstance(answer, Result):
                return msgspec.structs.replace(answer, kind="retry" if answer.kind == "uncertain" else answer.kind)
            if answer.status == 401:
                self._tokens.refused(account)
            name = provider.uploaded(account, answer.status, answer.body)
            if isinstance(name, Result):
                return msgspec.structs.replace(name, kind="rejected" if name.kind == "rejected" else "retry")
            names.append(name)
        return tuple(names)

    async def _try(self, account: Account, provider: Provider, order: Order) -> Result:
        if isinstance(order, Mail):
            return await mailbox.send(account, order, lambda: self._tokens.refused(account))
        if isinstance(order, (Submit, Steps)):
            session = self._connections.session(account.workspace, account.channel)
            return await session.send(order) if session else Result("retry", detail="not connected", after_s=5)
        if isinstance(order, Calls):
            for call in order.before:
                prepared = await request(self._client, call)
                if call.otherwise is not None and not isinstance(prepared, Result) and prepared.status == 404:
                    await request(self._client, call.otherwise)
            order = order.call
        answer = await request(self._client, order)
        if isinstance(answer, Result):
            return answer
        if answer.status == 401:
            self._tokens.refused(account)
        return provider.outcome(answer.status, answer.body)

    async def finish(self, within_s: float) -> None:
        """Wait for what is being done: a claim that is cut off is uncertain for ever."""
        try:
            async with asyncio.timeout(within_s):
                while self._open:
                    await self._sleep(0.05)
        except TimeoutError:
            log.warning("effects.unfinished", count=len(self._open))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
