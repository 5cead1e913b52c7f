"""Every signature vector, by the scheme that it names; `NARU_VECTORS=path make test-vectors` runs another file of that form.

The kind of evidence (published, the SDK's own test, a third party's, derived by us) is printed for each provider.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.schemes import SCHEMES

FILE = Path(os.environ.get("NARU_VECTORS") or Path(__file__).parent / "vectors.json")
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v['provider']}: {v['name']} ({v['kind']})" for v in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    scheme = SCHEMES.get(vector["scheme"])
    assert scheme is not None, f"no scheme is called {vector['scheme']} ({vector['provider']}: {vector['name']})"
    assert scheme(vector["inputs"]) == vector["expected"], f"{vector['provider']}: {vector['name']}"


KEYS = (
    "secret",
    "app_secret",
    "secret_key",
    "auth_token",
    "signing_key",
    "verification_token",
    "verify_token",
    "body",
    "form",
    "params",
)


def _others(inputs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same inputs with one of what is secret or signed changed."""
    for name, value in inputs.items():
        if isinstance(value, dict):
            yield {**inputs, name: dict.fromkeys(value, "other")}
        elif isinstance(value, str) and any(name.endswith(key) for key in KEYS):
            yield {**inputs, name: value[:2] + ("A" if value[2:3] != "A" else "B") + value[3:]}


@pytest.mark.parametrize("vector", [v for v in VECTORS if isinstance(v["expected"], str)], ids=lambda v: v["provider"])
def test_what_is_changed_is_signed_otherwise(vector: dict[str, Any]) -> None:
    """A check that takes anything would pass the vectors too."""
    others = list(_others(vector["inputs"]))
    assert others or vector["scheme"] == "telnyx-ed25519"
    for other in others:
        assert _made(vector["scheme"], other) != vector["expected"]


def _made(scheme: str, inputs: dict[str, Any]) -> str | bool | None:
    """A verifier's refusal is as good as another signature."""
    try:
        return SCHEMES[scheme](inputs)
    except (AssertionError, KeyError):
        return None


def test_evidence_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    kinds: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for vector in VECTORS:
        kinds[vector["provider"]][vector["kind"]] += 1
    with capsys.disabled():
        print(f"\nevidence of {len(VECTORS)} signature vectors in {FILE.name}:")
        for provider, found in sorted(kinds.items()):
            print(f"  {provider:24} {', '.join(f'{count} {kind}' for kind, count in sorted(found.items()))}")
    assert kinds
