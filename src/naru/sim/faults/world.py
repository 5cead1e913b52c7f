"""Everybody around one pool: customers, providers, agents, workers and the house, sensible and otherwise.

The world asks and reports as the edges do and learns only from what is decided. Its inputs come late, twice and out of
order; its agents lose their connection, never answer, or accept what is somebody else's; its phones fail. What it does
next depends on the seed and on what happened, so that a seed is a story.
"""

import heapq
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from naru.sim.faults import centers
from naru.sim.faults.campaign import Campaign
from naru.sim.faults.dice import Dice
from router import effects, events, inputs
from router.config import Config
from router.engine import Decision
from router.memory import REMEMBER_S, Contact
from router.model import Content, Identity, Kind, Manner, ReplyPolicy, SendStatus, Text, Thread
from router.state import Pool

CUSTOMERS = tuple(f"c{number}" for number in range(9))
GATEWAYS = ("g", "h")
WORKERS = ("w:1", "w:2")
MANNERS: tuple[Manner, ...] = ("listen", "whisper", "barge")
WORDS = ("hello", "a refund please", "still there?")
SAME_MESSAGE_S = 20 * 3600.0
"""A provider tells a message again at the latest after this; what comes later is looked up in the store first."""
INPUTS: tuple[type[inputs.Input], ...] = typing.get_args(inputs.AnyInput)


@dataclass(frozen=True)
class Told:
    """An input as it comes in. `at` is when the edge took it in, None: just now."""

    id: str
    wish: inputs.Input
    at: float | None = None
    content: Content | None = None


@dataclass
class Leg:
    key: str
    channel: str
    side: str
    answered: bool = False
    gone: bool = False


