"""A real OpenID provider (`oidc-provider` of npm) as its own process on loopback, ended by its own process id."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx2

from support import npm
from support.center import free_port

SOURCES = Path(__file__).parent / "oidc"
START_S = 60.0

ACCOUNTS: dict[str, dict[str, Any]] = {
    "mina": {"email": "Mina@Shop.test", "email_verified": True, "name": "Mina"},
    "jun": {"email": "jun@shop.test", "email_verified": False, "name": "Jun"},
    "sora": {"email": "sora@elsewhere.test", "email_verified": True, "name": "Sora"},
    "ghost": {"name": "Ghost"},
}


def installed(not_proved: Callable[[str, str], NoReturn]) -> Path:
    return npm.installed(SOURCES, "oidc-provider", "sign-in through a real OpenID provider", not_proved)


class RealProvider:
    """One client with a secret (`naru`) and one without (`naru-public`), both sent back to the same center."""

    def __init__(self, folder: Path, callback: str, secret: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        both = {"redirect_uris": [callback], "grant_types": ["authorization_code"], "response_types": ["code"]}
        none = {"client_id": "naru-public", "token_endpoint_auth_method": "none"}
        basic = {"client_id": "naru", "client_secret": secret, "id_token_signed_response_alg": "ES256"}
        self._told = {"port": self.port, "clients": [{**both, **basic}, {**both, **none}], "accounts": ACCOUNTS}
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "RealProvider":
        self.process = subprocess.Popen(
            [shutil.which("node") or "node", "provider.mjs", json.dumps(self._told)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        late = threading.Timer(START_S, self.process.kill)
        late.start()
        assert self.process.stdout is not None
        said: list[str] = []
        for line in self.process.stdout:
            said.append(line)
            if line.strip() == "ready":
                break
        late.cancel()
        assert said and said[-1].strip() == "ready", "".join(said)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()

    def signs_in(self, browser: httpx2.Client, address: str, name: str, go: str = "yes") -> str:
        """What a person does at the provider; where it then sends the browser. `address` is where we sent it."""
        asked = browser.get(address)
        assert asked.status_code == 303, asked.text
        page = f"{self.issuer}{asked.headers['location']}" if asked.headers["location"].startswith("/") else ""
        page = page or asked.headers["location"]
        assert browser.get(page).status_code == 200
        finished = browser.post(page, data={"name": name, "go": go})
        resumed = browser.get(finished.headers["location"])
        assert resumed.status_code == 303, resumed.text
        found: str = resumed.headers["location"]
        return found
