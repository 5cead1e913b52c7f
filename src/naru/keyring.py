"""Encryption at rest: AES-256-GCM under a key per workspace, derived by HKDF from one master key.

Ciphertext = nonce (12 bytes) + sealed bytes. The associated data binds it to its workspace and its use.
"""

import base64
import hmac
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class WrongKey(Exception):
    """What was sealed cannot be opened: another master key, or tampering."""


class Keyring:
    def __init__(self, master: bytes, chance: Callable[[int], bytes]) -> None:
        if len(master) != 32:
            raise ValueError("the master key has 32 bytes")
        self._master = master
        self._chance = chance
        self._keys: dict[str, AESGCM] = {}

    def seal(self, workspace: str, use: str, plain: bytes) -> bytes:
        nonce = self._chance(NONCE_BYTES)
        return nonce + self._key(workspace).encrypt(nonce, plain, use.encode())

    def open(self, workspace: str, use: str, sealed: bytes) -> bytes:
        """Raises WrongKey."""
        try:
            return self._key(workspace).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], use.encode())
        except (InvalidTag, ValueError) as error:
            raise WrongKey(f"cannot open {use} of workspace {workspace}") from error

    def token(self, use: str, *parts: str, size: int = 20) -> str:
        """A name nobody can guess and everybody with the key can compute: hook paths, visitors' and mail tokens."""
        mac = hmac.digest(self._master, "\x1f".join((use, *parts)).encode(), "sha256")
        return base64.b32encode(mac).decode().lower()[:size]

    def _key(self, workspace: str) -> AESGCM:
        if workspace not in self._keys:
            derived = HKDF(hashes.SHA256(), 32, salt=b"naru", info=workspace.encode()).derive(self._master)
            self._keys[workspace] = AESGCM(derived)
        return self._keys[workspace]


def load_master(path: Path, given: str | None, chance: Callable[[int], bytes]) -> bytes:
    """The master key: given (base64, 32 bytes), else the file at `path`, made on first use and readable by us alone."""
    if given:
        return base64.b64decode(given, validate=True)
    if not path.exists():
        partial = path.with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(chance(32)))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    return base64.b64decode(path.read_bytes(), validate=True)
