"""Hosts on this machine: network namespaces behind one bridge, whose cables can be pulled. Needs root and iproute2."""

import os
import shutil
import subprocess

NET = "10.77.0"
BRIDGE = "naru-chaos"
HERE = f"{NET}.1"


class NoNet(Exception):
    """Namespaces cannot be made here. The text says why."""


class Net:
    def __init__(self) -> None:
        self._hosts: dict[str, int] = {}

    def open(self) -> "Net":
        """Raises NoNet."""
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise NoNet("root and `ip` (apt package iproute2)")
        self.close()
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        return self

    def host(self, name: str) -> tuple[str, list[str]]:
        """A new host: its address, and what a command is prefixed with to run there."""
        number = len(self._hosts) + 10
        self._hosts[name] = number
        space, cable = f"naru-{name}", f"nc{number}"
        _ip("netns", "add", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", BRIDGE, "up")
        _ip("-n", space, "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        return f"{NET}.{number}", ["ip", "netns", "exec", space]

    def pull(self, name: str) -> None:
        """Nothing comes to this host, and nothing from it, until `plug`."""
        _ip("link", "set", f"nc{self._hosts[name]}", "down")

    def plug(self, name: str) -> None:
        _ip("link", "set", f"nc{self._hosts[name]}", "up")

    def close(self) -> None:
        """Also what an earlier run has left."""
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.split()
        for space in (word for word in listed if word.startswith("naru-")):
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True)


def _ip(*args: str) -> None:
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise NoNet(f"ip {' '.join(args)}: {done.stderr.strip()}")
