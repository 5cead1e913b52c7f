"""A real postfix and a real dovecot for tests: on loopback, on ports of their own, with all they write in one folder.

Postfix takes mail for `shop.test` and `customer.test` from loopback without a login and hands it to dovecot by LMTP;
dovecot serves it by IMAP. Nothing under /etc is changed, and no mail leaves the machine.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

from support.center import free_port

HOST = "127.0.0.1"
PASSWORD = "secret"
USERS = ("help@shop.test", "mina.kim@customer.test")
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0

POSTFIX = Path("/usr/lib/postfix/sbin/master")
DOVECOT = Path("/usr/sbin/dovecot")
PROGRAMS = {
    POSTFIX: "postfix",
    DOVECOT: "dovecot-core",
    Path("/usr/lib/dovecot/imap"): "dovecot-imapd",
    Path("/usr/lib/dovecot/lmtp"): "dovecot-lmtpd",
}

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
mail_spool_directory = {root}/spool
maillog_file = {root}/postfix.log
maillog_file_prefixes = {root}

myhostname = mail.shop.test
mydestination =
mynetworks =
inet_interfaces = {host}
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_security_level = none

# Only the two domains and their known people are taken in; whatever else would leave is an error.
virtual_mailbox_domains = shop.test customer.test
virtual_mailbox_maps = inline:{{ {users} }}
virtual_transport = lmtp:unix:{root}/dovecot/lmtp
recipient_delimiter = +
smtpd_relay_restrictions = reject_unauth_destination
default_transport = error:5.7.1 no mail leaves this test server
relay_transport = $default_transport
local_transport = $default_transport

# Dovecot's LMTP has no SMTPUTF8, and postfix returns mail that asked for it and has UTF-8 in a header. Such a header
# passes well as plain 8 bit text, so the request is dropped at the door.
smtpd_command_filter = regexp:{{{{/^(MAIL FROM:.*) SMTPUTF8(.*)$$/ $$1$$2}}}}

# Pauses that protect a public server and only slow a test down.
in_flow_delay = 0s
smtpd_error_sleep_time = 0s
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
lmtp_connection_cache_on_demand = no
fast_flush_domains =
notify_classes =
"""

MASTER_CF = """\
{host}:{smtp_port} inet n - n - - smtpd
cleanup   unix       n - n - 0 cleanup
qmgr      unix       n - n 300 1 qmgr
rewrite   unix       - - n - - trivial-rewrite
bounce    unix       - - n - 0 bounce
defer     unix       - - n - 0 bounce
trace     unix       - - n - 0 bounce
error     unix       - - n - - error
retry     unix       - - n - - error
lmtp      unix       - - n - - lmtp
anvil     unix       - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""

# For dovecot 2.3; version 2.4 spells most of it otherwise.
DOVECOT_CONF = """\
base_dir = {root}/dovecot
state_dir = {root}/dovecot
log_path = {root}/dovecot.log
protocols = imap lmtp
listen = {host}
ssl = no
disable_plaintext_auth = no

mail_location = maildir:~/Maildir
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={root}/mail/%u
}}

service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}

