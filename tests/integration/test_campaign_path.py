"""A campaign from its list to its ledger: a real center, and a carrier that dials, tells machines apart and obeys TwiML."""

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from naru.wire import Record, decode_record
from router import events
from support.carrier import TOKEN
from support.center import Center, free_port
from support.outreach import DEEDS, OUTCOMES, config, deeds, sheet, world

pytestmark = pytest.mark.slow
PEOPLE, AGENTS = 500, 8


async def test_five_hundred_attempts_with_every_outcome(tmp_path: Path) -> None:
    port = free_port()
    does = deeds(PEOPLE)
    document = config(f"http://127.0.0.1:{port}", AGENTS)
    with Center(tmp_path / "data", document, {"NARU_SECRET_CARRIER": TOKEN}) as center:
        async with world(center, port, does, AGENTS) as outside:
            listed = await outside.imports(sheet(PEOPLE))
            assert (listed["state"], listed["taken"], listed["bad"]) == ("done", PEOPLE, 0)
            await outside.arrive(AGENTS)
            await outside.start()
            status = await outside.finished(300)
            rows = await outside.ledger()

            assert {row["value"] for row in rows if row["contact"]} == set(does)
            print(Counter(row["outcome"] for row in rows))
            dialled = [row for row in rows if row["outcome"] not in ("dropped", "stale")]
            assert len(dialled) == PEOPLE
            for row in dialled:
                deed = does[row["value"]]
                if deed == "talks":
                    assert row["outcome"] in ("handled", "nobody_free", "hung_up")
                else:
                    assert row["outcome"] == OUTCOMES[deed], row
                assert len(outside.calls_to(row["value"])) == 1
                assert row["rules"].startswith("US ") and row["consent"] == "express"
                assert row["local_time"] and row["zone"].startswith("Etc/")
                assert row["checks"]["workspace_list"] == "not listed"
                assert row["reserved_at"] <= row["dialled_at"] <= row["ended_at"]
            talked = [row for row in dialled if row["outcome"] == "handled"]
            lost = [row for row in dialled if row["outcome"] == "nobody_free"]
            assert len(talked) + len(lost) >= PEOPLE // len(DEEDS) and len(talked) > len(lost)
            assert status["answers"]["live"] == sum(row["answered_at"] is not None for row in dialled)
        _agrees(tmp_path / "data", rows)


def _agrees(folder: Path, rows: list[dict[str, object]]) -> None:
    """The ledger says of each attempt what the journal says."""
    opened: dict[str, tuple[str, float]] = {}
    ended: dict[str, tuple[str, float]] = {}
    dropped: dict[str, str] = {}
    answered: dict[str, float] = {}
    with contextlib.closing(sqlite3.connect(f"file:{folder}/log.sqlite?mode=ro", uri=True)) as log:
        values = [
            value for (value,) in log.execute("SELECT value FROM log WHERE topic LIKE '%journal' ORDER BY part, off")
        ]
    for value in values:
        record = decode_record(value)
        if not isinstance(record, Record):
            continue
        for event in record.ev:
            if isinstance(event, events.ContactOpened) and event.attempt:
                opened[event.attempt] = (event.contact, record.t)
            elif isinstance(event, events.ContactCompleted) and event.attempt:
                ended[event.attempt] = (event.outcome, record.t)
            elif isinstance(event, events.AttemptDropped):
                dropped.setdefault(event.attempt, event.reason)
            elif isinstance(event, events.LineAnswered):
                answered[event.contact] = record.t
    known = {str(row["id"]): row for row in rows}
    assert set(opened) <= set(known)
    for attempt, row in known.items():
        if row["contact"] is None:
            assert (row["outcome"], attempt in dropped) == ("dropped", True)
            continue
        assert (row["contact"], row["dialled_at"]) == opened[attempt]
        assert (row["outcome"], row["ended_at"]) == ended[attempt]
        assert row["answered_at"] == answered.get(str(row["contact"]))


async def test_a_hundred_thousand_rows_are_in_within_a_minute_and_a_broken_file_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    document = config(f"http://127.0.0.1:{port}", 1)
    with Center(tmp_path / "data", document, {"NARU_SECRET_CARRIER": TOKEN}) as center:
        async with world(center, port, {}, 1) as outside:
            many = sheet(20_000)
            listed = await outside.imports(many)
            assert (listed["state"], listed["taken"]) == ("done", 20_000)
            again = await outside.imports(many)
            assert (again["state"], again["taken"], again["twice"]) == ("done", 0, 20_000)

            lines = sheet(25_000).decode().splitlines()[-5_000:]
            broken = "\n".join(
                [sheet(0).decode().strip(), *lines[:2000], "12,Nobody,x,Mars/Olympus,perhaps,", *lines[2000:]]
            )
            refused = await outside.imports(broken.encode())
            assert (refused["state"], refused["taken"], refused["bad"]) == ("refused", 0, 1)
            assert refused["faults"] == ["row 2002: '12' is no number that can be dialled in US"]
            counted = {row["state"]: row["people"] for row in (await outside.status())["people"]}
            assert counted == {"ready": 20_000}
            skipped = await outside.imports(broken.encode(), skip_bad=True)
            assert (skipped["state"], skipped["taken"], skipped["bad"]) == ("done", 5_000, 1)
