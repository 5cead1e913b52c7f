"""Processes of a center that is measured: ours to start, and ours to end."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from naru.settings import Settings


@contextlib.contextmanager
def process(settings: Settings, role: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """`naru serve ROLE` under these settings; what it logs goes to a file, or nowhere."""
    ours = {f"NARU_{name.upper()}": str(value) for name, value in msgspec.structs.asdict(settings).items()}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    command = [sys.executable, "-m", "naru.cli", "serve", role]
    with contextlib.ExitStack() as files:
        told = files.enter_context(log.open("ab")) if log else subprocess.DEVNULL
        running = subprocess.Popen(  # noqa: S603 - our own program
            command, env=kept | ours, stdout=subprocess.DEVNULL, stderr=told
        )
        try:
            yield running
        finally:
            running.kill()  # a measurement's center has nothing to hand over
            running.wait(60)
