"""What an orchestrator and Prometheus ask of every process, whatever its role."""

from typing import Any, Protocol

from fastapi import APIRouter, Response

from naru.bus.base import LogUnavailable
from naru.observe import Metrics


class House(Protocol):
    ready: bool
    draining: bool
    metrics: Metrics

    async def checks(self) -> dict[str, bool]: ...

    async def gauge(self) -> None: ...


def routes(house: House) -> APIRouter:
    router = APIRouter(tags=["ops"])

    @router.get("/livez", operation_id="livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", operation_id="readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        checks = await house.checks()
        ready = all(checks.values()) and not house.draining
        response.status_code = 200 if ready else 503
        return {"status": "ok" if ready else "not ready", "checks": checks, "draining": house.draining}

    @router.get("/startupz", operation_id="startupz")
    async def startupz(response: Response) -> dict[str, str]:
        response.status_code = 200 if house.ready else 503
        return {"status": "ok" if house.ready else "starting"}

    @router.get("/metrics", operation_id="metrics", response_class=Response)
    async def metrics() -> Response:
        try:
            await house.gauge()
        except LogUnavailable:
            house.metrics.unavailable.inc()  # the other figures are told all the same
        return Response(house.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
