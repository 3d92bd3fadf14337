"""The official JavaScript client of Meilisearch, installed once into a cache outside of the checkout."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "0.62.0"
NODE_VERSION_MIN = (20, 19)
"""What this version of the client asks for."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "miroir-tests" / f"meilisearch-js-{VERSION}"
INSTALL_S = 120
RUN_S = 120
"""A guard only: the script takes a second."""


def run_script(script: str, *arguments: str) -> str:
    """Return what an ES module prints; it finds the client as ``meilisearch``. Skips the test where it cannot run."""
    node = _installed()
    path = CACHE / f"script-{os.getpid()}.mjs"
    path.write_text(script)
    try:
        command = [node, str(path), *arguments]
        ran = subprocess.run(command, capture_output=True, check=False, timeout=RUN_S, text=True)
    finally:
        path.unlink()
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _installed() -> str:
    """Return the program that runs scripts, once the client is there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed")
    said = subprocess.run([node, "--version"], capture_output=True, check=True, text=True, timeout=RUN_S).stdout
    version = tuple(int(part) for part in said.strip().removeprefix("v").split(".")[:2])
    if version < NODE_VERSION_MIN:
        pytest.skip(f"node {said.strip()} is older than the client asks for")
    if not (CACHE / "node_modules" / "meilisearch" / "package.json").is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        flags = ["--prefix", str(CACHE), "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        ran = subprocess.run(
            [npm, "install", *flags, f"meilisearch@{VERSION}"], capture_output=True, check=False, timeout=INSTALL_S
        )
        if ran.returncode:
            pytest.skip(f"meilisearch@{VERSION} cannot be installed: {ran.stderr[:200]!r}")
    return node
