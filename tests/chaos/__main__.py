"""`make chaos`: a whole center under load while its processes, brokers, database and network fail. Prints the table.

Clients keep a ledger of what was promised to them; a reader of the raw topics, which shares no code with Naru, judges.

`PYTHONPATH=tests python -m chaos --minutes 10 --seed 7` repeats a run's faults (not its timing).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2

from chaos.faults import Fault, Faults
from chaos.judge import Verdict, judge
from chaos.load import Agent, Balancer, Customers, Door, Ledger, Receiver
from chaos.net import HERE, Net, NoNet
from support.center import free_port
from support.kafka import Cluster
from support.postgres import Postgres
from support.scaled import Scaled

SHARDS = 4
WORKSPACES = ("w0", "w1", "w2", "w3")  # one on each shard: a pool's shard is the sum of its name's bytes
AGENTS = ("ann", "ben", "cho", "dae")
CONFIG = """\
version: 1
name: Chaos {workspace}
brands:
- {{id: shop, name: Shop, default_queue: care}}
channels:
- {{id: hook, name: Hook, brand: shop, provider: webhook, kind: social, settings: {{reply_url: "{answers}"}},
   secrets: {{signing_secret: "env:NARU_SECRET_HOOK"}}}}
queues:
- {{id: care, name: Care, wrap_up_s: 30}}
agents:
- {{id: owner, name: Owner, role: owner}}
{agents}
"""


class Chaos:
    def __init__(self, seed: int, nodes: int, with_net: bool, per_s: float, quiet: bool) -> None:
        self.seed, self.quiet, self.per_s = seed, quiet, per_s
        self.folder = Path(tempfile.mkdtemp(prefix="naru-chaos-"))
        self.net = Net().open() if with_net else None
        self.host = HERE if self.net else "127.0.0.1"
        places = [self._place(f"kafka-{number}") for number in range(1, nodes + 1)]
        self.cluster = Cluster(
            self.folder, nodes, [h for h, _ in places] if self.net else (), [p for _, p in places] if self.net else ()
        )
        self.postgres = Postgres(self.host)
        self.ledger = Ledger()
        self.tasks: list[asyncio.Task[Any]] = []

    def _place(self, name: str) -> tuple[str, list[str]]:
        return self.net.host(name) if self.net else ("127.0.0.1", [])

    def tell(self, text: str) -> None:
        if not self.quiet:
            print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)

    def build(self) -> None:
        self.tell(f"seed {self.seed}; {len(self.cluster.nodes)} Kafka nodes; {self.folder}")
        self.cluster.start()
        self.postgres.start()
        roles = (("router", 3), ("projector", 1), ("channels", 2), ("gateway", 2))
        self.center = Scaled(
            self.folder / "center",
            self.cluster.servers,
            self.postgres.database(),
            roles,
            SHARDS,
            self.cluster.replication,
            {"NARU_PUBLIC_URL": "http://center.test"},
            "naru",
        )
        for process in self.center.processes.values():
            host, process.prefix = self._place(process.name)
            process.move(host)

    def doors(self, answers: str) -> list[Door]:
        """Four workspaces, one on each shard, each with its hook and its agents' keys."""
        center = self.center
        center.start(self._config(WORKSPACES[0], answers), WORKSPACES[0])
        for workspace in WORKSPACES[1:]:
            document = center.folder / f"{workspace}.yaml"
            document.write_text(self._config(workspace, answers))
            center.cli("apply", str(document), "-w", workspace)
        self.balancer = Balancer([process.url for process in center.of("gateway")], random.Random(self.seed))
        return [self._door(workspace) for workspace in WORKSPACES]

    def _config(self, workspace: str, answers: str) -> str:
        agents = "\n".join(f"- {{id: {name}, name: {name.title()}, brands: [shop]}}" for name in AGENTS)
        return CONFIG.format(workspace=workspace, answers=answers, agents=agents)

    def _door(self, workspace: str) -> Door:
        owner = self.center.cli("keys", "create", "chaos", "--role", "owner", "-w", workspace).stdout.strip()
        with httpx2.Client(
            base_url=self.balancer.gateways[0], headers={"Authorization": f"Bearer {owner}"}, timeout=10
        ) as client:
            hook = client.get("/v1/channels/hook/connection").json()["hook"]
            keys = {
                name: client.post("/v1/keys", json={"name": name, "role": "agent", "agent": name}).json()["key"]
                for name in AGENTS
            }
        return Door(workspace, hook, self.balancer, keys)

    async def run(self, for_s: float, roll: bool) -> dict[str, Any]:
        receiver = Receiver(self.host, free_port(), self.ledger)
        self._background(receiver.run())
        doors = await asyncio.to_thread(self.doors, receiver.url)
        self._background(self.balancer.run())
        chance = random.Random(self.seed)
        for door in doors:
            for name in AGENTS:
                self._background(Agent(door, name, self.ledger, random.Random(f"{self.seed} {door} {name}")).run())
        await asyncio.sleep(5)
        customers = Customers(doors, self.ledger, chance, self.per_s)
        self._background(customers.run())
        faults = Faults(self.center, self.cluster, self.postgres, self.net, self.seed)
        supervising = asyncio.create_task(faults.supervise())
        self.tell("load and faults begin")
        began = time.time()
        await (faults.roll(self.tell) if roll else faults.run(for_s, (4, 9), self.tell))
        await asyncio.sleep(5)
        self.tell("faults have ended; what is on its way is brought home")
        await customers.end()
        await self._quiet()
        supervising.cancel()
        for process in self.center.of("gateway"):
            await asyncio.to_thread(process.stop)
        await asyncio.sleep(5)  # what they said last is decided
        verdict = await judge(self.cluster.servers, "naru", SHARDS, self.ledger)
        found = table(self.ledger, verdict, faults.done, began, time.time() - began)
        return {**found, "processes that ended by themselves": faults.ended}

    def _background(self, work: Any) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def _quiet(self) -> None:
        """Until the agents have completed everything, at most a minute and a half."""
        seen, since = -1, time.time()
        end = since + 90
        while time.time() < end and time.time() - since < 12:
            if len(self.ledger.completed) != seen:
                seen, since = len(self.ledger.completed), time.time()
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if hasattr(self, "center"):
            self.center.stop()
        self.cluster.stop()
        self.postgres.stop()
        if self.net is not None:
            self.net.close()


