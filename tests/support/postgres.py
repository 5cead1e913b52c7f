"""A real PostgreSQL for tests: a cluster of its own on loopback, in a folder of its own, ended by its own process id.

`database()` makes an empty database owned by a role that is no superuser and has no BYPASSRLS, as Naru's must be.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from support.center import free_port

START_S = 60.0
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
APP = "naru"


class NoPostgres(Exception):
    """It cannot be had here. The text says what is missing."""


class Postgres:
    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._names = (f"naru{number}" for number in itertools.count())
        self.folder: Path | None = None

    def start(self) -> "Postgres":
        """Raises NoPostgres."""
        if not PROGRAMS or not (PROGRAMS[-1] / "postgres").exists():
            raise NoPostgres("PostgreSQL (apt package postgresql)")
        if self.folder is None:
            self.folder = self._initialised()
        command = [str(PROGRAMS[-1] / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        options = {"listen_addresses": self.host, "unix_socket_directories": "", "max_connections": "200"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *settings], stdout=log, stderr=log, **_as_postgres())
        self._wait()
        return self

    def _initialised(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="naru-postgres-"))
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(data, owner.pw_uid, owner.pw_gid)
        command = [
            PROGRAMS[-1] / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", **_as_postgres())
        if done.returncode != 0:
            raise NoPostgres(f"a PostgreSQL that can be initialised: {done.stderr[-500:]}")
        if self.host != "127.0.0.1":
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self.host}/24 trust\n")
        return folder

    def _wait(self) -> None:
        end = time.perf_counter() + START_S
        while time.perf_counter() < end and self.process is not None and self.process.poll() is None:
            ready = [PROGRAMS[-1] / "pg_isready", "-h", self.host, "-p", str(self.port), "-q"]
            if subprocess.run(ready, timeout=30).returncode == 0:
                return
            time.sleep(0.05)
        raise NoPostgres(
            f"a PostgreSQL that starts: {(self.folder / 'log').read_text()[-1000:] if self.folder else ''}"
        )

    def url(self, database: str, role: str = APP) -> str:
        return f"postgresql://{role}@{self.host}:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = next(self._names)

        if not self._ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{APP}'"):
            self._ask(f"CREATE ROLE {APP} LOGIN NOSUPERUSER NOBYPASSRLS")
        self._ask(f"CREATE DATABASE {name} OWNER {APP}")
        return self.url(name)

    def _ask(self, statement: str) -> str:
        command = [
            PROGRAMS[-1] / "psql",
            "-qtA",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            self.url("postgres", "postgres"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self) -> None:
        """SIGQUIT, at which it ends at once and recovers at the next start (a SIGKILL would leave its children)."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)

    def stop(self) -> None:
        self.kill()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _as_postgres() -> dict[str, str]:
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
