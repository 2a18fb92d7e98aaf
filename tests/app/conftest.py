"""A hub with sound, broken and closed repositories, and an installation that knows of nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay.app.here import Here, open_here
from assay.catalog import bundled_folder
from tests.app.routes import REMOTE
from tests.hub.running import Server, running

Open = Callable[..., Here]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """acme/Tiny-GGUF is sound. Of acme/Part-GGUF only q4_0 is, whose file is the second largest of three."""
    root, ours = tmp_path_factory.mktemp("hub"), bundled_folder() / "notes-4m"
    large, small = (ours / f"notes-4m-{kind}.gguf" for kind in ("q8_0", "q4_0"))
    tiny = root / "acme" / "Tiny-GGUF"
    tiny.mkdir(parents=True)
    shutil.copy(large, tiny / "tiny-Q8_0.gguf")
    shutil.copy(small, tiny / "tiny-Q4_0.gguf")
    part = root / "acme" / "Part-GGUF"
    part.mkdir()
    (part / "part-Q5_0.gguf").write_bytes(large.read_bytes()[:400_000])
    shutil.copy(small, part / "part-Q4_0.gguf")
    (part / "part-Q8_0.gguf").write_bytes(b"no GGUF file" * 300_000)
    broken = root / "acme" / "Broken-GGUF"
    broken.mkdir()
    for number in range(2, 9):
        (broken / f"broken-Q{number}_0.gguf").write_bytes(b"no GGUF file" * 100 * number)
    gated = root / "acme" / "Gated-GGUF"
    gated.mkdir()
    shutil.copy(small, gated / "gated-Q4_0.gguf")
    (gated / ".repo.json").write_text(json.dumps({"gated": "manual", "tags": ["gguf"]}), encoding="utf-8")
    with running(root, token="hf_" + "t" * 30) as server:
        yield server


@pytest.fixture
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is set where the tests run."""
    for name in list(os.environ):
        if name.startswith(("ASSAY_", "BENCH_", "HF_", "HUGGING", "OPENAI_")):
            monkeypatch.delenv(name)


@pytest.fixture
def open_(hub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet_environment: None) -> Iterator[Open]:
    """Open an installation with a home that holds nothing yet, beside the hub; the hub's log is empty."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.chdir(tmp_path)
    hub.clear()
    yield lambda **flags: open_here({"home": tmp_path / "home", **flags})
    hub.clear()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / "models.json").write_text(json.dumps([REMOTE]))
    return open_here({"home": home})
