"""The image, as far as can be shown without an engine: its Dockerfile is linted, and its steps are done here.

From the files that .dockerignore lets through, the wheel is built and installed with nothing but what the lock files
name; the server then runs from there as the image's own user, on a root file system that cannot be written.
"""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import naru
from conftest import not_proved
from support.center import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
UID = 10001
START_S = 60.0
LIMIT_S = 600
FINAL = DOCKERFILE.rpartition("\nFROM ")[2]


def program(name: str, package: str) -> str:
    """Beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return found or not_proved("the image", f"{name} ({package})")


def run(*command: str | Path, **more: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NARU_", "VIRTUAL_ENV", "PYTHON"))} | more
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, env=environment, cwd="/")
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


# -- what it says


def test_the_linter_finds_nothing() -> None:
    run(program("hadolint", "make dev"), ROOT / "Dockerfile")


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(DOCKERFILE.replace("FROM python:3.11-slim-bookworm\n", "FROM python\n"))
    done = subprocess.run([program("hadolint", "make dev"), str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "DL3006" in done.stdout


def test_the_image_runs_as_nobody_in_particular_and_hears_its_signals() -> None:
    assert f"USER {UID}:{UID}" in FINAL and f"--uid {UID}" in FINAL and f"--gid {UID}" in FINAL
    assert re.search(r'^ENTRYPOINT \["tini", "--"\]$', FINAL, re.MULTILINE)
    assert re.search(r'^CMD \["naru", "serve"\]$', FINAL, re.MULTILINE)
    assert "HEALTHCHECK" in FINAL and "apt-get" not in FINAL and "pip uninstall" in FINAL


def test_whatever_is_installed_is_named_by_a_lock_with_its_hash() -> None:
    installs = re.findall(r"install (?=--no-cache-dir)[^&\n]*", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes -r requirements" in line or "--no-deps /wheel/" in line for line in installs)


def test_the_image_bears_the_version() -> None:
    label = re.search(r'org\.opencontainers\.image\.version="(.+)"', DOCKERFILE)
    assert label is not None and label[1] == naru.__version__
    assert f"image: naru:{naru.__version__}" in (ROOT / "deploy" / "compose.scale-out.yaml").read_text()
    assert f"newTag: {naru.__version__}" in (ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text()


# -- what it does


def reachable(path: Path) -> bool:
    """Whether anybody may go there."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def python_for_all() -> str:
    """A Python that is new enough and that others than root can reach."""
    names = (Path(name).resolve() for name in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"))
    there = [str(path) for path in names if path.exists() and reachable(path)]
    new = [path for path in there if run(path, "-c", "import sys; print(sys.version_info >= (3, 11))") == "True\n"]
    return new[0] if new else not_proved("the image's user", "a Python 3.11 that all may run (apt package python3)")


def copy_context(to: Path) -> None:
    """What .dockerignore lets through; it names all else away by `*`."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    for name in (line[1:] for line in lines if line.startswith("!")):
        source, target = ROOT / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """A folder with `venv`, made as the Dockerfile makes /naru, and `data`, which only the image's user can write."""
    uv, python = program("uv", "make install"), python_for_all()
    folder = Path(tempfile.mkdtemp(prefix="naru-image-"))
    try:
        folder.chmod(0o755)
        copy_context(folder / "src")
        for name, lock in (("build", "requirements-build.lock"), ("venv", "requirements.lock")):
            run(uv, "venv", "-q", "--python", python, folder / name)
            into = folder / name / "bin" / "python"
            run(uv, "pip", "install", "-q", "--python", into, "--require-hashes", "-r", folder / "src" / lock)
        built = f"cd {folder / 'src'} && {folder}/build/bin/python -m hatchling build -t wheel -d {folder / 'wheel'}"
        run("sh", "-c", built)
        (wheel,) = (folder / "wheel").glob("*.whl")
        run(uv, "pip", "install", "-q", "--python", folder / "venv" / "bin" / "python", "--no-deps", wheel)
        shutil.rmtree(folder / "src")
        (folder / "data").mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder / "data", UID, UID)
        run("chmod", "-R", "a-w", folder / "venv")
        yield folder
    finally:
        run("chmod", "-R", "u+w", folder)
        shutil.rmtree(folder)


