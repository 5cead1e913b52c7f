"""What ops see: Prometheus metrics and structured logs. Label values are bounded, secrets and what people say stay out."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from naru import __version__
from naru.bus.base import LogUnavailable
from naru.fold import Applied, Fold
from router import events

MAX_QUEUES = 500
MAX_NUMBERS = 200
"""Called numbers that are told apart, those with the most who wait; the rest are `other`."""
HIDDEN = ("password", "token", "secret", "authorization", "cookie", "text", "content", "body", "email", "phone", "key")
WAITS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600, 14400, 86400)
FAST = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1)
OFFER_OUTCOMES: dict[type[events.Event], str] = {
    events.OfferMade: "made",
    events.OfferAccepted: "accepted",
    events.OfferDeclined: "declined",
    events.OfferTimedOut: "timed_out",
    events.OfferWithdrawn: "withdrawn",
}


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry}
        self.http = Histogram(
            "naru_http_request_duration_seconds", "HTTP requests by route.", ["method", "route", "code"], **made
        )
        self.decision = Histogram("naru_decision_seconds", "Deciding one input.", buckets=FAST, **made)
        self.append = Histogram("naru_log_append_seconds", "One durable append, as seen by its caller.", **made)
        self.offers = Counter("naru_offers", "Offers by outcome.", ["outcome"], **made)
        self.contacts = Counter("naru_contacts", "Contacts that ended, by outcome.", ["outcome"], **made)
        self.wait = Histogram("naru_contact_wait_seconds", "Wait until accepted.", ["kind"], buckets=WAITS, **made)
        self.sends = Counter("naru_sends", "Messages and legs handed to providers, by result.", ["result"], **made)
        self.resumes = Counter("naru_ws_resumes", "Desks that connected, by what they got.", ["result"], **made)
        self.websockets = Gauge("naru_ws_connections", "Open desks.", **made)
        self.lag = Gauge(
            "naru_reader_lag_records", "Journal records a reader has not yet taken in.", ["reader"], **made
        )
        self.spooled = Gauge("naru_spool_records", "Inputs in the spool.", **made)
        self.webhooks = Counter("naru_webhook_deliveries", "Tries to deliver events, by result.", ["result"], **made)
        self.webhook_backlog = Gauge(
            "naru_webhook_backlog", "Events not yet delivered.", ["workspace", "webhook"], **made
        )
        Gauge("naru_build_info", "Version.", ["version"], **made).labels(__version__).set(1)
        self.shards = Gauge("naru_shards", "Shards in the log.", **made)
        self.owned = Gauge("naru_shards_owned", "Shards that this process owns.", **made)
        self.claims = Counter("naru_shard_claims", "Shards taken into ownership.", **made)
        self.fenced = Counter("naru_shard_fenced", "Shards lost to another owner.", **made)
        self.members = Gauge("naru_members", "Living processes of a role, as this one sees them.", ["role"], **made)
        self.store_up = Gauge("naru_store_up", "Whether the database answered when last asked.", **made)
        self.unavailable = Counter("naru_log_unavailable", "Times that the log was away.", **made)
        self.refused = Counter("naru_intake_refused", "Contacts not taken in, by reason.", ["reason"], **made)
        self.dropped = Counter("naru_ws_dropped", "Sockets dropped because they read too slowly.", **made)
        self._counted = self._counts()

    def watch(self, fold: Fold, clock: Callable[[], float]) -> None:
        """Show what this fold knows."""
        self.registry.register(_Center(fold, clock))
        fold.subscribe(self._applied)

    def observe_owner(self, name: str, value: float) -> None:
        if name == "decision_s":
            self.decision.observe(value)
        elif name == "claimed":
            self.claims.inc()
        elif name == "fenced":
            self.fenced.inc()

    def count_trouble(self, error: Exception) -> None:
        if isinstance(error, LogUnavailable):
            self.unavailable.inc()

    def _applied(self, applied: Applied) -> None:
        for event in applied.record.ev:
            count = self._counted.get(type(event))
            if count is not None:
                count(event, applied)

    def _counts(self) -> dict[type[events.Event], Callable[[Any, Applied], None]]:
        """What is counted of each kind of event. A counter with its label is looked up once: that costs more than to count."""
        labelled = functools.cache(lambda metric, label: metric.labels(label))

        def ended(event: events.Event, applied: Applied) -> None:
            labelled(self.offers, OFFER_OUTCOMES[type(event)]).inc()

        def accepted(event: events.OfferAccepted, applied: Applied) -> None:
            ended(event, applied)
            contact = applied.pool.contacts.get(event.contact)
            if contact is not None and contact.direction == "inbound":
                labelled(self.wait, contact.kind).observe(max(0.0, applied.record.t - contact.enqueued_at))

        return {
            **dict.fromkeys(OFFER_OUTCOMES, ended),
            events.OfferAccepted: accepted,
            events.ContactCompleted: lambda event, _: labelled(self.contacts, event.outcome).inc(),
            events.SendEnded: lambda event, _: labelled(self.sends, event.result).inc(),
        }

    def backlog(self, waiting: dict[tuple[str, str], int]) -> None:
        """How many events wait, by (workspace, webhook)."""
        self.webhook_backlog.clear()
        for (workspace, webhook), count in waiting.items():
            self.webhook_backlog.labels(workspace, webhook).set(count)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Center(Collector):
    """Gauges read from the fold at the moment of the scrape."""

    def __init__(self, fold: Fold, clock: Callable[[], float]) -> None:
        self._fold = fold
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        labels = ["workspace", "queue"]
        waiting = GaugeMetricFamily("naru_contacts_waiting", "Contacts waiting.", labels=labels)
        longest = GaugeMetricFamily("naru_contacts_longest_wait_seconds", "Longest wait now.", labels=labels)
        level = GaugeMetricFamily("naru_service_level_ratio", "Today's service level.", labels=labels)
        people = GaugeMetricFamily("naru_agents", "Agents by presence.", labels=["workspace", "presence"])
        calls = GaugeMetricFamily(
            "naru_calls_waiting", "Calls waiting, by called number.", labels=["workspace", "called"]
        )
        ignored = GaugeMetricFamily("naru_journal_ignored_records", "Zombies' records that readers ignored.")
        ignored.add_metric([], self._fold.ignored)
        now = self._clock()
        for workspace, pool in self._fold.pools.items():
            since: dict[str, list[float]] = {}
            called: dict[str, int] = {}
            for contact in pool.contacts.values():
                if contact.status in ("queued", "offered"):
                    since.setdefault(contact.queue, []).append(contact.enqueued_at)
                    number = contact.attributes.get("called") if contact.kind == "voice" else None
                    if number is not None:
                        called[number] = called.get(number, 0) + 1
            for number, count in _most(called):
                calls.add_metric([workspace, number], count)
            for queue in pool.memory.config.queues[:MAX_QUEUES]:
                mine = since.get(queue.id, [])
                waiting.add_metric([workspace, queue.id], len(mine))
                longest.add_metric([workspace, queue.id], max(0.0, now - min(mine)) if mine else 0)
                stats = pool.memory.stats.get(queue.id)
                if stats is not None and stats.answered + stats.abandoned:
                    ratio = stats.answered_in_target / (stats.answered + stats.abandoned)
                    level.add_metric([workspace, queue.id], ratio)
            counts: dict[str, int] = {}
            for agent in pool.agents.values():
                counts[agent.presence] = counts.get(agent.presence, 0) + 1
            for presence, count in sorted(counts.items()):
                people.add_metric([workspace, presence], count)
        yield from (waiting, longest, level, people, calls, ignored)


def _most(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    """The largest by name, and what the others come to."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    yield from ordered[:MAX_NUMBERS]
    if len(ordered) > MAX_NUMBERS:
        yield "other", sum(count for _, count in ordered[MAX_NUMBERS:])


def hide(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whatever bears a name that secrets or people's words bear is not logged."""
    return {name: "(hidden)" if any(word in name for word in HIDDEN) else value for name, value in event.items()}


def configure_logs(style: str, level: int = logging.INFO) -> None:
    """`json` for machines, `console` for people."""
    renderer = structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            hide,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(_stderr()),
        cache_logger_on_first_use=False,
    )


def _stderr() -> Any:
    import sys

    return sys.stderr


def stopwatch() -> Callable[[], float]:
    """Seconds since it was made, for measuring only."""
    began = time.perf_counter()
    return lambda: time.perf_counter() - began