# A test that gives a wrong password should not make the next login wait.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def missing() -> list[str]:
    """Name what is not there of what the servers need."""
    absent = [f"{path.name} (apt package {package})" for path, package in PROGRAMS.items() if not path.exists()]
    if DOVECOT.exists():
        version = subprocess.run([DOVECOT, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        if not version.startswith("2.3."):
            absent.append(f"dovecot 2.3 (here is {version or 'an unknown version'})")
    if os.geteuid() != 0:
        absent.append("root (postfix starts as nobody else)")
    return absent


def servers_or_skip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServers]:
    """Be the body of a session-scoped fixture: run the servers, or skip, or fail where every proof is required."""
    if absent := missing():
        message = f"not proved here: mail through a real postfix and dovecot; missing: {', '.join(absent)}"
        if os.environ.get("NARU_TEST_REQUIRE") == "all":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    # Pytest closes its own folders to everyone else, and the servers work as unprivileged users. So they live in a
    # folder beside it, whose short name also fits a unix socket, and only their logs go where pytest keeps things.
    with tempfile.TemporaryDirectory(prefix="naru-mail-") as folder:
        servers = MailServers(Path(folder))
        try:
            with servers:
                yield servers
        finally:
            kept = tmp_path_factory.mktemp("mail-logs")
            for log in servers.logs():
                shutil.copy(log, kept)


class MailServers:
    """Both servers, running from enter to exit; every user's password is `password`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.host = HOST
        self.password = PASSWORD
        self.smtp_port, self.imap_port = free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> MailServers:
        try:
            self._write_files()
            self._start(DOVECOT, "-F", "-c", str(self.directory / "dovecot.conf"))
            self._start(POSTFIX, "-d", "-c", str(self.directory / "postfix"))
            if not _wait_until(self._ready, START_LIMIT_S):
                raise TimeoutError(f"the mail servers are not ready after {START_LIMIT_S:.0f} s\n{self.log_tail()}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def logs(self) -> list[Path]:
        """The log files there are."""
        return sorted(self.directory.glob("*.log"))

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of each server's log."""
        tails = []
        for log in self.logs():
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            tails.append("\n".join([f"--- {log.name}", *last]))
        return "\n".join(tails)

    def stop(self) -> None:
        """End both servers and all they started, postfix first because it delivers to dovecot."""
        while self._processes:
            _end(self._processes.pop())

    def _start(self, program: Path, *arguments: str) -> None:
        # A session of its own makes the program the leader of a group in which all its children stay.
        with (self.directory / f"{program.name}-output.log").open("wb") as output:
            self._processes.append(
                subprocess.Popen(
                    [program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    # As the `postfix` command does, so that what goes wrong early is in the log too, not in syslog.
                    env={
                        **os.environ,
                        "POSTLOG_SERVICE": f"{self.directory}/queue/public/postlog",
                        "POSTLOG_HOSTNAME": "mail",
                    },
                )
            )

    def _ready(self) -> bool:
        if any(process.poll() is not None for process in self._processes):
            raise RuntimeError(f"a mail server ended while starting\n{self.log_tail()}")
        return _greets(self.smtp_port, b"220 ") and _greets(self.imap_port, b"* OK")

    def _write_files(self) -> None:
        root = self.directory
        root.chmod(0o711)
        for parent in root.parents:
            if not parent.stat().st_mode & 0o001:
                raise PermissionError(f"the servers' users cannot reach {root} through {parent}")
        values = {
            "root": root,
            "host": HOST,
            "smtp_port": self.smtp_port,
            "imap_port": self.imap_port,
            "users": ", ".join(f"{user}=here" for user in USERS),
        }
        postfix, nobody, dovecot = (pwd.getpwnam(name).pw_uid for name in ("postfix", "nobody", "dovecot"))
        drop = grp.getgrnam("postdrop").gr_gid
        _folder(root / "postfix")
        for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF)):
            file = root / "postfix" / name
            file.write_text(text.format(**values))
            # Postfix waits for a file to be more than a second old before it trusts that nobody is still writing it.
            os.utime(file, (0, 0))
        _folder(root / "data", 0o700, postfix)
        _folder(root / "spool", 0o755)
        _folder(root / "queue", 0o755)
        _folder(root / "queue" / "pid", 0o755)
        # `postfix check` would make these; starting its master directly is quicker and leaves us its process id.
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
                     "saved", "trace"):  # fmt: skip
            _folder(root / "queue" / name, 0o700, postfix)
        _folder(root / "queue" / "maildrop", 0o1730, postfix, drop)
        _folder(root / "queue" / "public", 0o2710, postfix, drop)

        _folder(root / "mail", 0o700, nobody)
        (root / "dovecot.conf").write_text(DOVECOT_CONF.format(**values))
        users = root / "users"
        users.write_text("".join(f"{user}:{PASSWORD}\n" for user in USERS))
        users.chmod(0o400)
        os.chown(users, dovecot, -1)


def _folder(path: Path, mode: int = 0o755, owner: int = 0, group: int = 0) -> None:
    path.mkdir()
    os.chown(path, owner, group)
    path.chmod(mode)


def _greets(port: int, greeting: bytes) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            return connection.recv(1000).startswith(greeting)
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    if not _wait_until(lambda: not _still_runs(process.pid), STOP_LIMIT_S):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_LIMIT_S)


def _wait_until(condition: Callable[[], bool], limit: float) -> bool:
    now = time.monotonic  # noqa: TID251 - real servers start and end by the real clock
    deadline = now() + limit
    while not condition():
        if now() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _still_runs(group: int) -> bool:
    """Whether the process group has a member that is not just a dead one nobody has collected yet."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = entry.read_bytes().rpartition(b")")[2].split()[:3]
        except OSError:  # it ended while we looked
            continue
        if int(its_group) == group and state != b"Z":
            return True
    return False
