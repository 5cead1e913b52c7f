"""What of the journal goes out, under which name, and what never does."""

import json
import math
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from naru.outgoing import asyncapi, cloudevents
from naru.outgoing.cloudevents import INTERNAL, PUBLIC, Book, CloudEvent, Facts
from naru.wire import Record
from router import events, inputs
from router.model import Identity, Thread
from support.outgoing import BEGINS, WORKSPACE, Told, busy_day
from support.story import agent, center

PERSONAL = (
    *("Kim", "8210", "5555", "1234", "4111", "kim0@", "customer.test", "Hello", "lives in Seoul"),
    *("secret-basket", "gold-plated", "thread-", "Call "),
)
FACTS = Facts("conversation-1", "customer-1", "chat", "shop", "chat")


def told_out(records: list[Record], book: Book | None = None) -> list[CloudEvent]:
    book = book or Book()
    found: list[CloudEvent] = []
    for record in records:
        for event in record.ev:
            if isinstance(event, events.MessageAdded):
                book.contact_of[event.message] = event.contact
            if isinstance(event, events.ContactOpened):
                book.facts[event.contact] = FACTS
        found += [event for _, event in cloudevents.of_record(record, book)]
    return found


def one(event: events.Event, book: Book | None = None) -> CloudEvent:
    record = Record(n="n", s=0, i=0, t=1000.25, workspace="ws", pool="ws", ev=(event,))  # type: ignore[arg-type]
    [(_, made)] = cloudevents.of_record(record, book or Book())
    return made


# -- the table


def test_every_event_is_public_or_internal_and_never_both() -> None:
    every = set(get_args(events.AnyEvent))
    assert every == set(PUBLIC) | set(INTERNAL), "a new class of events must be listed in naru.outgoing.cloudevents"
    assert not set(PUBLIC) & set(INTERNAL)
    assert all(INTERNAL.values())


def test_public_names_are_unique_and_their_fields_exist() -> None:
    types = [public.type for public in PUBLIC.values()]
    assert len(set(types)) == len(types)
    for kind, public in PUBLIC.items():
        assert public.type.startswith("naru.") and public.type.count(".") == 2
        assert set(public.fields) <= set(kind.__struct_fields__), kind
        assert cloudevents.data_type(kind).__struct_fields__


WITHHELD = {"attributes", "note", "detail", "externals", "identity", "thread", "effect", "connection", "leg"}


def test_fields_that_hold_what_people_say_are_in_no_table() -> None:
    for kind, public in PUBLIC.items():
        assert not WITHHELD & set(public.fields), kind
    assert "key" not in PUBLIC[events.MessageAdded].fields  # the provider's name of it: may hold an address


# -- one event


def test_an_event_says_what_when_where_and_about_whom() -> None:
    book = Book()
    book.facts["c1"] = FACTS
    book.count["c1"] = 4
    made = one(events.OfferMade(offer="o1", contact="c1", agent="mina", attempt=1, shown_until=1020.0), book)
    assert json.loads(cloudevents.encode(made)) == {
        "specversion": "1.0",
        "id": "n.0.0",
        "source": "/naru/ws",
        "type": "naru.offer.made",
        "subject": "c1",
        "time": "1970-01-01T00:16:40.250000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:naru:event:naru.offer.made:1",
        "partitionkey": "c1",
        "sequence": "0000000005",
        "data": {
            **{"contact": "c1", "agent": "mina", "offer": "o1", "attempt": 1, "shown_until": 1020.0},
            **msgspec.structs.asdict(FACTS),
        },
    }
    assert book.count["c1"] == 5


def test_an_agents_own_event_is_about_the_agent_and_has_no_sequence() -> None:
    made = one(events.PresenceChanged(agent="mina", presence="away", reason="lunch"))
    assert (made.subject, made.partitionkey, made.sequence) == ("mina", "mina", None)
    assert made.data == {"agent": "mina", "presence": "away", "reason": "lunch"}


def test_what_is_said_of_two_customers_is_about_the_one_and_names_both() -> None:
    made = one(events.CustomerMerged(customer="a", into="b", by="mina"))
    assert (made.type, made.subject, made.partitionkey, made.sequence) == ("naru.customer.merged", "a", "a", None)
    assert made.data == {"customer": "a", "into": "b", "by": "mina"}
    back = one(events.CustomerSplit(customer="a", by="key:shop"))
    assert (back.type, back.subject, back.data) == ("naru.customer.split", "a", {"customer": "a", "by": "key:shop"})


def test_a_receipt_is_about_the_contact_of_its_message() -> None:
    book = Book()
    book.contact_of["m1"] = "c1"
    assert one(events.ReceiptRecorded(message="m1", status="read", detail="by a@b.test"), book).subject == "c1"
    unknown = one(events.ReceiptRecorded(message="m2", status="read"), book)
    assert (unknown.subject, unknown.sequence) == ("m2", None)


@pytest.mark.parametrize("reason", ["Call +82 10 1234 5678", "kim@shop.test", "01012345678", "점심", "x" * 65, "A"])
def test_a_reason_that_is_no_code_stays_in_the_house(reason: str) -> None:
    made = one(events.PresenceChanged(agent="mina", presence="away", reason=reason))
    assert "reason" not in made.data


