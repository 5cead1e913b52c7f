"""What a customer's edge tells besides messages: a session that has ended, an edit that brings its picture again."""

from router import inputs
from router.effects import CopyFiles
from router.engine import decide
from router.model import Content, Elsewhere, Identity, ReplyPolicy, Text, Thread
from support.story import Story, agent, center

OVER = ReplyPolicy(allowed=False, reason="session-over")


def test_once_a_session_is_over_nothing_can_be_answered_until_the_customer_comes_back() -> None:
    story = Story(center(agent("mina")))
    story.on("mina")
    ann = story.arrives("ann", "social")
    story.accepts("mina")
    story.tell(inputs.EndSession(channel="social", thread=Thread(external="ann"), policy=OVER))
    story.tell(inputs.CompleteContact(agent="mina", contact=ann.id))
    who = Identity(scope="t", kind="external", value="ann")
    own = inputs.StartContact(agent="mina", channel="social", thread=Thread(external="ann"), identity=who)
    begun = story.tell(own).answer.contact or ""
    refused = story.tell(inputs.SendMessage(agent="mina", contact=begun), "one more thing").answer
    assert (refused.status, refused.code) == (409, "session-over")
    assert story.pool.conversations[ann.conversation].policy == OVER
    story.arrives("ann", "social", policy=ReplyPolicy(until=story.now + 60))
    policy = story.pool.conversations[ann.conversation].policy
    assert policy is not None and policy.allowed


def test_a_session_that_ends_without_a_word_of_that_leaves_what_may_be_answered() -> None:
    story = Story(center(agent("mina")))
    ann = story.arrives("ann", "social", policy=ReplyPolicy(max_length=10))
    story.tell(inputs.EndSession(channel="social", thread=Thread(external="ann")))
    assert story.pool.conversations[ann.conversation].policy == ReplyPolicy(max_length=10)


def test_the_picture_of_an_edited_message_is_fetched_again_since_the_edit_names_it_at_the_provider() -> None:
    story = Story(center(agent("mina")))
    ann = story.arrives("ann", "social")
    [key, message] = next(iter(story.pool.conversations[ann.conversation].keys.items()))
    for change, content, copied in (
        ("edited", Content(parts=(Text(text="this one"), Elsewhere(ref="r", name="photo"))), [message]),
        ("edited", Content(parts=(Text(text="no, that one"),)), []),
        ("deleted", Content(), []),
    ):
        wish = inputs.ReviseMessage(channel="social", thread=Thread(external="ann"), change=change, dedupe_key=key)  # type: ignore[arg-type]
        decision = decide(story.pool, wish, story.now, f"edit-{change}-{len(copied)}", None, content)
        assert [effect.message for effect in decision.effects if isinstance(effect, CopyFiles)] == copied
