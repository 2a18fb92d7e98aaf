"""A home with two finished runs against a scripted server, and two ways to call the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from assay.cli import main

ROOT = Path(__file__).parents[2]
Shell = Callable[..., "subprocess.CompletedProcess[bytes]"]
PROMPT = "Say something."


class Told(NamedTuple):
    """What one command said, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Told]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An address that answers every chat request with four short pieces."""
    program = ROOT / "benchmarks" / "counting_server.py"
    log = tmp_path_factory.mktemp("server") / "log"
    with subprocess.Popen(
        [sys.executable, str(program), str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, server: str) -> Path:
    """``ASSAY_HOME`` with the runs ``first``, ``second`` (of one workload) and ``nobody`` (nothing measured)."""
    folder = tmp_path_factory.mktemp("home")
    common = ["bench", "echo", "--home", str(folder), "--prompt", PROMPT, "--rounds", "2"]
    assert main([*common, "--endpoint", "http://127.0.0.1:9", "--name", "nobody"]) == 3
    for name in ("first", "second"):
        assert main([*common, "--endpoint", server, "--name", name]) == 0
    return folder


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that is set where the tests run, and an empty folder to work in."""
    for name in list(os.environ):
        if name.startswith(
            ("BENCH_", "ASSAY_", "OPENAI_", "FOUNDRY_", "API_KEY", "PYTHON", "HF_", "HUGGING", "OLLAMA_")
        ):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the command in this process, with whatever environment there is."""

    def call(*words: str) -> Told:
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        captured = capsys.readouterr()
        return Told(code, captured.out, captured.err)

    return call


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, home: Path, call: Command) -> Command:
    """Call the command in this process, with the home of the runs."""
    monkeypatch.setenv("ASSAY_HOME", str(home))
    return call


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Shell:
    """Run a line of bash in which ``assay`` is this checkout's command, as bytes."""
    launcher = tmp_path / "bin" / "assay"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m assay "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)

    def run(line: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        path = os.pathsep.join([str(launcher.parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "ASSAY_HOME": str(home), **more}
        return subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    return run
