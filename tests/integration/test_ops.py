"""What those who run a center see: probes, metrics, the end by SIGTERM, the log's words, doctor, settings, backup."""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from httpx2 import ASGITransport
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from naru import probes
from naru.app import Naru, create_app
from naru.settings import BadSettings, Settings, load
from support.center import CONFIG, FRESH, AgentDesk, Center, ChatPage, Frames, free_port

REQUIRE_ALL = os.environ.get("NARU_TEST_REQUIRE") == "all"
NARU = [sys.executable, "-m", "naru.cli"]
MARKER = "marker-7d1f-only-in-the-message"
PASSWORD = "marker-9c2e-only-in-the-password"


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with Center(tmp_path_factory.mktemp("ops") / "data", launcher=FRESH) as center:
        yield center


def plain_environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("NARU_")} | more


def naru(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = plain_environment(**environment)
    return subprocess.run([*NARU, *args], env=env, capture_output=True, text=True, timeout=60)


# -- in operation


def test_an_idle_server_is_small(center: Center) -> None:
    """Asked first, before the other tests give it work to do."""
    assert center.process is not None
    status = Path(f"/proc/{center.process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc here")
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    megabytes = int(fields["VmRSS"].split()[0]) / 1024
    print(f"idle RSS of naru serve: {megabytes:.0f} MB")
    assert megabytes < 200


def test_the_probes_say_that_all_is_well(center: Center) -> None:
    for path in ("/livez", "/readyz", "/startupz"):
        answer = httpx2.get(center.url + path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert answer.headers["x-content-type-options"] == "nosniff"
    checks = httpx2.get(f"{center.url}/readyz").json()["checks"]
    assert checks == {"store": True, "members": True, "shards": True, "history": True, "tasks": True}


def samples(center: Center) -> dict[tuple[str, str], float]:
    """Every sample by (name, its labels' values in order of the labels' names)."""
    text = httpx2.get(f"{center.url}/metrics").text
    return {
        (sample.name, ",".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_show_the_house_and_pass_promtool(center: Center) -> None:
    before = samples(center)
    page = await ChatPage.open(center, center.hook("web"))
    await page.say("w1", f"{MARKER} {PASSWORD}")
    async with asyncio.timeout(30):
        while samples(center).get(("naru_contacts_waiting", "care,main")) != 1:
            await asyncio.sleep(0.02)
    waiting = samples(center)
    assert 0 < waiting["naru_contacts_longest_wait_seconds", "care,main"] < 60

    desk = await AgentDesk.open(center, center.agent_key("mina"))
    await desk.do("status", presence="available")
    offer = (await desk.next("offer"))["offer"]
    assert (await desk.do("decline", offer=offer["id"]))["status"] == 200
    assert (await desk.do("status", presence="away"))["status"] == 200
    other = await AgentDesk.open(center, center.agent_key("jun"))
    assert (await other.do("status", presence="available"))["status"] == 200
    offer = (await other.next("offer"))["offer"]
    assert (await other.do("accept", offer=offer["id"]))["status"] == 200
    await other.do("message", contact=offer["contact"], text=f"{MARKER} back")
    await other.do("complete", contact=offer["contact"], disposition="done", note=MARKER)

    after = samples(center)
    for outcome, least in (("made", 2), ("declined", 1), ("accepted", 1)):
        assert after["naru_offers_total", outcome] - before.get(("naru_offers_total", outcome), 0) >= least
    assert after["naru_contacts_total", "handled"] >= 1
    assert after["naru_contacts_waiting", "care,main"] == 0
    assert after["naru_decision_seconds_count", ""] > before["naru_decision_seconds_count", ""]
    assert after["naru_log_append_seconds_count", ""] > 0
    assert (after["naru_agents", "available,main"], after["naru_agents", "away,main"]) == (1, 1)
    assert after["naru_ws_connections", ""] == 2
    assert after["naru_service_level_ratio", "care,main"] == 1
    assert ("naru_reader_lag_records", "projector") in after
    latency = after["naru_decision_seconds_sum", ""] / after["naru_decision_seconds_count", ""]
    print(f"mean decision: {latency * 1e6:.0f} µs over {after['naru_decision_seconds_count', '']:.0f}")
    for frames in (page, desk, other):
        await frames.close()

    if shutil.which("promtool") is None:
        if REQUIRE_ALL:
            pytest.fail("NARU_TEST_REQUIRE=all, and promtool is not here (Debian package prometheus)")
        pytest.skip("NOT PROVED HERE: promtool is not here (Debian package prometheus)")
    text = httpx2.get(f"{center.url}/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text.text, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr.strip()) == (0, ""), checked.stderr


def test_metrics_have_bounded_labels(center: Center) -> None:
    for number in range(30):
        httpx2.get(f"{center.url}/nothing/{number}")
        httpx2.get(f"{center.url}/v1/contacts/number-{number}")
        httpx2.request(f"METHOD{number}", f"{center.url}/livez")
    text = httpx2.get(f"{center.url}/metrics").text
    assert "number-" not in text and "/nothing/" not in text
    assert "METHOD1" not in text


def test_doctor_finds_a_good_house_good(center: Center) -> None:
    answer = center.cli("doctor", "--json")
    rows = {row["check"]: row for row in json.loads(answer.stdout)}
    assert {row["result"] for row in rows.values()} <= {"pass", "warn"}
    assert rows["package names"]["result"] == rows["schema"]["result"] == rows["master key"]["result"] == "pass"
    assert all(row["mend"] for row in rows.values() if row["result"] != "pass")


def test_one_process_holds_the_data_folder(center: Center) -> None:
    second = center.cli("serve", "--port", str(free_port()), check=False)
    assert second.returncode == 1
    assert "another process is using" in second.stderr and "Traceback" not in second.stderr
    offline = center.cli("apply", str(center.folder.parent / "data.yaml"), "--workspace", "other", check=False)
    assert offline.returncode == 1
    assert "another process is using" in offline.stderr and "Traceback" not in offline.stderr


async def test_a_backup_of_a_running_server_restores(center: Center, tmp_path: Path) -> None:
    page = await ChatPage.open(center, center.hook("web"))
    await page.say("b1", "before the backup")
    file = {"file": ("kept.txt", b"kept bytes", "text/plain")}
    sha256 = center.request("POST", "/v1/files", files=file).json()["id"]
    messages = f"/v1/conversations/{page.seen[0]['session']}/messages"
    assert len(center.request("GET", messages).json()["items"]) == 1
    target = tmp_path / "backup"
    center.cli("db", "backup", str(target))
    await page.say("b2", "after the backup")
    await page.close()
    assert (target / "master.key").stat().st_mode & 0o077 == 0

    again = center.cli("db", "backup", str(target), check=False)
    assert again.returncode == 1 and "not empty" in again.stderr
    nowhere = naru("db", "backup", str(tmp_path / "b2"), "--data", str(tmp_path / "no-such"))
    assert nowhere.returncode == 1 and "no data folder" in nowhere.stderr
    assert not (tmp_path / "no-such").exists() and not (tmp_path / "b2").exists()

    restored = Center.__new__(Center)
    restored.__dict__ |= center.__dict__ | {"folder": target, "port": free_port(), "process": None}
    restored.url = f"http://127.0.0.1:{restored.port}"
    restored.log_path = tmp_path / "restored.log"
    with restored:
        assert restored.owner_key != center.owner_key
        items = restored.request("GET", messages).json()["items"]
        assert [item["parts"][0]["text"] for item in items] == ["before the backup"]
        assert restored.request("GET", f"/v1/files/{sha256}").content == b"kept bytes"
        back = await ChatPage.open(restored, restored.hook("web"), page.visitor)
        assert [m["text"] for m in back.seen[0]["messages"]] == ["before the backup"]
        await back.close()


def test_the_log_holds_no_secrets_and_nothing_that_was_said(center: Center) -> None:
    link = center.request("POST", "/v1/invites", json={"agent": "mina"}).json()["link"]
    token = link.partition("#invite=")[2]
    body = {"token": token, "password": PASSWORD}
    session = httpx2.post(f"{center.url}/v1/invites/accept", json=body).cookies["naru_session"]
    login = {"workspace": "main", "email": "mina@shop.test", "password": PASSWORD + "-wrong"}
    assert httpx2.post(f"{center.url}/v1/login", json=login).status_code == 401
    assert center.request("PUT", "/v1/secrets/one", json={"value": MARKER}).status_code == 204
    # What makes the house speak: refusals, faults, a bad signature, a broken body.
    for content in (b"{", MARKER.encode(), json.dumps({"text": MARKER}).encode()):
        center.request("POST", "/v1/contacts/x/messages", content=content)
        httpx2.post(f"{center.url}/hooks/{center.hook('hook')}", content=content)
        center.request("PUT", "/v1/config", content=content)
    said = center.log_path.read_text()
    assert "hook.refused" in said
    master = (center.folder / "master.key").read_text()
    secrets = [MARKER, PASSWORD, token, session, center.owner_key, master, center.env["NARU_SECRET_HOOK"]]
    assert [secret for secret in secrets if secret in said] == []
    assert center.hook("hook") not in said
    for line in said.splitlines():
        assert json.loads(line)["event"], line


# -- SIGTERM


async def close_code(frames: Frames) -> tuple[int | None, str]:
    async with asyncio.timeout(30):
        try:
            while True:
                await frames.socket.recv()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")


async def test_sigterm_ends_well_and_a_restart_loses_nothing(tmp_path: Path) -> None:
    center = Center(tmp_path / "data").start()
    try:
        desk = await AgentDesk.open(center, center.agent_key("mina"))
        await desk.do("status", presence="available")
        page = await ChatPage.open(center, center.hook("web"))
        await page.say("s1", "first")
        offer = (await desk.next("offer"))["offer"]
        await desk.do("accept", offer=offer["id"])
        waiting = await ChatPage.open(center, center.hook("web"))
        board = Frames(await connect(center.url.replace("http", "ws") + "/v1/live/ws"))
        await board.send(type="hello", ticket=center.request("POST", "/v1/tickets").json()["ticket"])
        await board.next("live")

        assert center.process is not None
        center.process.send_signal(signal.SIGTERM)
        codes = await asyncio.gather(*(close_code(frames) for frames in (desk, page, waiting, board)))
        assert [code for code, _ in codes] == [1012] * 4
        # The desk's reason should be the JSON; uvicorn, which closes at the same moment, sometimes comes first with none.
        assert codes[0][1] in ("", '{"retry_after_s": 1}')
        with contextlib.suppress(httpx2.HTTPError):
            assert httpx2.get(f"{center.url}/readyz", timeout=5).status_code == 503
        assert await asyncio.to_thread(center.process.wait, 15) == 0, center.log_tail()

        center.start()
        contact = center.request("GET", f"/v1/contacts/{offer['contact']}").json()
        assert (contact["status"], contact["agent"]) == ("active", "mina")
        back = await ChatPage.open(center, center.hook("web"), page.visitor)
        assert [m["text"] for m in back.seen[0]["messages"]] == ["first"]
        assert back.seen[0]["state"]["status"] == "talking"
        again = await AgentDesk.open(center, center.agent_key("mina"), desk.seen[-1].get("cursor"))
        view = await again.next("view")
        assert [c["id"] for c in view["contacts"]] == [offer["contact"]]
        assert (await again.do("message", contact=offer["contact"], text="still here"))["status"] == 200
        while (said := (await back.next("message"))["message"])["author"] != "agent":
            pass
        assert (said["text"], said["number"]) == ("still here", 2)
        await again.close()
        await back.close()
        assert center.stop() == 0
        assert "Traceback" not in center.log_path.read_text(), center.log_tail()
    finally:
        center.stop()


async def test_while_it_drains_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    house = Naru(Settings(data=str(tmp_path / "data")))
    async with httpx2.AsyncClient(transport=ASGITransport(create_app_early(house)), base_url="http://x") as client:
        assert (await client.get("/startupz")).status_code == 503
    await house.start()
    try:
        app = create_app(house)
        async with httpx2.AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:

            async def statuses() -> list[int]:
                return [(await client.get(path)).status_code for path in ("/livez", "/readyz", "/startupz")]

            async with asyncio.timeout(30):  # history comes to where it was a moment after the start
                while await statuses() != [200, 200, 200]:
                    await asyncio.sleep(0)
            house.owners[0].owning.clear()
            assert await statuses() == [200, 503, 200]
            house.owners[0].owning.set()
            assert await statuses() == [200, 200, 200]
            await house.drain()
            assert await statuses() == [200, 503, 200]
            assert (await client.get("/readyz")).json()["draining"] is True
    finally:
        await house.stop()


def create_app_early(house: Naru) -> Any:
    """The probes of a house that has not started yet."""
    from fastapi import FastAPI

    app = FastAPI()
    app.include_router(probes.routes(house))
    return app


# -- the command line and settings


def test_help_comes_at_once() -> None:
    """Half a second of computing at the most, however long it had to wait for a core."""
    took: list[float] = []
    script = Path(sys.executable).with_name("naru")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([str(script), "--help"], capture_output=True, text=True, env=plain_environment())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert done.returncode == 0 and "serve" in done.stdout
    print(f"naru --help: best of 5 {min(took):.3f} s")
    assert min(took) < 0.5


def test_an_unknown_setting_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    answer = naru("serve", "--data", str(tmp_path), NARU_PROT="1")
    assert answer.returncode == 2
    assert "unknown setting NARU_PROT; did you mean NARU_PORT?" in answer.stderr
    assert "Traceback" not in answer.stderr
    with pytest.raises(BadSettings, match=r"unknown setting NARU_XYZZY_PLUGH$"):
        load({"NARU_XYZZY_PLUGH": "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NARU_PORT", "many"),
        ("NARU_PORT", "70000"),
        ("NARU_PORT", "-1"),
        ("NARU_SHARDS", "0"),
        ("NARU_LOG_FORMAT", "xml"),
        ("NARU_MASTER_KEY", "short"),
        ("NARU_MASTER_KEY", "not base64!"),
    ],
)
def test_a_setting_of_the_wrong_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as refused:
        load({name: value})
    assert name in str(refused.value)
    if name == "NARU_MASTER_KEY":
        assert value not in str(refused.value)


def test_settings_come_from_the_environment_and_the_command_line_wins() -> None:
    environment = {"NARU_PORT": "9000", "NARU_DATA": "~/x", "NARU_SECRET_ANY": "s", "HOME": "/home/x", "PATH": ""}
    settings = load(environment)
    assert (settings.port, settings.base_url) == (9000, "http://127.0.0.1:9000")
    assert load(environment, port=9001, data=None).port == 9001
    assert load({**environment, "NARU_PUBLIC_URL": "https://x.test"}).base_url == "https://x.test"


def test_a_port_that_is_taken_is_said_so(center: Center, tmp_path: Path) -> None:
    answer = naru("serve", "--data", str(tmp_path / "data"), "--port", str(center.port))
    assert answer.returncode == 1, answer.stderr
    assert "address already in use" in answer.stderr.lower()


@pytest.mark.parametrize("place", ["a file", "under a file"])
def test_doctor_says_what_is_wrong_with_a_folder(tmp_path: Path, place: str) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    answer = naru("doctor", "--data", str(file if place == "a file" else file / "data"), "--json")
    assert (answer.returncode, answer.stderr) == (1, "")
    row = next(row for row in json.loads(answer.stdout) if row["check"] == "data folder")
    assert row["result"] == "fail" and row["mend"]
    words = naru("doctor", "--data", str(file))
    assert words.returncode == 1 and "FAIL  data folder" in words.stdout


def test_doctor_sees_an_open_key_and_a_broken_database(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("x")
    (tmp_path / "master.key").chmod(0o644)
    (tmp_path / "store.sqlite").write_bytes(b"this is no database at all, but it is there" * 100)
    answer = naru("doctor", "--data", str(tmp_path), "--json", NARU_HOST="no-such-host.invalid")
    assert answer.stderr == ""
    rows = {row["check"]: row for row in json.loads(answer.stdout)}
    assert rows["master key"]["result"] == "fail" and "chmod 600" in rows["master key"]["mend"]
    assert rows["schema"]["result"] == "fail" and rows["schema"]["mend"]
    assert answer.returncode == 1


def test_serve_says_why_it_cannot_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    answer = naru("serve", "--data", str(file))
    assert answer.returncode != 0 and "Traceback" not in answer.stderr, answer.stderr
    other = naru("serve", "router", "--data", str(tmp_path))
    assert other.returncode == 2


def test_commands_that_need_a_server_say_so(tmp_path: Path) -> None:
    for command in (("why", "x"), ("keys", "list"), ("channels", "test", "x")):
        answer = naru(*command, "--data", str(tmp_path))
        assert answer.returncode == 1 and "no server runs" in answer.stderr
        assert "naru serve" in answer.stderr


def test_who_names_no_workspace_is_told_of_those_that_are_there(tmp_path: Path) -> None:
    """`naru demo` has one of its own."""
    (tmp_path / "local-demo.key").write_text("http://127.0.0.1:9 key")
    answer = naru("why", "x", "--data", str(tmp_path))
    assert answer.returncode == 1 and "workspace main" in answer.stderr and "demo" in answer.stderr


def test_the_schema_is_upgraded_by_hand_too(tmp_path: Path) -> None:
    assert naru("db", "upgrade", "--data", str(tmp_path / "new")).returncode == 0
    assert naru("doctor", "--data", str(tmp_path / "new"), "--json").returncode == 0


def test_the_config_of_the_tests_is_the_one_that_runs(center: Center) -> None:
    exported = center.cli("export").stdout
    assert "name: Test center" in exported and CONFIG.splitlines()[1] in exported
