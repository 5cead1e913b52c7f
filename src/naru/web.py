"""HTTP around the routes: problem details everywhere, bounds on bodies, security headers, request ids, pages, probes."""

import errno
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import agents.ports
import channels.ports
from naru import __version__
from naru.bus.base import LogUnavailable
from naru.center import TooLarge
from naru.observe import Metrics, stopwatch
from naru.store.database import NotText, StoreUnavailable

STATIC = Path(__file__).parent / "static"
MAX_BODY_BYTES = 1_000_000
MAX_FILE_BODY_BYTES = 26_000_000
FILE_PATH = re.compile(r"/v1/files|/chat/files|/v1/campaigns/[^/]+/lists|/v1/do-not-call/import")
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
PAGES = {
    "/desk": "desk.html",
    "/wallboard": "wallboard.html",
    "/campaigns": "campaigns.html",
    "/shop": "customer.html",
}
CSP = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-src 'self'; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=()",
}
CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Content-Type, X-Naru-Channel, X-Naru-Visitor",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""The widget runs on its brand's own site. It sends a visitor's token and never a cookie."""
TITLES = {400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found", 409: "Conflict"}

POSITION = "naru-position"
VISIBLE_S = 2.0

Reach = Callable[[int, int, float], Awaitable[bool]]
"""(shard, offset, seconds) to whether the fold has come there in time."""

log = structlog.get_logger("naru.web")


def problem(status: int, code: str, detail: str | None = None, headers: Any = None, **more: Any) -> JSONResponse:
    """RFC 9457. `type` is stable, `code` is its last part."""
    body: dict[str, Any] = {
        "type": f"urn:naru:problem:{code}",
        "title": TITLES.get(status, code.replace("-", " ").capitalize()),
        "status": status,
        "code": code,
    }
    if detail:
        body["detail"] = detail
    return JSONResponse({**body, **more}, status, headers, media_type="application/problem+json")


def install(app: FastAPI, metrics: Metrics, reach: Reach) -> None:
    app.add_exception_handler(StarletteHTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    for kind in (LogUnavailable, StoreUnavailable, agents.ports.Unavailable, channels.ports.Unavailable):
        app.add_exception_handler(kind, _unavailable_problem)
    app.add_exception_handler(OSError, _disk_problem)
    app.add_exception_handler(TooLarge, _too_large)
    app.add_exception_handler(NotText, _no_text)
    app.add_exception_handler(Exception, _our_fault)
    app.add_exception_handler(RecursionError, _too_deep)
    app.add_middleware(Bounds)
    app.add_middleware(Seen, reach=reach)
    app.add_middleware(Observed, metrics=metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    code, _, detail = str(error.detail).partition("\n")
    if not code.replace("-", "").isalnum():
        code, detail = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused"), code
    return problem(error.status_code, code.lower().replace(" ", "-"), detail or None, error.headers)


async def _validation_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [{"pointer": "/".join(map(str, e["loc"])), "detail": e["msg"]} for e in error.errors()[:20]]
    return problem(422, "invalid", errors=found)


async def _unavailable_problem(request: Request, error: Exception) -> Response:
    log.warning("unavailable", path=request.url.path, error=str(error))
    return problem(503, "unavailable", headers={"Retry-After": "2"})


async def _disk_problem(request: Request, error: Exception) -> Response:
    """A full disk passes; any other failure of the system is ours to look into."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return await _unavailable_problem(request, error)
    log.error("request.failed", path=request.url.path, error=repr(error))
    return await _our_fault(request, error)


async def _too_large(request: Request, error: Exception) -> Response:
    return problem(413, "too-large")


async def _no_text(request: Request, error: Exception) -> Response:
    return problem(422, "invalid", "a NUL is in no name")


async def _our_fault(request: Request, error: Exception) -> Response:
    return problem(500, "internal")


async def _too_deep(request: Request, error: Exception) -> Response:
    return problem(422, "invalid", "nested too deeply")


class Bounds:
    """Refuses a body over its bound, whether it says its length or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = MAX_FILE_BODY_BYTES if FILE_PATH.fullmatch(scope["path"]) else MAX_BODY_BYTES
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > most:
            await problem(413, "too-large")(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413, "too-large")
            return message

        await self.app(scope, counted, send)


class Observed:
    """Counts every answer, and gives it the headers that all have.

    Like all that stands around every request it is plain ASGI: a middleware that is handed requests and responses runs
    the rest in a task of its own, which costs a webhook more than all that is done with it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        elapsed = stopwatch()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._observe(scope, message["status"], elapsed())
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/chat/"):
                    headers.update(CROSS_ORIGIN)
            await send(message)

        await self.app(scope, receive, observed)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.http.labels(method, route, status).observe(seconds)


class Seen:
    """Whoever was told a position by a command, here or at another gateway, does not read what was before it."""

    def __init__(self, app: ASGIApp, reach: Reach) -> None:
        self.app = app
        self._reach = reach

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or await self._has_come(Headers(scope=scope)):
            await self.app(scope, receive, send)
        else:
            await problem(503, "not-yet-visible", headers={"Retry-After": "1"})(scope, receive, send)

    async def _has_come(self, headers: Headers) -> bool:
        shard, _, offset = headers.get(POSITION, "").partition(".")
        known = all(part.isascii() and part.isdigit() and len(part) < 18 for part in (shard, offset))
        return not known or await self._reach(int(shard), int(offset), VISIBLE_S)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with every 4xx and 5xx the one Problem."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title="Naru", version=__version__, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = {
        "type": "object",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object"}},
        },
    }
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem (RFC 9457).", "content": content}
    app.openapi_schema = document
    return document


def pages(app: FastAPI) -> None:
    """The prebuilt pages. Hashed assets never change; pages are asked for anew each time."""
    for path, file in PAGES.items():
        app.add_api_route(path, _page(file), include_in_schema=False)
    app.add_api_route("/widget.js", _widget, include_in_schema=False)
    if STATIC.exists():
        app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _page(file: str) -> Callable[[], Awaitable[Response]]:
    async def page() -> Response:
        return FileResponse(STATIC / file, headers={"Cache-Control": "no-cache", "Content-Security-Policy": CSP})

    return page


async def _widget() -> Response:
    headers = {
        "Cache-Control": "public, max-age=300",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return FileResponse(STATIC / "widget.js", media_type="text/javascript", headers=headers)
