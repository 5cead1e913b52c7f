"""Two customers are one person: it is noted and can be taken back, and nothing that waits, rings or is kept is touched."""

import msgspec

from router import events, inputs
from router.intake import customer_id
from router.model import Identity
from support.story import Story, agent, center


def test_what_is_said_of_two_customers_is_noted_as_it_was_said() -> None:
    story = Story(center(agent("mina")))
    one = story.tell(inputs.MergeCustomer(customer="a", into="b", by="mina"))
    assert one.answer.status == 200
    assert one.events == [events.CustomerMerged(customer="a", into="b", by="mina")]
    back = story.tell(inputs.SplitCustomer(customer="a", other="b", by="mina"))
    assert back.events == [events.CustomerSplit(customer="a", other="b", by="mina")]
    alone = story.tell(inputs.SplitCustomer(customer="a", by="key:shop"))
    assert alone.events == [events.CustomerSplit(customer="a", by="key:shop")]


def test_nobody_is_merged_into_himself_or_split_from_himself() -> None:
    story = Story(center(agent("mina")))
    for wish in (
        inputs.MergeCustomer(customer="a", into="a", by="mina"),
        inputs.SplitCustomer(customer="a", other="a", by="mina"),
    ):
        refused = story.tell(wish)
        assert (refused.answer.status, refused.answer.code, refused.events) == (422, "same-customer", [])


def test_a_person_by_another_channel_waits_and_is_offered_as_though_nothing_had_been_said() -> None:
    """The last agent is preferred within a conversation, and not across what colleagues have said."""
    with_merge, without = Story(center(agent("mina"), agent("jun"))), Story(center(agent("mina"), agent("jun")))
    courses = []
    for story in (with_merge, without):
        story.on("mina", "jun")
        first = story.arrives("kim", "chat")
        assert first.offer is not None
        last_agent = first.offer.agent
        story.tell(inputs.AcceptOffer(agent=last_agent, offer=first.offer.id))
        story.tell(inputs.CompleteContact(agent=last_agent, contact=first.id))
        if story is with_merge:
            ids = [customer_id(Identity(scope="t", kind="external", value=name)) for name in ("kim", "kim@mail")]
            before = msgspec.json.encode(story.pool.memory)
            assert story.tell(inputs.MergeCustomer(customer=ids[0], into=ids[1], by="mina")).answer.status == 200
            assert msgspec.json.encode(story.pool.memory) == before
        else:
            story.tell(inputs.Tick())
        second = story.arrives("kim@mail", "email")
        assert second.offer is not None
        assert second.prefers == () and second.offer.agent != last_agent
        courses.append(second.offer.agent)
    assert courses[0] == courses[1]
