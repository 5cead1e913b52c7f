"""Time limits for what is awaited thousands of times a second and hardly ever late.

`asyncio.timeout` makes a timer for every wait. Waits of one length end in the order in which they began, so they stand in
one line here and share one timer; what has ended in time is forgotten when it comes to the front.
"""

import asyncio
import collections
from types import TracebackType


class Limits:
    """`with limits.within(seconds)` around an await raises TimeoutError, as `asyncio.timeout` does. For one event loop."""

    def __init__(self) -> None:
        self._lines: dict[float, _Line] = {}

    def within(self, seconds: float) -> "_Wait":
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = _Line(seconds)
        return _Wait(line)


class _Wait:
    """One wait of one task. `task` is None once it is over."""

    __slots__ = ("_cancelling", "_line", "at", "late", "task")

    def __init__(self, line: "_Line") -> None:
        self._line = line
        self._cancelling = 0
        self.at = 0.0
        self.late = False
        self.task: asyncio.Task[object] | None = None

    def __enter__(self) -> None:
        self.task = task = asyncio.current_task()
        assert task is not None, "a time limit is for a task"
        self._cancelling = task.cancelling()
        self._line.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        task, self.task = self.task, None
        if self.late and task is not None and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class _Line:
    """The waits of one length, the oldest first. The timer, if there is one, is no later than the first is due."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: collections.deque[_Wait] = collections.deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, wait: _Wait) -> None:
        loop = asyncio.get_running_loop()
        wait.at = loop.time() + self._seconds
        waits = self._waits
        while waits and waits[0].task is None:
            waits.popleft()
        waits.append(wait)
        if self._timer is None:
            self._timer = loop.call_at(wait.at, self._due, loop)

    def _due(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is late, and look again when the next one may be."""
        self._timer = None
        now = loop.time()
        waits = self._waits
        while waits and (waits[0].task is None or waits[0].at <= now):
            wait = waits.popleft()
            if wait.task is not None:
                wait.late = True
                wait.task.cancel()
        if waits:
            self._timer = loop.call_at(waits[0].at, self._due, loop)
