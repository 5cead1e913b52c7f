"""Our own programs without the second that each takes to import: forked from one process that has imported once.

A program begun here is the same as `python -m naru.cli` from its first own line on; only where the start itself is
proved, or another program than ours stands before it, a test begins a fresh one. Whoever has begun one holds
a `Child`, which is waited for and signalled as a `subprocess.Popen` is. The nursery ends with the tests.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from typing import IO, Protocol

MOST_BYTES = 200_000


class Running(Protocol):
    """What a `Child` and a `subprocess.Popen` have in common."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class Child:
    """A program out of the nursery. `line` brings its process id, with a handle that no other process can get, then its end."""

    def __init__(self, args: list[str], line: socket.socket) -> None:
        self.args = args
        self.returncode: int | None = None
        self._line, self._lock = line, threading.Lock()
        told, fds, _, _ = socket.recv_fds(line, 100, 1)
        assert told, "the nursery has died"
        self.pid, self._handle = int(told), fds[0]

    def poll(self) -> int | None:
        return self.returncode if self._ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def _ended(self, within_s: float | None) -> bool:
        told = False
        with contextlib.suppress(OSError, ValueError):  # another thread has been told
            told = bool(self.returncode is None and select.select([self._line], [], [], within_s)[0])
        with self._lock:
            if told and self.returncode is None:
                self.returncode = int(self._line.recv(100) or -signal.SIGKILL)
                self._line.close()
                os.close(self._handle)
        return self.returncode is not None

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Nursery:
    """The one of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._door: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, args: list[str], env: dict[str, str], out: IO[bytes], err: IO[bytes]) -> Child:
        with self._lock:
            door = self._door or self._open()
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            asked = json.dumps({"args": args, "env": env}).encode()
            socket.send_fds(door, [asked], [theirs.fileno(), out.fileno(), err.fileno()])
        return Child(["naru", *args], mine)

    def _open(self) -> socket.socket:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen([sys.executable, __file__], stdin=theirs)
        atexit.register(self._close)
        return self._door

    def _close(self) -> None:
        assert self._door is not None and self._process is not None
        self._door.close()
        self._process.wait()


_nursery = _Nursery()


def begin(args: list[str], env: dict[str, str], out: IO[bytes]) -> Running:
    """`naru` with these arguments, what it prints and what it complains of into one file."""
    if sys.platform != "linux":
        return subprocess.Popen([sys.executable, "-m", "naru.cli", *args], env=env, stdout=out, stderr=out)
    return _nursery.begin(args, env, out, out)


def run(args: list[str], env: dict[str, str], timeout: float, check: bool) -> "subprocess.CompletedProcess[str]":
    """As `subprocess.run` with its output captured as text."""
    if sys.platform != "linux":
        fresh = [sys.executable, "-m", "naru.cli", *args]
        return subprocess.run(fresh, env=env, check=check, capture_output=True, text=True, timeout=timeout)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = _nursery.begin(args, env, out, err)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    done = subprocess.CompletedProcess(child.args, child.wait(), *said)
    if check:
        done.check_returncode()
    return done


# -- in the nursery


def _serve() -> None:
    """Until the door closes: a child for each that is asked for, and an attendant that waits for it and tells its end."""
    sys.path.pop(0)  # our own folder: its module names must not stand before anybody's
    import naru.app
    import naru.cli

    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for attendants
    door = socket.socket(fileno=0)
    while True:
        asked, fds, _, _ = socket.recv_fds(door, MOST_BYTES, 3)
        if not asked:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            life = os.fork()
            if life == 0:
                _becomes(json.loads(asked), fds)
                naru.cli.main()
                return
            _attends(life, socket.socket(fileno=fds[0]), fds[1:])
        for fd in fds:
            os.close(fd)


def _becomes(birth: "dict[str, object]", fds: "list[int]") -> None:
    line, out, err = fds
    os.close(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(birth["env"])  # type: ignore[call-overload]
    sys.argv[:] = ["naru", *birth["args"]]  # type: ignore[misc]


def _attends(life: int, line: socket.socket, fds: "list[int]") -> None:
    for fd in (0, *fds):
        os.close(fd)
    handle = os.pidfd_open(life)
    socket.send_fds(line, [str(life).encode()], [handle])
    _, status = os.waitpid(life, 0)
    with contextlib.suppress(OSError):  # nobody wants to know any more
        line.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    _serve()
