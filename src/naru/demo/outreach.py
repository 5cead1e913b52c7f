"""The demo's campaign: a clinic reminds people of their check-ups. Their telephones do what telephones do.

They live wherever it is early afternoon, or the law would let nobody be called while somebody looks at the demo at night.
"""

import datetime as dt
import random  # noqa: TID251 - drawn by the demo's composition root; always seeded
import tempfile
from pathlib import Path

from naru.app import Naru
from naru.campaigns.lists import Import
from naru.demo.carrier import Carrier
from router import inputs

CAMPAIGN, PEOPLE = "checkups", 120
FAMILY, GIVEN = "김이박최정강조윤장임", ("민준", "서연", "도윤", "지우", "하준", "서현", "지호", "수아")


async def begin(house: Naru, workspace: str, carrier: Carrier, chance: random.Random) -> None:
    """Take in a list of people, and start calling them."""
    rows = ["phone,name,timezone,consent,due"]
    for n in range(PEOPLE):
        number = f"+8210{5000 + n:04d}{chance.randrange(10_000):04d}"
        _telephone(carrier, number, chance)
        name = chance.choice(FAMILY) + chance.choice(GIVEN)
        rows.append(f"{number},{name},{_afternoon(house.clock())},customer,{chance.randrange(1, 13)}월")
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as file:
        file.write("\n".join(rows))
        file.flush()
        work = Import(
            workspace=workspace, id="demo", campaign=CAMPAIGN, path=Path(file.name), name="people.csv", country="KR"
        )
        await house.lists.begin(workspace, CAMPAIGN, "people.csv", "demo", "demo")
        await house.lists.take(work)
    await house.center.take(
        workspace, "demo", "campaign", inputs.SetCampaign(campaign=CAMPAIGN, running=True, by="demo")
    )


def _telephone(carrier: Carrier, number: str, chance: random.Random) -> None:
    fate = chance.random()
    if fate < 0.45:
        carrier.phone(number, answer_after_s=chance.uniform(4, 14), hang_up_after_s=chance.uniform(25, 90))
    elif fate < 0.6:
        carrier.phone(number, answer_after_s=None, busy=True)
    else:
        carrier.phone(number, answer_after_s=None)


def _afternoon(now: float) -> str:
    """A zone of a fixed offset where it is about two o'clock."""
    offset = (14 - dt.datetime.fromtimestamp(now, dt.UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"
