"""Files that change, come and go under the names that requests send."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from assay import app
from assay.app.directory import Directory, Loads, given_variants
from assay.app.here import Here
from assay.catalog import bundled_folder
from assay.disk import stamp_of
from assay.errors import AssayError, BadInput, UnknownModel
from assay.serve import Offer
from tests.app.routes import REMOTE, route


def directory_of(here: Here, file: Path, given: bool, *, clock: Callable[[], float]) -> tuple[str, Directory]:
    """A directory with ``file`` and its name: by its path where it is ``given``, else in the list of the home."""
    if given:
        (name,), own = given_variants([str(file)], here)
        return name, Directory(here, given=own, clock=clock)
    (here.settings.home / "models.json").write_text(json.dumps([{"alias": "mine", "path": str(file)}]))
    return "mine", Directory(Here(here.settings), clock=clock)


@pytest.mark.parametrize("given", [False, True])
def test_a_file_that_is_written_anew_is_another_offer_of_the_same_name(here: Here, tmp_path: Path, given: bool) -> None:
    file, now = tmp_path / "mine-q8_0.gguf", 0.0
    shutil.copy(bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf", file)
    name, served = directory_of(here, file, given, clock=lambda: now)

    def offer() -> Offer:
        nonlocal now
        now += 1
        return asyncio.run(served.route(name)).offers[0]

    first = offer()
    assert not first.differs(offer())
    shutil.copy(bundled_folder() / "notes-1.5m" / "notes-1.5m-q8_0.gguf", file)
    second = offer()
    assert first.differs(second)
    assert first.id == second.id
    assert [one.size for one in second.variant.files] == [file.stat().st_size]
    os.utime(file, (1, 1))
    assert second.differs(offer())


@pytest.mark.parametrize("given", [False, True])
def test_a_file_that_is_broken_for_a_while_is_served_again_when_it_is_whole(
    here: Here, tmp_path: Path, given: bool
) -> None:
    file, now = tmp_path / "mine-q8_0.gguf", 0.0
    whole = (bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf").read_bytes()
    file.write_bytes(whole)
    name, served = directory_of(here, file, given, clock=lambda: now)
    first = asyncio.run(served.route(name)).offers[0]
    for content, problem in ((whole[:1000], "cut off"), (None, "")):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        for _ in range(2):
            now += 1
            with pytest.raises(AssayError) as caught:
                asyncio.run(served.route(name))
            assert problem in caught.value.sentence
    file.write_bytes(whole)
    os.utime(file, (1, 1))
    now += 1
    again = asyncio.run(served.route(name)).offers[0]
    assert (again.id, again.variant.files) == (first.id, first.variant.files)
    assert first.differs(again)


@pytest.mark.parametrize("length", [None, 1000])
def test_a_file_that_was_never_whole_is_served_once_it_is(here: Here, tmp_path: Path, length: int | None) -> None:
    file, now = tmp_path / "mine-q8_0.gguf", 0.0
    whole = (bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf").read_bytes()
    if length is not None:
        file.write_bytes(whole[:length])
    (here.settings.home / "models.json").write_text(json.dumps([{"alias": "mine", "path": str(file)}]))
    served = Directory(Here(here.settings), clock=lambda: now)
    with pytest.raises(UnknownModel, match="cannot be run here"):
        asyncio.run(served.route("mine"))
    assert "mine" not in {one.id for one in asyncio.run(served.listed())}
    file.write_bytes(whole)
    now += 1
    assert [one.size for one in asyncio.run(served.route("mine")).offers[0].variant.files] == [len(whole)]
    assert "mine" in {one.id for one in asyncio.run(served.listed())}


def test_a_file_that_is_replaced_before_its_first_request_is_served_as_it_is_then(here: Here, tmp_path: Path) -> None:
    file, now = tmp_path / "mine-q8_0.gguf", 0.0
    shutil.copy(bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf", file)
    (here.settings.home / "models.json").write_text(json.dumps([{"alias": "mine", "path": str(file)}]))
    served = Directory(Here(here.settings), clock=lambda: now)
    shutil.copy(bundled_folder() / "notes-4m" / "notes-4m-q8_0.gguf", file)
    now += 1
    (offer,) = asyncio.run(served.route("mine")).offers
    assert [one.size for one in offer.variant.files] == [file.stat().st_size]
    assert offer.stamps == (stamp_of(file),)


def test_a_list_that_changes_before_the_service_is_up_is_served_as_it_is_then(here: Here) -> None:
    assert here.catalog.named("far")
    (here.settings.home / "models.json").write_text(json.dumps([{**REMOTE, "alias": "new"}]))
    assert route(here, "new").offers[0].id == "new"


def test_another_file_of_the_same_size_and_time_is_another_offer_and_other_rights_are_not(
    here: Here, tmp_path: Path
) -> None:
    file, other, now = tmp_path / "mine-q8_0.gguf", tmp_path / "other.gguf", 0.0
    for place in (file, other):
        shutil.copy(bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf", place)
        os.utime(place, (1, 1))
    (here.settings.home / "models.json").write_text(json.dumps([{"alias": "mine", "path": str(file)}]))
    served = Directory(Here(here.settings), clock=lambda: now)
    first = asyncio.run(served.route("mine")).offers[0]
    file.chmod(0o600)
    now += 1
    assert not first.differs(asyncio.run(served.route("mine")).offers[0])
    other.replace(file)
    now += 1
    assert first.differs(asyncio.run(served.route("mine")).offers[0])


def test_an_imported_file_that_is_replaced_is_another_offer_of_the_same_name(here: Here, tmp_path: Path) -> None:
    file, twin, fresh, now = tmp_path / "mine-q8_0.gguf", tmp_path / "twin.gguf", tmp_path / "fresh", 0.0
    shutil.copy(bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf", file)
    shutil.copy(bundled_folder() / "notes-1.5m" / "notes-1.5m-q8_0.gguf", twin)
    app.import_models(str(file), alias="mine", home=here.settings.home)
    app.import_models(str(twin), alias="copied", home=here.settings.home, copy=True)
    (here.settings.home / "models.json").write_text(json.dumps([{"alias": "mine", "task": "chat"}]))
    served = Directory(Here(here.settings), Loads(slots=1), clock=lambda: now)

    def offer(name: str) -> Offer:
        nonlocal now
        now += 1
        return asyncio.run(served.route(name)).offers[0]

    first, copied = offer("mine"), offer("copied")
    assert not first.differs(offer("mine"))
    shutil.copy(bundled_folder() / "notes-4m" / "notes-4m-q8_0.gguf", fresh)
    fresh.replace(file)
    twin.write_bytes(b"another")
    second = offer("mine")
    assert first.differs(second)
    assert (first.id, first.variant.path) == (second.id, second.variant.path)
    assert [(one.size, one.sha256) for one in second.variant.files] == [(file.stat().st_size, None)]
    assert (second.needs or 0) > (first.needs or 0)
    assert (first.variant.tasks, second.variant.tasks) == (("chat",), ("chat",))
    assert not copied.differs(offer("copied"))


def test_an_imported_file_that_is_broken_hides_no_other_and_is_served_again_when_it_is_whole(
    here: Here, tmp_path: Path
) -> None:
    now = 0.0
    whole = {kind: (bundled_folder() / "notes-4m" / f"notes-4m-{kind}.gguf").read_bytes() for kind in ("q8_0", "q4_0")}
    for kind, content in whole.items():
        (tmp_path / f"mine-{kind}.gguf").write_bytes(content)
        app.import_models(str(tmp_path / f"mine-{kind}.gguf"), alias="mine", home=here.settings.home)
    served = Directory(here, clock=lambda: now)

    def ids(name: str) -> list[str]:
        nonlocal now
        now += 1
        found = asyncio.run(served.route(name))
        return sorted(offer.id for offer in (*found.offers, *found.others))

    assert ids("mine") == ["mine:q4_0", "mine:q8_0"]
    (tmp_path / "mine-q8_0.gguf").write_bytes(whole["q8_0"][:1000])
    assert ids("mine") == ["mine:q4_0"]
    with pytest.raises(BadInput, match="cut off"):
        ids("mine:q8_0")
    (tmp_path / "mine-q8_0.gguf").unlink()
    with pytest.raises(UnknownModel, match="there is nothing at"):
        ids("mine:q8_0")
    (tmp_path / "mine-q8_0.gguf").write_bytes(whole["q8_0"])
    assert ids("mine") == ["mine:q4_0", "mine:q8_0"]
