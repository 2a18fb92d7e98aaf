"""Estimates: each header is read once and remembered, unless somebody may write over the file; bad caches cost time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec import structs

from assay import app
from assay.app.getting import choose
from assay.app.sizing import SHAPES, Sizing
from assay.catalog import bundled_folder
from assay.types import Estimate, File
from tests.app.conftest import Open
from tests.hub.running import Server


def likely(name: str, home: Path) -> int:
    estimate = app.model_info(name, home=home).variants[0].estimate
    assert estimate is not None
    return estimate.likely


def looked_into(hub: Server) -> int:
    return len(hub.log("*.gguf", method="GET"))


def test_a_header_is_asked_for_once_sound_or_broken(open_: Open, hub: Server) -> None:
    home = open_().settings.home
    first = likely("hf:acme/Tiny-GGUF", home)
    assert looked_into(hub) == 1
    assert likely("hf:acme/Tiny-GGUF", home) == first
    assert looked_into(hub) == 1
    app.model_info("hf:acme/Part-GGUF", home=home)
    asked = looked_into(hub)
    again = app.model_info("hf:acme/Part-GGUF", home=home)
    assert looked_into(hub) == asked
    assert any("cut off" in one.reasons[0] for one in again.variants), "why it is broken is remembered too"


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b'{"a": {"shape": 5}}', b"\xff\xfe"])
def test_a_damaged_memory_is_written_anew(open_: Open, content: bytes) -> None:
    home = open_().settings.home
    kept = home / "models" / SHAPES
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    assert likely("hf:acme/Tiny-GGUF", home) > 0
    assert len(json.loads(kept.read_bytes())) == 1


def test_a_memory_that_cannot_be_written_costs_nothing_but_time(open_: Open, hub: Server) -> None:
    home = open_().settings.home
    (home / "models" / SHAPES).mkdir(parents=True)
    first = likely("hf:acme/Tiny-GGUF", home)
    assert likely("hf:acme/Tiny-GGUF", home) == first
    assert looked_into(hub) == 2
    assert [path.name for path in (home / "models").iterdir()] == [SHAPES], "nothing is left beside it"


def test_a_file_that_somebody_writes_over_is_read_again(open_: Open, tmp_path: Path) -> None:
    home, mine, ours = open_().settings.home, tmp_path / "mine.gguf", bundled_folder()
    shutil.copy(ours / "notes-0.5m" / "notes-0.5m-q8_0.gguf", mine)
    small = likely(str(mine), home)
    shutil.copy(ours / "notes-4m" / "notes-4m-q8_0.gguf", mine)
    assert likely(str(mine), home) > small


def test_estimates_of_siblings_differ_by_their_files(open_: Open, hub: Server) -> None:
    here = open_()
    choice = choose(here.catalog.find("hf:acme/Tiny-GGUF"), here, Sizing(here))
    assert looked_into(hub) == 1
    eight, four = (choice.estimates[f"tiny:{kind}"] for kind in ("q8_0", "q4_0"))
    assert eight.weights == (bundled_folder() / "notes-4m" / "notes-4m-q8_0.gguf").stat().st_size
    assert eight.cache == four.cache > 0


def test_context_and_slots_multiply_the_cache(open_: Open) -> None:
    here = open_(context_length=1024)
    variant = here.catalog.find("notes-4m:q8_0").variants[0]

    def cache(sizing: Sizing) -> int:
        estimate = sizing.estimate(variant)
        assert isinstance(estimate, Estimate)
        return estimate.cache

    one = cache(Sizing(here))
    assert cache(Sizing(here, slots=4)) == 4 * one
    assert cache(Sizing(here, context_length=2048)) == 2 * one


def test_nothing_is_known_of_what_cannot_be_read(open_: Open, tmp_path: Path) -> None:
    here = open_()
    variant = here.catalog.find("notes-4m:q8_0").variants[0]
    gone = structs.replace(variant, path=str(tmp_path / "gone.gguf"), files=(File(path="gone.gguf", size=5),))
    sizing = Sizing(here)
    assert sizing.estimate(gone) is None
    assert sizing.against(gone) is None, "a file that cannot be opened now is not broken for ever"
    sizing.close()
    assert not (here.settings.models_home / SHAPES).exists()
