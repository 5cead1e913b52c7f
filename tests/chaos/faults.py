"""What goes wrong, one thing after the other, and when. Everything is brought back after its time."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.net import Net
from support.kafka import Cluster
from support.postgres import Postgres
from support.scaled import Process, Scaled


@dataclass
class Fault:
    kind: str
    target: str
    at: float
    until: float = 0.0


class Faults:
    def __init__(self, center: Scaled, cluster: Cluster, postgres: Postgres, net: Net | None, seed: int) -> None:
        self._center, self._cluster, self._postgres, self._net = center, cluster, postgres, net
        self._chance = random.Random(seed)
        self.done: list[Fault] = []
        self.ended: dict[str, int] = {}
        self._dead: set[str] = set()

    async def supervise(self) -> None:
        """As an orchestrator does: what ends by itself is started again, and counted."""
        while True:
            for process in self._center.processes.values():
                if process.process is not None and not process.running and process.name not in self._dead:
                    self.ended[process.name] = self.ended.get(process.name, 0) + 1
                    process.start()
            await asyncio.sleep(1)

    async def run(self, for_s: float, calm_s: tuple[float, float], tell: Callable[[str], None]) -> None:
        """The long ones (database and Kafka away for a minute) once each, where there is time; the others at random."""
        end = time.time() + for_s
        long = [self._database_away, self._kafka_away] if for_s >= 300 else []
        long_at = [time.time() + for_s * part for part in (0.3, 0.65)]
        while time.time() < end - 15:
            await asyncio.sleep(self._chance.uniform(*calm_s))
            if long and time.time() >= long_at[0]:
                long_at.pop(0)
                await self._one(long.pop(0), tell)
            else:
                await self._one(self._chance.choice(self._kinds()), tell)

    async def roll(self, tell: Callable[[str], None]) -> None:
        """Every process ends as it is asked to, and begins again; the next one only when it is ready."""
        for process in self._center.processes.values():
            fault = Fault("SIGTERM", process.name, time.time())
            self._dead.add(process.name)
            code = await asyncio.to_thread(process.stop, 45)
            process.start()
            self._dead.discard(process.name)
            await self._back(process)
            await asyncio.sleep(3)
            fault.until = time.time()
            self.done.append(fault)
            tell(f"rolled {process.name}, which ended with {code}: {fault.until - fault.at:.1f} s")

    def _kinds(self) -> list[Callable[[], Awaitable[Fault]]]:
        """By weight: deaths of routers and gateways are what people ask about first."""
        kinds = [self._kill_router] * 4 + [self._freeze_router] * 2 + [self._kill_other] * 3 + [self._freeze_other]
        if len(self._cluster.nodes) > 1:
            kinds += [self._kill_node] * 2 + [self._freeze_node]
        return kinds + ([self._cut_off] * 2 if self._net is not None else [])

    async def _one(self, kind: Callable[[], Awaitable[Fault]], tell: Callable[[str], None]) -> None:
        fault = await kind()
        fault.until = time.time()
        self.done.append(fault)
        tell(f"{fault.kind:16} {fault.target:14} {fault.until - fault.at:5.1f} s")

    def _pick(self, *roles: str) -> Process:
        return self._chance.choice([process for role in roles for process in self._center.of(role)])

    async def _killed(self, process: Process) -> Fault:
        fault = Fault("kill -9", process.name, time.time())
        self._dead.add(process.name)
        process.kill()
        await asyncio.sleep(self._chance.uniform(3, 8))
        process.start()
        self._dead.discard(process.name)
        await self._back(process)
        return fault

    async def _frozen(self, process: Process) -> Fault:
        fault = Fault("SIGSTOP", process.name, time.time())
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(2, 12))
        process.signal(signal.SIGCONT)
        await self._back(process)
        return fault

    async def _back(self, process: Process) -> None:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(process.ready):
                await asyncio.sleep(0.2)

    async def _kill_router(self) -> Fault:
        return await self._killed(self._pick("router"))

    async def _freeze_router(self) -> Fault:
        return await self._frozen(self._pick("router"))

    async def _kill_other(self) -> Fault:
        return await self._killed(self._pick("gateway", "channels", "projector"))

    async def _freeze_other(self) -> Fault:
        return await self._frozen(self._pick("gateway", "channels", "projector"))

    async def _kill_node(self) -> Fault:
        node = self._chance.choice(self._cluster.nodes)
        fault = Fault("kill -9", f"kafka-{node.number}", time.time())
        node.kill()
        await asyncio.sleep(self._chance.uniform(5, 10))
        node.start()
        await asyncio.to_thread(node.wait_open)
        await asyncio.sleep(5)  # its replicas catch up, so that the next death leaves two in step
        return fault

    async def _freeze_node(self) -> Fault:
        node = self._chance.choice(self._cluster.nodes)
        fault = Fault("SIGSTOP", f"kafka-{node.number}", time.time())
        node.signal(signal.SIGSTOP)
        await asyncio.sleep(self._chance.uniform(3, 10))
        node.signal(signal.SIGCONT)
        await asyncio.sleep(5)
        return fault

    async def _cut_off(self) -> Fault:
        assert self._net is not None
        hosts = [*self._center.processes, *(f"kafka-{node.number}" for node in self._cluster.nodes)]
        host = self._chance.choice(hosts)
        fault = Fault("cut off", host, time.time())
        self._net.pull(host)
        await asyncio.sleep(self._chance.uniform(3, 10))
        self._net.plug(host)
        await asyncio.sleep(5)
        return fault

    async def _database_away(self) -> Fault:
        fault = Fault("stopped", "postgresql", time.time())
        await asyncio.to_thread(self._postgres.kill)
        await asyncio.sleep(60)
        await asyncio.to_thread(self._postgres.start)
        return fault

    async def _kafka_away(self) -> Fault:
        fault = Fault("stopped", "kafka (all)", time.time())
        for node in self._cluster.nodes:
            node.kill()
        await asyncio.sleep(60)
        for node in self._cluster.nodes:
            node.start()
        for node in self._cluster.nodes:
            await asyncio.to_thread(node.wait_open)
        await asyncio.sleep(10)
        return fault
