"""Apache Kafka itself for tests: its jars from Maven, nodes as processes of ours, KRaft, without ZooKeeper or Docker.

`Kafka.prepare()` resolves the jars once and keeps their list; a `Cluster` formats and starts one node or three, each
with its own ports and folder, and every node can be killed, frozen and started again by its own process id. A cluster
that is already there is used by naming it in KAFKA_BOOTSTRAP_SERVERS; then nothing is started or ended.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from support.center import free_port

VERSION = "4.4.0"
CACHE = Path(os.environ.get("NARU_TEST_CACHE", Path.home() / ".cache" / "naru-tests"))
START_S = 60.0
GIVEN = "KAFKA_BOOTSTRAP_SERVERS"

POM = f"""\
<project><modelVersion>4.0.0</modelVersion>
<groupId>naru.tests</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
</dependency></dependencies></project>
"""
LOG4J = """\
<Configuration status="ERROR"><Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console>
</Appenders><Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""
JAVA = [
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+PerfDisableSharedMem",
    "-Xshare:auto",
]


class NoKafka(Exception):
    """It cannot be had here. The text says what is missing."""


def classpath() -> str:
    """The jars of Kafka and of what it needs, resolved by Maven on first use. Raises NoKafka."""
    folder = CACHE / f"kafka-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of several processes fetches, the others wait for it
        return _classpath(folder)


def _classpath(folder: Path) -> str:
    listed = folder / "classpath.txt"
    if listed.exists():
        jars = listed.read_text().strip()
        if all(Path(jar).exists() for jar in jars.split(":")):
            return jars
    for program, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            raise NoKafka(f"{program} (apt package {package})")
    (folder / "pom.xml").write_text(POM)
    (folder / "log4j2.xml").write_text(LOG4J)
    partial = folder / "partial.txt"
    command = [
        "mvn",
        "-q",
        "-B",
        "dependency:build-classpath",
        "-DincludeScope=runtime",
        f"-Dmdep.outputFile={partial}",
    ]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if found.returncode != 0 or not partial.exists():
        raise NoKafka(f"org.apache.kafka:kafka_2.13:{VERSION} from Maven: {found.stdout[-500:]}")
    partial.replace(listed)
    return listed.read_text().strip()


class Node:
    """One broker that is a controller too. `prefix` runs its program elsewhere, such as in a network namespace."""

    def __init__(self, number: int, host: str, port: int, controller: int, folder: Path, prefix: Sequence[str]) -> None:
        self.number = number
        self.host, self.port, self.controller = host, port, controller
        self.folder = folder
        self.prefix = list(prefix)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def configure(self, nodes: "list[Node]") -> None:
        replicas = min(3, len(nodes))
        voters = ",".join(f"{node.number}@{node.host}:{node.controller}" for node in nodes)
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{self.host}:{self.controller}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": self.number,
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": voters,
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "delete.topic.enable": "true",
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "controller.quorum.election.timeout.ms": 500,
            "controller.quorum.fetch.timeout.ms": 1000,
            "replica.lag.time.max.ms": 3000,
            "replica.fetch.wait.max.ms": 100,
            "log.cleaner.enable": "false",
            "num.network.threads": 2,
            "num.io.threads": 2,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def format(self, cluster_id: str) -> None:
        properties = str(self.folder / "server.properties")
        self._java(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", properties])

    def _java(self, args: list[str]) -> None:
        found = subprocess.run(["java", *JAVA, "-cp", classpath(), *args], capture_output=True, text=True, timeout=120)
        if found.returncode != 0:
            raise NoKafka(f"{' '.join(args)}: {found.stdout[-500:]}{found.stderr[-500:]}")

    def start(self) -> None:
        log4j = CACHE / f"kafka-{VERSION}" / "log4j2.xml"
        command = [
            *self.prefix,
            "java",
            *JAVA,
            f"-Dlog4j2.configurationFile={log4j}",
            "-cp",
            classpath(),
            "kafka.Kafka",
        ]
        with (self.folder / "log").open("ab") as log:
            properties = str(self.folder / "server.properties")
            self.process = subprocess.Popen([*command, properties], stdout=log, stderr=log)

    def wait_open(self) -> None:
        """Until it takes connections; bounded, and with its own last words when it does not."""
        end = time.perf_counter() + START_S
        while time.perf_counter() < end:
            if self.process is None or self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            time.sleep(0.05)
        raise NoKafka(f"node {self.number} did not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """As if its power had gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)


class Cluster:
    """One node or three on loopback. Nodes are numbered from 1."""

    def __init__(self, folder: Path, nodes: int = 1, hosts: Sequence[str] = (), prefixes: Sequence[Sequence[str]] = ()):
        self.nodes = [
            Node(
                number,
                hosts[number - 1] if hosts else "127.0.0.1",
                9092 if hosts else free_port(),
                9093 if hosts else free_port(),
                folder / f"kafka-{number}",
                prefixes[number - 1] if prefixes else (),
            )
            for number in range(1, nodes + 1)
        ]
        self.replication = min(3, nodes)

    @property
    def servers(self) -> str:
        return ",".join(node.address for node in self.nodes)

    def start(self) -> "Cluster":
        """Raises NoKafka."""
        for node in self.nodes:
            node.configure(self.nodes)
        for node in self.nodes:
            node.format("bmFydS10ZXN0cy1rYWZrYQ")
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_open()
        return self

    def stop(self) -> None:
        """Tests throw the data away, so there is nothing to end gently."""
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            node.kill()

    def __enter__(self) -> "Cluster":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
