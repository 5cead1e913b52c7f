"""The SQL that makes our role and database, on a real PostgreSQL: row-level security holds for the role on its own tables."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import not_proved

SQL = Path(__file__).parents[2] / "deploy" / "postgres" / "role.sql"
PASSWORD = 'it\'s a "secret"'


class Server:
    """PostgreSQL on a socket in a folder of its own, on no port."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        # It refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None

    def run(self, program: str, *args: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *args]
        out = self.folder / "said"
        with out.open("ab") as said:
            done = subprocess.run(command, user=self.user, cwd="/", stdout=said, stderr=said, timeout=60)
        assert done.returncode == 0, out.read_text()

    def psql(self, user: str, database: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [
            str(self.programs / "psql"),
            "-X",
            "-h",
            str(self.folder),
            "-U",
            user,
            "-v",
            "ON_ERROR_STOP=1",
            database,
        ]
        env = {"PATH": os.environ["PATH"], **environment}
        return subprocess.run([*command, "-At", *args], capture_output=True, text=True, timeout=60, env=env, cwd="/")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        not_proved("the SQL of our role", "PostgreSQL (apt package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="naru-pg-"))
    server = Server(programs[-1].parent, folder)
    try:
        if server.user:
            os.chown(folder, pwd.getpwnam(server.user).pw_uid, -1)
        server.run("initdb", "-U", "postgres", "--auth", "scram-sha-256", "--auth-local", "trust")
        server.run("pg_ctl", "-w", "-o", f"-c listen_addresses= -c unix_socket_directories={folder}", "start")
        yield server
        server.run("pg_ctl", "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder)


def test_the_role_is_bound_by_row_level_security_on_its_own_tables(server: Server) -> None:
    made = server.psql("postgres", "postgres", "-f", str(SQL), NARU_DB_PASSWORD=PASSWORD)
    assert made.returncode == 0, made.stderr
    about = (
        "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = user"
    )
    assert server.psql("naru", "naru", "-c", about).stdout.strip() == "f|f|f|f|f"
    rows = "CREATE TABLE own (workspace text); INSERT INTO own VALUES ('a'), ('b'); ALTER TABLE own ENABLE ROW LEVEL SECURITY;"
    assert server.psql("naru", "naru", "-c", rows + " SELECT count(*) FROM own").stdout.splitlines()[-1] == "2"
    forced = "ALTER TABLE own FORCE ROW LEVEL SECURITY; SELECT count(*) FROM own"
    assert server.psql("naru", "naru", "-c", forced).stdout.splitlines()[-1] == "0"
    kept = server.psql("postgres", "naru", "-c", "SELECT encoding, datcollate FROM pg_database WHERE datname = 'naru'")
    assert kept.stdout.strip() == "6|C", "UTF8, sorted as bytes"


def test_nobody_else_comes_in(server: Server) -> None:
    assert server.psql("postgres", "postgres", "-c", "CREATE ROLE other LOGIN").returncode == 0
    refused = server.psql("other", "naru", "-c", "SELECT 1")
    assert refused.returncode != 0 and "permission denied for database" in refused.stderr
