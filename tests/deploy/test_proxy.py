"""Caddy with our Caddyfile before two gateways: pages, WebSockets, and a gateway that goes away."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from conftest import not_proved
from support.center import AgentDesk, Center, ChatPage, free_port

ROOT = Path(__file__).parents[2]
CADDYFILE = ROOT / "deploy" / "Caddyfile"
PREFIX = "http://"
START_S = 60.0


def wait_open(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.perf_counter() + START_S
    while time.perf_counter() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"Caddy does not listen on {port}")


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Center]:
    """A center as seen through the proxy, which knows a second gateway that is not there."""
    if shutil.which("caddy") is None:
        not_proved("the proxy's configuration", "caddy (apt package caddy)")
    port = free_port()
    with Center(tmp_path / "data") as center, (tmp_path / "caddy.log").open("wb") as log:
        environment = {
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "NARU_SITE": f"{PREFIX}:{port}",
            "NARU_GATEWAYS": f"127.0.0.1:{center.port} 127.0.0.1:{free_port()}",
        }
        command = ["caddy", "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
        caddy = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_open(port, caddy)
            direct, center.url = center.url, f"{PREFIX}127.0.0.1:{port}"
            yield center
            center.url = direct
        finally:
            caddy.terminate()
            caddy.wait(20)


async def test_desks_and_chats_work_through_the_proxy(proxied: Center) -> None:
    for _ in range(6):  # whichever gateway is asked first, the one that is there answers
        assert httpx2.get(f"{proxied.url}/desk").status_code == 200
    desk = await AgentDesk.open(proxied, proxied.agent_key("mina"))
    await desk.do("status", presence="available")
    page = await ChatPage.open(proxied, proxied.hook("web"))
    await page.say("c1", "through the proxy")
    offer = (await desk.next("offer"))["offer"]
    assert (await desk.do("accept", offer=offer["id"]))["status"] == 200
    await desk.close()
    await page.close()


def test_the_configuration_is_in_caddys_own_form() -> None:
    if shutil.which("caddy") is None:
        not_proved("the proxy's configuration", "caddy (apt package caddy)")
    formed = subprocess.run(["caddy", "fmt", str(CADDYFILE)], capture_output=True, text=True, timeout=30)
    assert formed.stdout == CADDYFILE.read_text()
