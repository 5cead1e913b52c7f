"""A whole center in this process, for benches that come in by its doors: webhooks over loopback, and a company outside."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable

import uvicorn

from naru.app import Naru
from naru.bench.telephone import TOKEN, Telephone
from naru.demo.show import free_port
from naru.server import serve
from naru.settings import load
from router import inputs
from router.config import Config
from router.model import Content

WORKSPACE = "bench"


async def beside(telephone: Telephone, document: Config, run: Callable[[Naru], Awaitable[None]]) -> None:
    """Run a center with this configuration, whose channel `phone` is this telephone's, until `run` is done. The telephone
    is closed after it."""
    folder = tempfile.mkdtemp(prefix="naru-bench-", dir=".")
    settings = load({}, data=folder, port=free_port(0), log_format="console")
    company = uvicorn.Server(
        uvicorn.Config(
            telephone.app,
            host="127.0.0.1",
            port=telephone.port,
            log_level="error",
            lifespan="off",
            access_log=False,
        )
    )
    over = asyncio.Event()

    async def started(house: Naru) -> None:
        await house.accounts.ensure_workspace(WORKSPACE, document.name)
        await house.secrets.put(WORKSPACE, "bench", TOKEN)
        await house.configurations.apply(WORKSPACE, document, "bench")
        telephone.hook = f"{settings.base_url}/hooks/{house.channels.hook(WORKSPACE, 'phone')}"
        await run(house)
        over.set()

    serving = asyncio.create_task(company._serve())
    center = asyncio.create_task(serve(settings, started))
    waiting = asyncio.create_task(over.wait())
    try:
        await asyncio.wait([waiting, center], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        await telephone.close()
        center.cancel()
        company.should_exit = True
        await asyncio.gather(center, serving, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


class People:
    """Agents, as their desks would speak for them."""

    def __init__(self, house: Naru) -> None:
        self.house = house
        self._count = 0

    async def tell(self, body: inputs.Input, content: Content | None = None) -> None:
        self._count += 1
        await self.house.center.ask(WORKSPACE, "bench", f"bench-{self._count}", body, content)

    async def arrive(self) -> None:
        pool = self.house.center.pool(WORKSPACE)
        for agent in pool.memory.config.agents if pool else ():
            connection = f"{self.house.name}:{self.house.boot}:{agent.id}"
            await self.tell(inputs.Connect(agent=agent.id, connection=connection))
            await self.tell(inputs.SetPresence(agent=agent.id, presence="available"))
