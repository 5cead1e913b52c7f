"""The desks of agents who are available, in a process of their own: whoever times the phones is not kept by their frames."""

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

from support.center import AgentDesk


async def main(url: str, keys: list[str]) -> None:
    center: Any = SimpleNamespace(url=url)
    desks = [await AgentDesk.open(center, key) for key in keys]
    for desk in desks:
        await desk.do("status", presence="available")
    print("available", flush=True)
    # They answer the server's heartbeats, and wait for nothing.
    await asyncio.gather(*(desk.next("nothing", timeout_s=3600) for desk in desks))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2].split(",")))
