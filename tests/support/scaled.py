"""A center of many processes: each role as a process of its own, on a Kafka and a PostgreSQL that are given.

Every process can be killed, frozen, ended and started again by its own process id; a gateway of it serves the clients
of `support.center`.
"""

import asyncio
import base64
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2

from support import nursery
from support.center import CONFIG, FRESH, HOOK_SECRET, START_S, Center, free_port

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


class Process:
    """One process of the center. A `prefix` runs it elsewhere, such as in a network namespace."""

    def __init__(self, role: str, name: str, env: dict[str, str], folder: Path) -> None:
        self.role, self.name = role, name
        self.data = folder / name
        self.log_path = folder / f"{name}.log"
        self.env = {**env, "NARU_WORKER": name, "NARU_DATA": str(self.data)}
        if role == "gateway":
            self.env["NARU_SPOOL_DIR"] = str(self.data / "spool")
        self.prefix: list[str] = []
        self.process: nursery.Running | None = None
        self.data.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.move("127.0.0.1")

    def move(self, host: str) -> None:
        """It listens there from its next start on."""
        self.url = f"http://{host}:{self.port}"
        self.env["NARU_HOST"] = host

    def start(self) -> "Process":
        args = ["serve", self.role, "--port", str(self.port)]
        with self.log_path.open("ab") as log:
            if self.prefix:
                self.process = subprocess.Popen([*self.prefix, *FRESH, *args], env=self.env, stdout=log, stderr=log)
            else:
                self.process = nursery.begin(args, self.env, log)
        return self

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def wait_ready(self, limit_s: float = START_S) -> "Process":
        end = time.perf_counter() + limit_s
        while time.perf_counter() < end and self.running:
            if self.ready():
                return self
            time.sleep(0.05)
        raise AssertionError(f"{self.name} did not come up:\n{self.log_tail()}")

    def log_tail(self, characters: int = 4000) -> str:
        return self.log_path.read_text(errors="replace")[-characters:] if self.log_path.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def stop(self, limit_s: float = 25) -> int:
        """SIGTERM, and wait for the end."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Scaled:
    """`roles` are (role, how many). Names are role and number, from 1."""

    def __init__(
        self,
        folder: Path,
        kafka: str,
        database: str,
        roles: Sequence[tuple[str, int]] = (("router", 1), ("projector", 1), ("channels", 1), ("gateway", 1)),
        shards: int = 4,
        replication: int = 1,
        env: dict[str, str] | None = None,
        prefix: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.prefix = prefix or f"naru-{os.getpid()}-{folder.name}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("NARU_")} | {
            "NARU_KAFKA": kafka,
            "NARU_KAFKA_REPLICATION": str(replication),
            "NARU_KAFKA_PREFIX": self.prefix,
            "NARU_DATABASE_URL": database,
            "NARU_MASTER_KEY": MASTER_KEY,
            "NARU_SHARDS": str(shards),
            "NARU_SECRET_HOOK": HOOK_SECRET,
            "NARU_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self.processes = {
            f"{role}-{number}": Process(role, f"{role}-{number}", self.env, folder)
            for role, count in roles
            for number in range(1, count + 1)
        }

    def cli(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return nursery.run([*args], {**self.env, "NARU_DATA": str(self.folder / "cli")}, 90, check)

    def start(self, config: str = CONFIG, workspace: str = "main") -> "Scaled":
        """Everything, until every process says that it is ready, with this configuration in force."""
        upgraded = self.cli("db", "upgrade", check=False)
        assert upgraded.returncode == 0, upgraded.stderr
        for process in self.processes.values():
            process.start()
        document = self.folder / "center.yaml"
        document.write_text(config)
        for process in self.processes.values():
            process.wait_ready(60)
        applied = self.cli("apply", str(document), "-w", workspace, check=False)
        assert applied.returncode == 0, applied.stderr
        return self

    def of(self, role: str) -> list[Process]:
        return [process for process in self.processes.values() if process.role == role]

    def gateway(self, number: int = 1) -> "Gateway":
        return Gateway(self, self.processes[f"gateway-{number}"])

    def stop(self) -> None:
        for process in self.processes.values():
            process.signal(signal.SIGCONT)
            process.kill()

    def __enter__(self) -> "Scaled":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Gateway(Center):
    """One gateway of many as the tests' clients know a center: its address, and its owner's key."""

    def __init__(self, scaled: Scaled, process: Process) -> None:
        self.scaled, self.gateway = scaled, process
        self.url, self.folder, self.port = process.url, process.data, process.port
        self._key: str | None = None

    @property
    def owner_key(self) -> str:
        if self._key is None:
            self._key = self.scaled.cli("keys", "create", "test", "--role", "owner").stdout.strip()
        return self._key


async def until(true: object, limit_s: float = 30) -> None:
    """Wait for something that others do; asked every 20 ms."""
    async with asyncio.timeout(limit_s):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.02)