def confined(folder: Path) -> list[str]:
    """What makes the program after it the image's user, with only the data folder to write. As it is where not root."""
    if os.geteuid() != 0:
        return []
    data = folder / "data"
    mounts = f"mount --bind {data} {data} && mount -o remount,bind,ro /"
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0
    ):
        not_proved("that the root file system may be read-only", "unshare -m (mount namespaces)")
    user = f"setpriv --reuid {UID} --regid {UID} --clear-groups --no-new-privs"
    return ["unshare", "-m", "sh", "-c", f'{mounts} && exec {user} "$@"', "sh"]


def as_the_image(folder: Path, port: int) -> dict[str, str]:
    data = str(folder / "data")
    return {
        "PATH": f"{folder / 'venv' / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": data,
        "TMPDIR": data,
        "PYTHONDONTWRITEBYTECODE": "1",
        "NARU_DATA": data,
        "NARU_LOG_FORMAT": "json",
        "NARU_PORT": str(port),
    }


def ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz").status_code == 200
    except httpx2.HTTPError:
        return False


def test_the_server_runs_from_the_wheel_alone(installed: Path) -> None:
    port = free_port()
    environment, said = as_the_image(installed, port), installed / "said"
    command = [*confined(installed), str(installed / "venv" / "bin" / "naru"), "serve"]
    with said.open("wb") as out:
        server = subprocess.Popen(command, cwd="/", env=environment, stdout=out, stderr=out)
    try:
        url, end = f"http://127.0.0.1:{port}", time.perf_counter() + START_S
        while server.poll() is None and time.perf_counter() < end and not ready(url):
            time.sleep(0.02)
        assert server.poll() is None and ready(url), said.read_text()[-3000:]
        if os.geteuid() == 0:
            status = Path(f"/proc/{server.pid}/status").read_text()
            assert f"Uid:\t{UID}\t{UID}\t{UID}\t{UID}" in status and "CapEff:\t0000000000000000" in status
        for path in (
            "/livez",
            "/startupz",
            "/metrics",
            "/desk",
            "/wallboard",
            "/campaigns",
            "/shop",
            "/widget.js",
            "/openapi.json",
        ):
            assert httpx2.get(url + path).status_code == 200, path
        page = httpx2.get(f"{url}/desk").text
        scripts = re.findall(r'(?:src|href)="(/[^"]+)"', page)
        assert scripts and all(httpx2.get(url + script).status_code == 200 for script in scripts)
        check = re.search(r'CMD \["python", "-c", \\\n *"(.+)"\]', DOCKERFILE)
        assert check is not None
        healthy = subprocess.run(["python", "-c", check[1]], env=environment, capture_output=True, timeout=30)
        assert healthy.returncode == 0, healthy.stderr
    finally:
        server.send_signal(signal.SIGTERM)
        ended = server.wait(30)
    assert ended == 0, said.read_text()[-3000:]
    assert "Traceback" not in said.read_text()
    assert (installed / "data" / "store.sqlite").exists()
    sick = subprocess.run(["python", "-c", check[1]], env=environment, capture_output=True, timeout=30)
    assert sick.returncode != 0, "the health check of a server that is gone"


def test_the_wheel_brings_the_files_for_ops(installed: Path) -> None:
    naru_there = installed / "venv" / "bin" / "naru"
    assert run(naru_there, "ops", "grafana") == (ROOT / "deploy" / "grafana" / "naru.json").read_text()
    assert run(naru_there, "ops", "alerts") == (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text()


def test_the_image_needs_nothing_that_only_developers_have(installed: Path) -> None:
    there = {path.name.lower() for path in (installed / "venv").glob("lib/python3*/site-packages/*")}
    assert "naru" in there and not there & {"pytest", "hatchling", "ruff", "mypy", "hypothesis", "pip", "setuptools"}