def gaps(verdict: Verdict, faults: list[Fault]) -> list[float]:
    """For each fault of a router: the longest that an input waited for its decision, s, of those that came meanwhile."""
    return [
        max((waited for came, waited in verdict.waits if fault.at - 1 <= came <= fault.until), default=0.0)
        for fault in faults
        if fault.target.startswith("router")
    ]


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def table(ledger: Ledger, verdict: Verdict, faults: list[Fault], began: float, lasted_s: float) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for fault in faults:
        name = f"{fault.kind} {fault.target.split('-')[0]}"
        kinds[name] = kinds.get(name, 0) + 1
    killed = gaps(verdict, [fault for fault in faults if fault.kind == "kill -9"])
    otherwise = gaps(verdict, [fault for fault in faults if fault.kind != "kill -9"])
    waits = [waited for _, waited in verdict.waits]
    return {
        "minutes": round(lasted_s / 60, 1),
        "faults": len(faults),
        "by kind": kinds,
        "contacts in": verdict.contacts,
        "messages acknowledged": len(ledger.acknowledged),
        "delivered again on purpose": ledger.repeated,
        "tries": ledger.tries,
        "refusals": ledger.refused,
        "closed doors passed over": ledger.passed_over,
        "longest until acknowledged s": round(ledger.longest_s, 1),
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "wrong": len(verdict.wrong),
        "examples": [*verdict.lost, *verdict.doubled, *verdict.wrong][:20],
        "offers": verdict.offers,
        "completed": len(ledger.completed),
        "still open at the end": verdict.unfinished,
        "answers given": len(ledger.answered),
        "answers delivered": len(ledger.delivered),
        "sends": dict(verdict.sends),
        "answers repeated": sum(n - 1 for n in ledger.delivered.values()),
        "desks came back": ledger.came_back,
        "inputs": verdict.inputs,
        "records": verdict.records,
        "records ignored": verdict.ignored,
        "claims": verdict.claims,
        "offer p50 s": round(percentile(ledger.offers_s, 0.5), 3),
        "offer p99 s": round(percentile(ledger.offers_s, 0.99), 3),
        "decision p50 s": round(percentile(waits, 0.5), 4),
        "decision p99 s": round(percentile(waits, 0.99), 3),
        "router killed: gap median s": round(statistics.median(killed), 2) if killed else None,
        "router killed: gap longest s": round(max(killed), 2) if killed else None,
        "router killed: gaps s": [round(each, 2) for each in killed],
        "router rolled, frozen or cut off: gaps s": [round(each, 2) for each in otherwise],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 3))
    parser.add_argument("--rate", type=float, default=10, help="messages a second")
    parser.add_argument("--roll", action="store_true", help="nothing fails; every process is restarted, one by one")
    parser.add_argument("--no-net", action="store_true", help="without network namespaces")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(_main(options))
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:36} {value}" for name, value in found.items()))
    sys.exit(1 if found["lost"] or found["doubled"] or found["wrong"] else 0)


async def _main(options: argparse.Namespace) -> dict[str, Any]:
    try:
        chaos = Chaos(options.seed, options.nodes, not options.no_net, options.rate, options.json)
    except NoNet as error:
        sys.exit(f"no network of our own: {error}; --no-net goes without cutting hosts off")
    try:
        await asyncio.to_thread(chaos.build)
        return await chaos.run(options.minutes * 60, options.roll)
    finally:
        await chaos.close()


if __name__ == "__main__":
    main()
