"""Places in line: one look at a queue's order a second, however many ask, and nobody is told a guess."""

from types import SimpleNamespace
from typing import Any

from channels.gateway import look_into
from channels.places import FORGET_S, LOOK_S, Places
from router.model import Thread, conversation_id


class Line:
    """A pool with callers `1`, `2`, … of queue `care`, in that order. `looks` counts how often the order was asked for."""

    def __init__(self, count: int) -> None:
        self.now = 1000.0
        self.looks: list[str] = []
        self.contacts: dict[str, Any] = {}
        self.conversations: dict[str, Any] = {}
        self.places = Places(lambda: self.now)
        for _ in range(count):
            self.comes()

    def comes(self, queue: str = "care", status: str = "queued") -> Any:
        id_ = str(len(self.contacts) + 1)
        made = SimpleNamespace(id=id_, call=f"CA{id_}", status=status, queue=queue, language="ko")
        self.contacts[id_] = made
        conversation = conversation_id("phone", Thread(external=made.call, kind="call"))
        self.conversations[conversation] = SimpleNamespace(contact=id_)
        return made

    def foretell(self, queue: str, place: int) -> None:
        """Too little is known."""

    def in_line(self, queue: str) -> list[Any]:
        self.looks.append(queue)
        return [each for each in self.contacts.values() if each.queue == queue and each.status == "queued"]

    def place(self, id_: str) -> int:
        return self.places.of("ws", self, self.contacts[id_])  # type: ignore[arg-type]


def test_a_thousand_who_ask_are_one_look() -> None:
    line = Line(1000)
    assert [line.place(id_) for id_ in line.contacts] == list(range(1, 1001))
    assert line.looks == ["care"]


def test_the_order_is_looked_at_again_after_a_second_and_not_before() -> None:
    line = Line(2)
    assert line.place("2") == 2
    line.contacts["1"].status = "offered"
    assert (line.place("1"), line.place("2")) == (0, 2)
    line.now += LOOK_S
    assert line.place("2") == 1
    line.now -= 5  # a clock that was put back does not freeze the order
    line.contacts["2"].status = "active"
    line.comes()
    assert line.place("3") == 1


def test_who_came_after_the_last_look_has_no_place_yet() -> None:
    line = Line(1)
    assert line.place("1") == 1
    late = line.comes()
    assert line.place(late.id) == 0
    line.now += LOOK_S
    assert line.place(late.id) == 2


def test_queues_that_nobody_asks_about_are_forgotten() -> None:
    line = Line(1)
    for n in range(50):
        line.place(line.comes(queue=f"q{n}").id)
    line.now += FORGET_S + 1
    line.place("1")
    assert len(line.places._looks) == 1


def test_a_call_is_found_by_its_name_and_only_while_it_is_that_call() -> None:
    line = Line(2)
    bus: Any = SimpleNamespace(pool=lambda workspace: line if workspace == "ws" else None)
    look = look_into(bus, "ws", "phone", line.places)
    view = look("CA2")
    assert view is not None
    assert (view.contact, view.status, view.position, view.language) == ("2", "queued", 2, "ko")
    line.contacts["2"].call = None
    for unknown in (look("CA2"), look("CA9"), look_into(bus, "other", "phone", line.places)("CA1")):
        assert unknown is None
    assert look_into(bus, "ws", "quick", line.places)("CA1") is None, "another channel's call of that name"