class World:
    def __init__(self, seed: int, pool: Pool) -> None:
        self.dice = Dice(seed, "world")
        self.dials = seed % 3 == 0
        self.pool = pool
        self.t = self.dice.pick(centers.STARTS) + self.dice.seconds(0, 2 * 86400)
        self.config: Config = Config()
        self.legs: dict[str, Leg] = {}
        self.heard: dict[str, tuple[str, str]] = {}
        self.calls: dict[str, tuple[str, Thread]] = {}
        self.found: dict[str, inputs.Reserved] = {}
        """By attempt, the person for whom the dialler has given leave."""
        self._late: list[tuple[float, int, float, Told]] = []
        self._count = 0
        self._offers: list[str] = []
        self._over: list[str] = []
        self._acts: tuple[tuple[float, Callable[[], inputs.Input | None]], ...] = (
            (13, self._writes),
            (6, self._writes_again),
            (8, self._calls),
            (4, self._hangs_up),
            (2, self._leaves_line),
            (1, self._orders_callback),
            (1, self._links),
            (4, self._closes),
            (12, self._comes),
            (3, self._goes),
            (3, self._changes_presence),
            (30, self._answers_offer),
            (26, self._works),
            (4, self._begins_own),
            (3, self._supervises),
            (20, self._monitors),
            (3, self._campaigns),
            (5, self._sets_campaign),
            (6, self._wakes_campaign),
            (2, self._hangs_up_before_an_agent),
            (2, self._receipt),
            (1, self._revises),
            (0.5, self._gateway),
            (1, self._tick),
            (1, self._configures),
            (8, self._nonsense),
        )
        if self.dials:
            mostly = (self._sets_campaign, self._wakes_campaign, self._comes, self._hangs_up_before_an_agent)
            self._acts = tuple((weight if act in mostly else weight / 4, act) for weight, act in self._acts)
            self._acts += ((25, self._is_done),)

    # -- what comes next

    def passes(self) -> tuple[float, bool]:
        """How much time passes before the next input, and whether anybody is awake meanwhile."""
        dice = self.dice
        spans = ((0, 0), (0.001, 1), (1, 10), (10, 70), (70, 900), (900, 30_000), (86_400, 800_000))
        least, most = spans[dice.weighted((25, 27, 35, 10.5, 1.7, 0.5, 0.3))]
        if self.comes_first(self.t + most):
            return round(max(0.0, self._late[0][0] - self.t), 3), True
        return dice.seconds(least, most), not dice.chance(0.15 if most <= 900 else 0.5 if most <= 30_000 else 1)

    def comes_first(self, until: float) -> bool:
        """A campaign counts in seconds: most of what is on its way to one comes before anything else does."""
        dials = any(state.asked or state.lines or state.reaching for state in self.pool.memory.campaigns.values())
        return (
            dials and bool(self._late) and self._late[0][0] <= until and self.dice.chance(0.95 if self.dials else 0.8)
        )

    def next(self) -> Told:
        """The next input: one that is late, or what somebody does now."""
        told = self._due()
        for _ in range(20):
            if told is not None:
                return told
            wish = self._acts[self.dice.weighted([weight for weight, _ in self._acts])][1]()
            if wish is not None:
                told = self._on_its_way(self._told(wish))
        return told or self._told(inputs.Tick())

    def _told(self, wish: inputs.Input) -> Told:
        self._count += 1
        at = self.t - self.dice.pick((0, 0, 5, 400_000)) if self.dice.chance(0.2) else None
        content = None
        if isinstance(wish, (inputs.ReceiveMessage, inputs.SendMessage, inputs.StartContact)):
            content = Content(parts=(Text(text=self.dice.pick(WORDS)),))
        return Told(f"i{self._count}", wish, at, content)

    def _on_its_way(self, told: Told) -> Told | None:
        """Now, or late; once, or twice: by the same id, or as a provider does, under a new id by the same key."""
        dice = self.dice
        if dice.chance(0.1):
            again = told
            if isinstance(told.wish, inputs.ReceiveMessage) and dice.chance(0.5):
                self._count += 1
                again = Told(f"i{self._count}", told.wish, told.at, told.content)
            self.later(again, dice.seconds(0, 30))
        if dice.chance(0.07):
            self.later(told, dice.seconds(0, 12))
            return None
        return told

    def later(self, told: Told, seconds: float) -> None:
        self._count += 1
        heapq.heappush(self._late, (self.t + seconds, self._count, self.t, told))

    def _due(self) -> Told | None:
        while self._late and self._late[0][0] <= self.t:
            _, _, since, told = heapq.heappop(self._late)
            bound = SAME_MESSAGE_S if isinstance(told.wish, inputs.ReceiveMessage) else REMEMBER_S
            if self.t - since < bound:
                return told
        return None

    def all_late(self) -> list[Told]:
        """What is still on its way, all of it."""
        told = [entry[3] for entry in sorted(self._late, key=lambda entry: entry[:2]) if self.t - entry[2] < REMEMBER_S]
        self._late.clear()
        return told

    # -- what has been decided

    def hears(self, wish: inputs.Input | None, decision: Decision) -> None:
        for event in decision.events:
            if isinstance(event, events.OfferMade):
                self._offers.append(event.offer)
            elif isinstance(event, events.ContactCompleted):
                self._over.append(event.contact)
            elif isinstance(event, events.SendClaimed):
                self._does(event.key)
        for effect in decision.effects:
            self._told_to(effect)
        refused = decision.answer.status >= 400
        if isinstance(wish, inputs.AnswerLeg) and wish.leg in self.legs:
            self.legs[wish.leg].answered = not refused
            if refused:
                self._leg_ends(wish.leg, "completed")

    def _told_to(self, effect: effects.Effect) -> None:
        dice = self.dice
        match effect:
            case effects.Deliver() | effects.RingLeg():
                for worker in WORKERS[: 2 if dice.chance(0.15) else 1]:
                    if not dice.chance(0.08):
                        self._soon(inputs.ClaimSend(key=effect.key, worker=worker), dice.pick((0.5, 0.5, 3)))
            case effects.ReserveAttempt():
                self._reserves(effect)
            case effects.CancelLeg():
                self._leg_ends(effect.leg, "canceled")
            case effects.SetManner():
                self.heard[effect.leg] = effect.manner, effect.owner_leg
            case effects.EndCaller():
                if effect.call in self.calls and dice.chance(0.9):
                    channel, thread = self.calls.pop(effect.call)
                    self._soon(inputs.EndCall(channel=channel, thread=thread), 3)
                elif dice.chance(0.9):
                    self._leg_ends(effect.call, "completed")

    def _does(self, key: str) -> None:
        """A worker does what it has claimed, and says so, or dies before it can."""
        dice = self.dice
        send = self.pool.memory.sends.get(key)
        if send is None or dice.chance(0.05):
            return
        if not isinstance(send.effect, effects.RingLeg):
            result = dice.pick(("accepted", "accepted", "accepted", "rejected", "uncertain"))
            self._soon(inputs.EndSend(key=key, result=result, externals=(f"x-{key}",)), 4)  # type: ignore[arg-type]
            return
        result = dice.pick(("accepted",) * 8 + ("rejected", "uncertain"))
        leg = f"leg-{len(self.legs)}"
        if result == "accepted" or dice.chance(0.5):
            self.legs[leg] = Leg(key, send.effect.channel, send.effect.side)
            self._rings(leg)
        externals = (leg,) if result == "accepted" else ()
        self._soon(inputs.EndSend(key=key, result=result, externals=externals), 4)  # type: ignore[arg-type]

    def _rings(self, leg: str) -> None:
        dice, known = self.dice, self.legs[leg]
        fate = dice.weighted((90, 3, 3, 2, 2) if self.dials else (60, 8, 10, 7, 15))
        if fate == 0:
            answered = (None, *("human", "unknown") * 4, "machine", "fax")
            by = dice.pick(answered) if known.side in effects.CUSTOMERS else None
            wish = inputs.AnswerLeg(channel=known.channel, key=known.key, leg=leg, answered_by=by)  # type: ignore[arg-type]
            self._soon(wish, dice.pick((0.8, 0.8, 8) if self.dials else (1.5, 8)))
        elif fate < 4:
            cause = ("", "busy", "no_answer", "failed")[fate]
            self._soon(inputs.EndLeg(channel=known.channel, key=known.key, leg=leg, cause=cause), 20)  # type: ignore[arg-type]
            known.gone = True

    def _leg_ends(self, leg: str, cause: str) -> None:
        known = self.legs.get(leg)
        if known is not None and not known.gone:
            known.gone = True
            self._soon(inputs.EndLeg(channel=known.channel, key=known.key, leg=leg, cause=cause), 3)  # type: ignore[arg-type]

    def _soon(self, wish: inputs.Input, most_s: float) -> None:
        told = self._told(wish)
        for _ in range(2 if self.dice.chance(0.1) else 1):
            self.later(told, self.dice.seconds(0, most_s))

    # -- the dialler

    def _reserves(self, effect: effects.ReserveAttempt) -> None:
        """Somebody, or nobody; soon, late, twice, or never. One key has one person, however often it is asked."""
        dice = self.dice
        fate = dice.weighted((88, 8, 4))
        if fate == 2:
            return
        reserved = self._person(effect) if fate == 0 else None
        again_at = dice.pick((None, self.t - 5, self.t + 3, self.t + 60)) if reserved is None else None
        wish = inputs.EndReserve(
            campaign=effect.campaign, key=effect.key, reserved=reserved, reason="nobody", again_at=again_at
        )
        for _ in range(2 if dice.chance(0.1) else 1):
            self._soon(wish, dice.pick((0.5, 0.5, 0.5, 2, 8)))

    def _person(self, effect: effects.ReserveAttempt) -> inputs.Reserved:
        dice = self.dice
        if effect.key not in self.found:
            kinds = {channel.id: channel.kind for channel in self.config.channels}
            call = Thread(external=f"attempt:{effect.key}", kind="call")
            who = Thread(external=dice.pick((*CUSTOMERS, effect.key)))
            self.found[effect.key] = inputs.Reserved(
                person=effect.person or f"person-{len(self.found)}",
                identity=self._identity(effect.key),
                thread=call if kinds.get(effect.channel) == "voice" else who,
                language=dice.pick((None, *centers.LANGUAGES)),
            )
        return self.found[effect.key]

    def _sets_campaign(self) -> inputs.Input | None:
        one = self._one(list(self.config.campaigns))
        if one is None:
            return None
        return inputs.SetCampaign(campaign=one.id, running=self.dice.chance(0.85), by=self._agent())

    def _wakes_campaign(self) -> inputs.Input | None:
        one = self._one(list(self.config.campaigns))
        return None if one is None else inputs.WakeCampaign(campaign=one.id)

    def _is_done(self) -> inputs.Input | None:
        """An agent with what he has in hand: the next line can ring."""
        contact = self._one([contact for contact in self.pool.contacts.values() if contact.agent is not None])
        return None if contact is None else inputs.CompleteContact(agent=contact.agent, contact=contact.id)

    def _hangs_up_before_an_agent(self) -> inputs.Input | None:
        """Somebody who was called and has answered, and waits for an agent."""
        contact = self._one([c for c in self.pool.contacts.values() if c.reach_by is not None])
        known = self.legs.get(contact.call or "") if contact is not None else None
        if contact is None or known is None or known.gone:
            return None
        known.gone = True
        return inputs.EndLeg(channel=known.channel, key=known.key, leg=contact.call or "", cause="completed")

    # -- customers and their providers

    def _channel(self, *kinds: Kind) -> str:
        found = [channel.id for channel in self.config.channels if not kinds or channel.kind in kinds]
        return self.dice.pick(found) if found else "chat-shop"

    def _identity(self, who: str) -> Identity:
        return Identity(scope="t", kind="external", value=who)

    def _message(self, channel: str, thread: Thread, who: str) -> inputs.Input:
        dice = self.dice
        self._count += 1
        return inputs.ReceiveMessage(
            channel=channel,
            thread=thread,
            identity=self._identity(who),
            dedupe_key=f"m{self._count}",
            language=dice.pick((None, *centers.LANGUAGES)),
            attributes={"vip": "yes"} if dice.chance(0.1) else {},
            policy=self._policy() if dice.chance(0.15) else None,
            author="external_console" if dice.chance(0.03) else "customer",
            answer_by=self.t + 60.0 * (self._count % 40 - 5) if self._count % 7 == 0 else None,
        )

    def _policy(self) -> ReplyPolicy:
        return self.dice.pick(
            (
                ReplyPolicy(until=self.pool.t + 600),
                ReplyPolicy(style="one_shot"),
                ReplyPolicy(allowed=False, reason="elsewhere"),
                ReplyPolicy(),
            )
        )

    def _writes(self) -> inputs.Input | None:
        kinds: tuple[Kind, ...] = ("chat", "chat", "sms", "email", "social", "task", "voice")
        who = self.dice.pick(CUSTOMERS)
        return self._message(self._channel(self.dice.pick(kinds)), Thread(external=who), who)

    def _writes_again(self) -> inputs.Input | None:
        """In a talk that is going on, mostly one that is parked: so it is taken up again, or goes back to the line."""
        talks = [c for c in self.pool.contacts.values() if not c.has_legs]
        parked = [contact for contact in talks if contact.status == "parked"]
        contact = self._one(parked if parked and self.dice.chance(0.6) else talks)
        if contact is None:
            return None
        known = self.pool.conversations[contact.conversation]
        return self._message(known.channel, known.thread, known.identity.value)

    def _calls(self) -> inputs.Input | None:
        dice = self.dice
        call = Thread(external=f"call-{self._count}", kind="call")
        channel = self._channel("voice")
        self.calls[call.external] = (channel, call)
        who = self._identity(dice.pick(CUSTOMERS))
        language = dice.pick((None, *centers.LANGUAGES))
        return inputs.ReceiveCall(channel=channel, thread=call, identity=who, language=language)

    def _hangs_up(self) -> inputs.Input | None:
        if not self.calls:
            return None
        call = self.dice.pick(list(self.calls))
        channel, thread = self.calls[call]
        if self.dice.chance(0.9):
            del self.calls[call]
        return inputs.EndCall(channel=channel, thread=thread)

    def _leaves_line(self) -> inputs.Input | None:
        """A caller presses a key: mostly with a number that can be rung."""
        waiting = [c for c in self.pool.contacts.values() if c.status == "queued" and c.call is not None]
        contact = self._one(waiting)
        if contact is None:
            return None
        to = "voicemail" if self.dice.chance(0.2) else "callback"
        number = None if self.dice.chance(0.1) else self._number()
        return inputs.LeaveLine(channel=contact.channel, call=contact.call or "", to=to, number=number)  # type: ignore[arg-type]

    def _orders_callback(self) -> inputs.Input | None:
        dice = self.dice
        at = self.t + dice.pick((-60.0, 5.0, 300.0, 7_200.0)) if dice.chance(0.6) else None
        identity = Identity(scope="e164", kind="phone", value=self._number())
        prefers = self._agent() if dice.chance(0.2) else None
        return inputs.OrderCallback(channel=self._channel("voice"), identity=identity, at=at, prefers=prefers)

    def _number(self) -> str:
        return f"+82105550{self.dice.count(100, 109)}"

    def _links(self) -> inputs.Input | None:
        """A colleague says of two customers that they are one person, or not; of one and the same, too."""
        known = [conversation.customer for conversation in self.pool.conversations.values()]
        if not known:
            return None
        one, other, by = self.dice.pick(known), self.dice.pick(known), self._agent()
        if self.dice.chance(0.6):
            return inputs.MergeCustomer(customer=one, into=other, by=by)
        return inputs.SplitCustomer(customer=one, other=self.dice.pick((None, other)), by=by)

    def _closes(self) -> inputs.Input | None:
        known = self._one([c for c in self.pool.conversations.values() if c.contact is not None])
        return None if known is None else inputs.EndSession(channel=known.channel, thread=known.thread)

    def _receipt(self) -> inputs.Input | None:
        """By our name of a message, by the provider's (known already or not), or of all up to now."""
        dice = self.dice
        status = dice.pick(typing.get_args(SendStatus))
        by = dice.weighted((5, 3, 1, 1))
        if by == 0:
            return inputs.ReceiveReceipt(message=f"i{dice.count(1, self._count + 1)}", status=status)
        known = self._one(list(self.pool.conversations.values()))
        if by < 3 or known is None:
            awaited = self._one(list(self.pool.memory.sends) or list(self.pool.memory.externals.values()))
            external = f"x-{awaited}" if by == 1 else f"x-{self._count}"
            return inputs.ReceiveReceipt(channel=self._channel(), external=external, status=status)
        return inputs.ReceiveReceipt(channel=known.channel, thread=known.thread, up_to=self.pool.t, status="read")

    def _revises(self) -> inputs.Input | None:
        known = self._one([c for c in self.pool.conversations.values() if c.keys])
        if known is None:
            return None
        change = self.dice.pick(("edited", "deleted"))
        key = self.dice.pick(list(known.keys))
        return inputs.ReviseMessage(channel=known.channel, thread=known.thread, change=change, dedupe_key=key)  # type: ignore[arg-type]

    # -- agents

    def _one(self, among: list[Any]) -> Any:
        return self.dice.pick(among) if among else None

    def _agent(self) -> str:
        return self.dice.pick(self.config.agents).id

    def _comes(self) -> inputs.Input | None:
        dice = self.dice
        if dice.chance(0.5):
            away = [a.id for a in self.config.agents if not self._connections(a.id)]
            agent = self._one(away) if away and dice.chance(0.8) else self._agent()
            return inputs.Connect(agent=agent, connection=f"{dice.pick(GATEWAYS)}:1:{agent}")
        idle = [a.id for a in self.config.agents if self._connections(a.id) and self._presence(a.id) != "available"]
        return inputs.SetPresence(agent=self._one(idle), presence="available") if idle else None

    def _connections(self, agent: str) -> list[str]:
        known = self.pool.agents.get(agent)
        return known.connections if known else []

    def _presence(self, agent: str) -> str:
        known = self.pool.agents.get(agent)
        return known.presence if known else "offline"

    def _goes(self) -> inputs.Input | None:
        there = [agent for agent in self.pool.agents.values() if agent.connections]
        asked = [a for a in there if any(c.offer is not None for c in self.pool.assigned(a))]
        known = self._one(asked if asked and self.dice.chance(0.5) else there)
        return inputs.Disconnect(agent=known.id, connection=self.dice.pick(known.connections)) if known else None

    def _changes_presence(self) -> inputs.Input | None:
        dice = self.dice
        presence = dice.pick(("available", "away", "away", "offline", "draining"))
        reason = dice.pick((None, "lunch")) if presence == "away" else None
        when, by = dice.pick(("now", "now", "after")), dice.pick((None, None, self._agent()))
        return inputs.SetPresence(agent=self._agent(), presence=presence, reason=reason, when=when, by=by)  # type: ignore[arg-type]

    def _answers_offer(self) -> inputs.Input | None:
        dice = self.dice
        contact = self._one([contact for contact in self.pool.contacts.values() if contact.offer is not None])
        if contact is None:
            return None
        offer = contact.offer
        if dice.chance(0.2):
            return inputs.DeclineOffer(agent=offer.agent, offer=offer.id, reason=dice.pick((None, "busy")))
        if dice.chance(0.15):
            return None  # lets it ring
        if contact.has_legs and self.pool.queue(contact).leg == "ring" and dice.chance(0.8):
            return None  # answers by phone
        return inputs.AcceptOffer(agent=offer.agent, offer=offer.id)

    def _works(self) -> inputs.Input | None:
        dice = self.dice
        held = [contact for contact in self.pool.contacts.values() if contact.agent is not None]
        company = [contact for contact in held if contact.participants]
        contact = self._one(company if company and dice.chance(0.3) else held)
        if contact is None:
            return None
        mine = {"agent": contact.agent, "contact": contact.id}
        there = [agent.id for agent in self.pool.agents.values() if agent.connections and agent.id != contact.agent]
        other = (
            self._one(list(contact.participants) if dice.chance(0.6) else there) or self._one(there) or self._agent()
        )
        wishes: tuple[tuple[float, Callable[[], inputs.Input]], ...] = (
            (6, lambda: inputs.SendMessage(**mine, private=dice.chance(0.15))),
            (4, lambda: inputs.HoldContact(**mine)),
            (5, lambda: inputs.ResumeContact(**mine)),
            (5, lambda: inputs.ParkContact(**mine)),
            (4, lambda: inputs.TransferContact(**mine, queue=dice.pick(self.config.queues).id)),
            (4, lambda: inputs.TransferContact(**mine, to_agent=other)),
            (6, lambda: inputs.WrapUpContact(**mine)),
            (2, lambda: inputs.ExtendWrapUp(**mine, seconds=dice.seconds(-5, 90))),
            (7, lambda: inputs.CompleteContact(**mine, disposition=dice.pick((None, "sold")))),
            (4, lambda: inputs.ConsultAgent(**mine, to_agent=other)),
            (3, lambda: inputs.ConferenceContact(**mine)),
            (3, lambda: inputs.LeaveContact(agent=other, contact=contact.id, by=dice.pick((None, contact.agent)))),
            (3, lambda: self._hangs_up_leg(contact)),
        )
        return wishes[dice.weighted([weight for weight, _ in wishes])][1]()

    def _hangs_up_leg(self, contact: Contact) -> inputs.Input:
        leg = self._one([leg for leg in (contact.leg, contact.call) if leg in self.legs])
        if leg is None:
            return inputs.WrapUpContact(agent=contact.agent or "", contact=contact.id)
        known = self.legs[leg]
        known.gone = True
        return inputs.EndLeg(channel=known.channel, key=known.key, leg=leg, cause="completed")

    def _begins_own(self) -> inputs.Input | None:
        dice = self.dice
        channel = self._channel("voice", "email", "sms", "task")
        who = dice.pick(CUSTOMERS)
        own = dice.chance(0.6)
        thread = Thread(external=f"own-{self._count}" if own else who)
        there = [agent.id for agent in self.pool.agents.values() if agent.connections]
        queue = dice.pick((None, dice.pick(self.config.queues).id))
        agent = self._one(there) or self._agent()
        return inputs.StartContact(
            agent=agent, channel=channel, thread=thread, identity=self._identity(who), queue=queue
        )

    def _campaigns(self) -> inputs.Input | None:
        thread = Thread(external=f"out-{self._count}")
        queue = self.dice.pick(self.config.queues).id
        return Campaign(channel=self._channel("email", "sms", "task", "social"), thread=thread, queue=queue)

    def _supervises(self) -> inputs.Input | None:
        dice, contact = self.dice, self._one(list(self.pool.contacts.values()))
        if contact is None:
            return None
        by, queue = self._agent(), dice.pick(self.config.queues).id
        return dice.pick(
            (
                inputs.MoveContact(contact=contact.id, queue=queue, by=by),
                inputs.ReprioritiseContact(contact=contact.id, by=by, tier=dice.pick((None, 1, 9)), head_start_s=60.0),
                inputs.TakeOver(agent=by, contact=contact.id),
                inputs.MonitorContact(agent=by, contact=contact.id, manner=dice.pick(MANNERS)),
                inputs.CancelCallback(contact=contact.id, by=by),
            )
        )

    def _monitors(self) -> inputs.Input | None:
        """In a call that is going on, mostly one that is monitored, by whoever does: so that manners change."""
        dice = self.dice
        talks = [c for c in self.pool.contacts.values() if c.status in ("active", "held") and c.leg is not None]
        guests = [(c, agent) for c in talks for agent, guest in c.participants.items() if guest.role == "monitoring"]
        there = [agent.id for agent in self.pool.agents.values() if agent.connections and not agent.contacts]
        if not talks or not there:
            return None
        contact, agent = dice.pick(guests) if guests and dice.chance(0.7) else (dice.pick(talks), dice.pick(there))
        return inputs.MonitorContact(agent=agent, contact=contact.id, manner=dice.pick(MANNERS))

    # -- the house

    def _gateway(self) -> inputs.Input | None:
        return inputs.StartGateway(gateway=self.dice.pick(GATEWAYS))

    def _tick(self) -> inputs.Input | None:
        return inputs.Tick()

    def first_config(self) -> inputs.Input:
        return self.new_config(centers.draw(self.dice, None, self.dials))

    def opens(self) -> list[Told]:
        """The shift begins: most are there."""
        there = [agent.id for agent in self.config.agents if self.dials or self.dice.chance(0.7)]
        begun: list[inputs.Input] = [inputs.Connect(agent=agent, connection=f"g:1:{agent}") for agent in there]
        begun += [inputs.SetPresence(agent=agent, presence="available") for agent in there]
        running = [campaign.id for campaign in self.config.campaigns if self.dice.chance(0.7)]
        begun += [inputs.SetCampaign(campaign=id_, running=True, by="sue") for id_ in running]
        return [self._told(wish) for wish in begun]

    def _configures(self) -> inputs.Input | None:
        return self.new_config(centers.draw(self.dice, self.config, self.dials))

    def new_config(self, config: Config) -> inputs.Input:
        return inputs.ApplyConfig(version=self.pool.memory.version + 1, config=config, holidays=centers.HOLIDAYS)

    def configured(self) -> None:
        """The configuration in force is what people go by."""
        self.config = self.pool.memory.config

    # -- nonsense

    def _nonsense(self) -> inputs.Input | None:
        """An input of any type whose every field is something that there is, was, or never was."""
        kind = self.dice.pick(INPUTS)
        if kind is inputs.ApplyConfig:
            known = dict(centers.HOLIDAYS) if self.dice.chance(0.5) else {}
            version = self.pool.memory.version + self.dice.count(-1, 1)
            wish = inputs.ApplyConfig(version=version, config=self.config, holidays=known)
            return wish if version <= self.pool.memory.version or not known else None
        hints = typing.get_type_hints(kind)
        fields = {}
        for field in msgspec.structs.fields(kind):
            if field.required or self.dice.chance(0.4):
                value = self._anything(kind, field.name, hints[field.name])
                if value is not ...:
                    fields[field.name] = value
        return kind(**fields)

    def _anything(self, kind: type[inputs.Input], name: str, hint: Any) -> Any:
        dice = self.dice
        literals = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
        if literals:
            return dice.pick(literals)
        if name == "channel" and kind is inputs.ReceiveCall:
            return dice.pick((self._channel("voice"), "nowhere"))
        sources: dict[str, Callable[[], Any]] = {
            "agent": self._some_agent, "to_agent": self._some_agent, "by": self._some_agent,
            "contact": lambda: dice.pick((*self.pool.contacts, *self._over[-5:], "nothing")),
            "offer": lambda: dice.pick((*self.pool.offers, *self._offers[-5:], "nothing")),
            "key": lambda: dice.pick((*self.pool.offers, *self._offers[-3:], *self.pool.memory.sends, *self._attempts())),
            "campaign": lambda: dice.pick((*centers.CAMPAIGNS, "nothing")),
            "leg": lambda: dice.pick((*list(self.legs)[-5:], "nothing")),
            "queue": lambda: dice.pick((*(queue.id for queue in self.config.queues), "nowhere")),
            "channel": lambda: dice.pick((self._channel(), "nowhere")),
            "thread": self._some_thread,
            "identity": lambda: self._identity(dice.pick(CUSTOMERS)),
            "connection": lambda: f"{dice.pick((*GATEWAYS, 'z'))}:1:{self._some_agent()}",
            "gateway": lambda: "nobody",
            "worker": lambda: dice.pick((*WORKERS, "w:9")),
            "message": lambda: "nothing",
            "dedupe_key": lambda: f"m{dice.count(0, self._count + 1)}",
            "seconds": lambda: dice.seconds(-10, 5000),
            "tier": lambda: dice.count(1, 9),
            "head_start_s": lambda: float(dice.pick((0, 1000))),
            "result": lambda: dice.pick(("accepted", "rejected", "uncertain")),
            "externals": lambda: dice.pick(((), tuple(list(self.legs)[-1:]), ("other",))),
        }  # fmt: skip
        if name in sources:
            return sources[name]()
        if hint is str:
            return "nothing"
        if hint is bool:
            return dice.chance(0.5)
        return None if typing.get_origin(hint) in (types.UnionType, typing.Union) else ...

    def _attempts(self) -> list[str]:
        """Asked for, or rung, or over."""
        asked = [key for state in self.pool.memory.campaigns.values() for key in (*state.asked, *state.lines)]
        return [*asked, *list(self.found)[-2:], "nothing"]

    def _some_agent(self) -> str:
        return self.dice.pick((*centers.AGENTS, "nobody"))

    def _some_thread(self) -> Thread:
        known = [conversation.thread for conversation in self.pool.conversations.values()]
        return self.dice.pick((*known[-8:], Thread(external="nobody")))
