"""`naru db move`: an embedded center's people, history, files and waiting contacts, found again on PostgreSQL and Kafka."""

import json
import sqlite3
from pathlib import Path

from support.center import CONFIG, AgentDesk, Center, ChatPage
from support.ledger import signed
from support.postgres import Postgres
from support.scaled import MASTER_KEY, Gateway, Scaled, until


def writes(center: Center, hook: str, id_: str, text: str) -> None:
    body = json.dumps({"thread": id_, "from": {"value": id_, "name": "Kim\0"}, "text": text})
    answer = center.request("POST", f"/hooks/{hook}", content=body.encode(), headers=signed(id_, body))
    assert answer.status_code == 202, answer.text


async def test_a_center_moves_and_its_contacts_go_on(tmp_path: Path, kafka: str, postgres: Postgres) -> None:
    old = Center(tmp_path / "data", CONFIG, env={"NARU_MASTER_KEY": MASTER_KEY})
    with old:
        hook = old.hook("hook")
        for number in range(3):
            writes(old, hook, f"m{number}", f"hello {number}")
        desk = await AgentDesk.open(old, old.agent_key("mina"))
        await desk.next("view")
        await desk.do("status", presence="available")
        offer = (await desk.next("offer"))["offer"]
        await desk.do("accept", offer=offer["id"])
        file = old.request("POST", "/v1/files", files={"file": ("a.txt", b"kept", "text/plain")}).json()["id"]
        await desk.do("message", contact=offer["contact"], text="I look", files=[file], private=True)
        await desk.close()
        key = old.agent_key("jun")
    with Scaled(tmp_path / "scaled", kafka, postgres.database(), shards=4) as new:
        assert new.cli("db", "upgrade").returncode == 0
        moved = new.cli("db", "move", "--json", "--data", str(old.folder), check=False)
        assert moved.returncode == 0, moved.stderr
        counts = json.loads(moved.stdout)
        with sqlite3.connect(old.folder / "store.sqlite") as store:
            (messages,) = store.execute("SELECT COUNT(*) FROM messages").fetchone()
        store.close()
        assert (counts["messages"], counts["contacts"], counts["file_bodies"]) == (messages, 3, 1)
        again = new.cli("db", "move", "--data", str(old.folder), check=False)
        assert again.returncode == 1 and "is not empty" in again.stderr
        for process in new.processes.values():
            process.start()
        for process in new.processes.values():
            process.wait_ready(60)
        gateway = Gateway(new, new.processes["gateway-1"])
        # Its agent's line has been down since the old center stopped: the contact is hers still, or waits again by now.
        contact = gateway.request("GET", f"/v1/contacts/{offer['contact']}").json()
        assert (contact["id"], contact["status"] in ("active", "queued")) == (offer["contact"], True)
        said = gateway.request("GET", f"/v1/conversations/{offer['conversation']}/messages").json()["items"]
        assert [part.get("text") for message in said for part in message["parts"]] == ["hello 0", "I look", None]
        assert gateway.request("GET", f"/v1/files/{file}").content == b"kept"
        # Keys go on working, what waited is offered, and what is new finds its way.
        desk = await AgentDesk.open(gateway, key)
        await desk.next("view")
        await desk.do("status", presence="available")
        assert (await desk.next("offer", timeout_s=20))["offer"]["channel"] == "hook"
        page = await ChatPage.open(gateway, gateway.hook("web"))
        await page.say("c1", "new here")
        await until(lambda: gateway.request("GET", "/v1/live").json()["waiting"])
        await desk.close()
        await page.close()


def test_what_cannot_be_moved_is_left_alone_and_says_why(tmp_path: Path, kafka: str, postgres: Postgres) -> None:
    with Scaled(tmp_path / "scaled", kafka, postgres.database()) as new:
        assert new.cli("db", "upgrade").returncode == 0
        nothing = new.cli("db", "move", "--data", str(tmp_path / "nowhere"), check=False)
        assert nothing.returncode == 1 and "is no data folder" in nothing.stderr
        other = Center(tmp_path / "other", CONFIG)
        refused = new.cli("db", "move", "--data", str(other.folder), check=False)
        assert refused.returncode == 1 and "what is sealed could not be read any more" in refused.stderr