def test_a_contacts_opening_is_its_first_event_whatever_was_counted_before() -> None:
    book = Book()
    book.count["c1"], book.facts["c1"] = 17, FACTS
    opened = events.ContactOpened(
        contact="c1", conversation="v", direction="inbound", queue="care", enqueued_at=1.0, target_s=20.0
    )
    assert one(opened, book).sequence == "0000000001"


def test_a_contact_that_the_store_has_no_longer_is_told_without_a_number() -> None:
    made = one(events.SendEnded(key="m1", contact="erased", result="accepted", externals=("<id@mail.test>",)))
    assert (made.subject, made.sequence, made.data) == (
        "erased",
        None,
        {"contact": "erased", "key": "m1", "result": "accepted"},
    )


def test_binary_mode_has_the_attributes_as_headers_and_the_data_as_value() -> None:
    event = one(events.AgentCooled(agent="mina"))
    key, value, headers = cloudevents.binary(event)
    assert (key, json.loads(value)) == ("mina", {"agent": "mina"})
    found = dict(headers)
    assert found["content-type"] == b"application/json" and found["ce_specversion"] == b"1.0"
    assert found["ce_id"] == b"n.0.0" and found["ce_type"] == b"naru.agent.cooled"
    assert "ce_data" not in found and "ce_datacontenttype" not in found and "ce_sequence" not in found


def test_a_filter_is_a_type_or_its_beginning() -> None:
    assert cloudevents.wants((), "naru.offer.made")
    assert cloudevents.wants(("naru.contact", "naru.offer"), "naru.offer.made")
    assert cloudevents.wants(("naru.offer.made",), "naru.offer.made")
    assert not cloudevents.wants(("naru.off", "naru.offer.mad"), "naru.offer.made")


# -- whole stories


def test_the_same_journal_gives_the_same_events_byte_for_byte() -> None:
    records = busy_day().records()
    first, second = told_out(records), told_out(records)
    assert [cloudevents.encode(event) for event in first] == [cloudevents.encode(event) for event in second]
    assert len({event.id for event in first}) == len(first)


def test_each_contacts_sequence_has_no_gap_and_goes_on_after_its_end() -> None:
    numbers: dict[str, list[str]] = {}
    after_end = 0
    ended: set[str] = set()
    for event in told_out(busy_day().records()):
        if event.sequence is not None:
            numbers.setdefault(event.subject, []).append(event.sequence)
            after_end += event.subject in ended
        if event.type == "naru.contact.completed":
            ended.add(event.subject)
    assert len(numbers) == 4 and after_end > 0
    for found in numbers.values():
        assert found == [f"{number:010d}" for number in range(1, len(found) + 1)]


def test_no_event_holds_what_people_said_or_how_they_can_be_reached() -> None:
    told = busy_day()
    said = " ".join(cloudevents.encode(event).decode() for event in told_out(told.records()))
    journal = msgspec.json.encode(told.records()).decode()
    assert all(word in journal for word in ("Kim", "8210", "lives in Seoul", "secret-basket")), "nothing to leak"
    for word in PERSONAL:
        assert word not in said, word


def validators() -> dict[str, Any]:
    """A validator of the data of each type, from the document."""
    document = asyncapi.document()
    found = {}
    for message in document["components"]["messages"].values():
        if message["contentType"] == cloudevents.CONTENT_TYPE:
            schema = {**message["payload"], "components": document["components"]}
            found[message["name"]] = jsonschema_rs.validator_for(schema)
    return found


KNOWN = validators()


def test_every_event_is_as_the_document_says() -> None:
    seen = set()
    for event in told_out(busy_day().records()):
        seen.add(event.type)
        KNOWN[event.type].validate(json.loads(cloudevents.encode(event)))
    assert len(seen) >= 15, seen
    broken = json.loads(cloudevents.encode(one(events.AgentCooled(agent="mina"))))
    for name, value in (("id", 5), ("type", "naru.other"), ("data", {}), ("sequence", "x")):
        assert not KNOWN["naru.agent.cooled"].is_valid({**broken, name: value}), name


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_every_class_of_events_fits_the_document(kind: type[events.Event], data: st.DataObject) -> None:
    fields = {field.name: data.draw(st.from_type(field.type)) for field in msgspec.structs.fields(kind)}
    assume(all(math.isfinite(value) for value in fields.values() if isinstance(value, float)))
    event = one(kind(**fields))
    KNOWN[event.type].validate(json.loads(cloudevents.encode(event)))


def test_a_phone_calls_events_are_public_without_its_numbers() -> None:
    told = Told(center(agent("mina")), BEGINS)
    told.on("mina")
    identity = Identity(scope="t", kind="phone", value="+821087654321", name="Park")
    call = inputs.ReceiveCall(channel="voice", thread=Thread(external="CA-4321", kind="call"), identity=identity)
    told.tell(call)
    told.accepts("mina")
    said = " ".join(cloudevents.encode(event).decode() for event in told_out(told.records()))
    assert "naru.leg.joined" in said or "naru.offer.accepted" in said
    for word in ("87654321", "Park", "CA-4321", "+82mina"):
        assert word not in said, word
    assert WORKSPACE in said
