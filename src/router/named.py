"""Who is on which line: contacts by what their provider calls their calls and legs, and by the keys of legs on order.

What a switch tells of is a leg. Thousands of contacts may be open then, so it is looked up, never looked for.
"""

from collections.abc import Iterator

from router.memory import Contact, leg_key


class Names:
    """An index over contacts that a provider carries: a name belongs to one contact of its channel, the newest."""

    def __init__(self) -> None:
        self.contacts: dict[tuple[str, str], str] = {}
        """By channel and name."""
        self._names: dict[str, tuple[str, ...]] = {}

    def put(self, contact: Contact) -> None:
        """Index a contact as it now is."""
        names = tuple(names_of(contact))
        if names != self._names.get(contact.id, ()):
            self.drop(contact)
            for name in names:
                self.contacts[contact.channel, name] = contact.id
            self._names[contact.id] = names

    def drop(self, contact: Contact) -> None:
        for name in self._names.pop(contact.id, ()):
            if self.contacts.get((contact.channel, name)) == contact.id:
                del self.contacts[contact.channel, name]


def names_of(contact: Contact) -> Iterator[str]:
    """None once the talk is over, whatever the switch still tells. An offer's key is the offer's id, which is indexed as
    such (`Pool.offers`)."""
    if contact.kind != "voice" or contact.status == "wrapping":
        return
    if contact.call is not None:
        yield contact.call
    if contact.leg is not None:
        yield contact.leg
    is_dialled = contact.is_in_hand and contact.has_legs
    if is_dialled and contact.leg is None:
        yield leg_key(contact, "agent")
    if (is_dialled and contact.call is None) or (contact.status == "offered" and contact.callback is not None):
        yield leg_key(contact, "customer")
    for guest in contact.participants.values():
        yield from (name for name in (guest.leg, guest.key) if name is not None)
