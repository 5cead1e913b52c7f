"""Making the calls that providers write: bounded in time and size, and honest about what is not known.

Nothing was done when no connection came about; when one broke after that, it may have been.
"""

import httpx2
import msgspec

from channels.base import Call, Result

MAX_ANSWER_BYTES = 1_000_000
MAX_FILE_BYTES = 26_000_000


class Answered(msgspec.Struct, frozen=True):
    status: int
    media_type: str
    body: bytes
    date: str = ""
    """The provider's clock, as it tells it (`Date`)."""


async def request(client: httpx2.AsyncClient, call: Call, max_bytes: int = MAX_ANSWER_BYTES) -> Answered | Result:
    """The answer, of its body no more than the bound, or how it ended without one: `retry` or `uncertain`."""
    try:
        async with client.stream(
            call.method,
            call.url,
            headers=dict(call.headers),
            data=_fields(call) if call.form else None,
            content=call.body,
            auth=call.basic,
            timeout=call.timeout_s,
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > max_bytes:
                    break
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            date = response.headers.get("date", "")
            return Answered(response.status_code, media_type, bytes(body[:max_bytes]), date)
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        return Result("retry", detail=f"{type(error).__name__}: {error}"[:500])
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        return Result("rejected", detail=f"the channel's settings do not work: {error}"[:500])
    except httpx2.HTTPError as error:
        return Result("uncertain", detail=f"{type(error).__name__}: {error}"[:500])


def _fields(call: Call) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in call.form:
        fields.setdefault(name, []).append(value)
    return fields
