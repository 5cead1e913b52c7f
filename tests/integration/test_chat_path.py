"""One chat through every room: customer's socket, log, router, agent's desk, and back."""

from pathlib import Path

from support.center import FRESH, AgentDesk, Center, ChatPage


async def test_a_chat_is_routed_answered_and_wrapped_up(tmp_path: Path) -> None:
    with Center(tmp_path / "data", launcher=FRESH) as center:
        desk = await AgentDesk.open(center, center.agent_key("mina"))
        view = await desk.next("view")
        assert view["agent"]["presence"] == "offline"
        assert (await desk.do("status", presence="available"))["status"] == 200

        page = await ChatPage.open(center, center.hook("web"))
        await page.say("m1", "안녕하세요, 배송이 궁금해요")
        offer = (await desk.next("offer"))["offer"]
        assert offer["kind"] == "chat"
        assert offer["language"] == "ko"
        answer = await desk.do("accept", offer=offer["id"])
        assert (answer["status"], answer["contact"]) == (200, offer["contact"])

        await desk.do("message", contact=offer["contact"], text="네, 확인해 드릴게요")
        while True:
            message = (await page.next("message"))["message"]
            if message["author"] == "agent":
                break
        assert (message["text"], message["name"], message["number"]) == ("네, 확인해 드릴게요", "Mina", 2)

        assert (await desk.do("wrap-up", contact=offer["contact"]))["status"] == 200
        assert (await desk.do("complete", contact=offer["contact"], disposition="done"))["status"] == 200
        contact = center.request("GET", f"/v1/contacts/{offer['contact']}").json()
        assert contact["outcome"] == "handled"
        assert contact["disposition"] == "done"
        await page.close()
        await desk.close()
