"""Which customers look at their chat: those with a page open, at this gateway or at another.

Each gateway tells the others of its pages. What is told may be lost: then a customer who waits is given more time, or a
device is told of a message that has been seen.
"""

from collections.abc import Callable, Iterable, Mapping

LEFT_S = 60.0
"""How long a waiting customer may be without a page, at any gateway, before the contact counts as abandoned."""
SAY_S = 15.0
"""How often a gateway tells the others of all its pages; those that come and go it tells at once."""
BELIEVED_S = 3 * SAY_S
"""How long what another gateway said of its pages is believed."""


class Looking:
    """`minds(conversation)`: whether we are the gateway that ends it when its customer has left, and that tells devices;
    `tell(conversations, are_open)` says to all gateways whose pages are open here, or none any more."""

    def __init__(
        self,
        clock: Callable[[], float],
        minds: Callable[[str], bool] = lambda conversation: True,
        tell: Callable[[list[str], bool], None] = lambda conversations, are_open: None,
    ) -> None:
        self.minds = minds
        self._clock = clock
        self._tell = tell
        self._waiting: dict[str, float] = {}  # those who wait: when a page of theirs was last known to be open
        self._elsewhere: dict[str, float] = {}  # those with a page at another gateway: when it last said so
        self._said: dict[str, None] = {}
        self._said_at = 0.0

    def told(self, conversations: Iterable[str], are_open: bool = True) -> None:
        """What a gateway says, we too: of those that we said ourselves we know more."""
        now = self._clock()
        for conversation in conversations:
            if not are_open:
                self._elsewhere.pop(conversation, None)
                continue
            if conversation not in self._said:
                self._elsewhere[conversation] = now
            if conversation in self._waiting:
                self._waiting[conversation] = now

    def elsewhere(self, conversation: str) -> bool:
        """Whether another gateway has a page of theirs."""
        return self._clock() - self._elsewhere.get(conversation, -BELIEVED_S) < BELIEVED_S

    def left(self, waiting: Iterable[str], pages: Mapping[str, bool]) -> list[str]:
        """Of those who wait, those who have left, as far as we mind. Once a second.

        `pages` are open here, and whether they answer. Whoever is not known yet (we have just begun, or the contact is
        new) is given the whole time to come.
        """
        now = self._clock()
        self._waiting = {c: now if c in pages else self._waiting.get(c, now) for c in waiting}
        self._say(now, {c: None for c, is_awake in pages.items() if is_awake or c in self._waiting})
        return [c for c, seen_at in self._waiting.items() if now - seen_at > LEFT_S and self.minds(c)]

    def _say(self, now: float, here: dict[str, None]) -> None:
        is_due = now - self._said_at >= SAY_S
        come = [conversation for conversation in here if is_due or conversation not in self._said]
        gone = [conversation for conversation in self._said if conversation not in here]
        self._said = here
        if is_due:
            self._said_at = now
            self._elsewhere = {c: at for c, at in self._elsewhere.items() if now - at < BELIEVED_S}
        for conversations, are_open in ((come, True), (gone, False)):
            if conversations:
                self._tell(conversations, are_open)
