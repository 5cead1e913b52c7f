"""Programs of npm that tests run as peers: installed once, as their lock file says, and kept beside other caches."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "naru-tests"
INSTALL_S = 180.0


def installed(sources: Path, package: str, proof: str, not_proved: Callable[[str, str], NoReturn]) -> Path:
    """The folder with the programs in `sources` and what they need. `proof` is what would not be proved without."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        not_proved(proof, "node and npm (apt packages nodejs, npm)")
    version = json.loads((sources / "package.json").read_text())["dependencies"][package]
    folder = CACHE / f"{package}-{version}"
    if not (folder / "node_modules").is_dir():
        partial = CACHE / f"{package}-{version}.{os.getpid()}"
        shutil.copytree(sources, partial)
        command = [npm, "ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"]
        done = subprocess.run(command, cwd=partial, capture_output=True, text=True, timeout=INSTALL_S)
        if done.returncode != 0:
            shutil.rmtree(partial)
            not_proved(proof, f"{package} of npm: {done.stderr[-300:]}")
        if folder.exists():
            shutil.rmtree(partial)  # another run was faster
        else:
            partial.rename(folder)
    for program in sources.glob("*.mjs"):
        shutil.copy(program, folder)
    return folder
