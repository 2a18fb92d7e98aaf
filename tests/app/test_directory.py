"""Names that requests send, and what is served under them."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from assay import app, engines
from assay.app.directory import Directory, Loads, given_variants
from assay.app.here import Here, open_here
from assay.app.sizing import Sizing
from assay.catalog import bundled_folder
from assay.errors import BadInput, BadRegistry, UnknownModel
from assay.serve import Route
from assay.store import Store
from assay.types import Observation
from tests.app.routes import REMOTE, route

GIB = 1 << 30


def test_an_alias_is_its_best_variant_and_knows_the_others(here: Here) -> None:
    found = route(here, "notes-4m", Loads(budget=8 * GIB))
    assert [offer.id for offer in found.offers] == ["notes-4m:q8_0"]
    assert {offer.id for offer in found.others} == {"notes-4m:q4_0", "notes-4m:onnx-int4"}
    (offer,) = found.offers
    assert (offer.engine, offer.slots, offer.options.extra) == ("llamacpp", 8, {"cache_prompt": "true"})
    assert offer.needs is not None
    assert offer.needs > (offer.variant.disk or 0)


@pytest.mark.parametrize("name", ["notes-4m:onnx-int4", "NOTES-4M:ONNX-INT4", "notes-4m:onnx"])
def test_a_variant_by_its_id_or_a_selector(here: Here, name: str) -> None:
    found = route(here, name)
    assert [offer.id for offer in (*found.offers, *found.others)] == ["notes-4m:onnx-int4"]
    assert found.offers[0].engine == "onnxruntime_genai"
    assert found.offers[0].options.extra == {}


def test_a_version_is_the_alias(here: Here) -> None:
    assert route(here, "notes-4m:1").offers[0].id == "notes-4m:q8_0"


@pytest.mark.parametrize(
    "name", ["models.json", "./models.json", "http://127.0.0.1:1/v1#x", "hf:a/b", "auto", "", ":", "a\0b"]
)
def test_no_name_becomes_a_path_or_an_address(here: Here, name: str) -> None:
    shutil.copytree(bundled_folder() / "notes-0.5m", Path.cwd() / "folder")
    for tried in (name, "folder", "./folder", str(Path.cwd() / "folder")):
        with pytest.raises(UnknownModel, match="there is no model") as caught:
            route(here, tried)
        assert "folder of" not in str(caught.value.remedy)


def test_what_is_not_here_is_not_fetched(here: Here) -> None:
    with pytest.raises(UnknownModel) as caught:
        route(here, "qwen2.5-0.5b")
    assert caught.value.remedy == "assay model download qwen2.5-0.5b"


def test_slots_take_half_of_the_budget_at_most(here: Here) -> None:
    needs = {slots: route(here, "notes-4m", Loads(slots=slots)).offers[0].needs or 0 for slots in (1, 2, 4, 8)}
    assert needs[1] < needs[2] < needs[4] < needs[8]
    for slots in (2, 4, 8):
        assert route(here, "notes-4m", Loads(budget=2 * needs[slots])).offers[0].slots == slots
        assert route(here, "notes-4m", Loads(budget=2 * needs[slots] - 1)).offers[0].slots == slots // 2
    assert route(here, "notes-4m", Loads(budget=1)).offers[0].slots == 1


def test_an_upstream_takes_no_memory(here: Here) -> None:
    (offer,) = route(here, "far").offers
    assert (offer.remote, offer.needs, offer.variant.key, offer.variant.served_id) == (
        True,
        0,
        "env:FAR_KEY",
        "org/far",
    )


def test_a_fallback_list_in_its_order_less_what_is_not_here(here: Here) -> None:
    routes = {"fast": ("notes-0.5m", "qwen2.5-7b", "notes-4m:q4_0", "far", "notes-0.5m")}
    found = route(here, "fast", routes=routes)
    assert [offer.id for offer in found.offers] == ["notes-0.5m:q8_0", "notes-4m:q4_0", "far"]
    assert found.others == ()
    assert [found.skipped(offer) for offer in found.offers] == [
        (),
        *[("qwen2.5-7b is not on this machine (the service fetches nothing by itself)",)] * 2,
    ]
    with pytest.raises(UnknownModel, match="nothing of the fallback list none") as caught:
        route(here, "none", routes={"none": ("qwen2.5-7b", "no-such-model")})
    assert "qwen2.5-7b" in str(caught.value.why)


def test_what_fallback_lists_lack_is_told(here: Here) -> None:
    routes = {"fast": ("notes-0.5m", "no-such-model"), "none": ("qwen2.5-7b",), "good": ("notes-4m", "far")}
    slow, none = asyncio.run(Directory(here, routes=routes).gaps())
    assert slow.startswith("fallback list fast: ")
    assert "no-such-model" in slow
    assert none.startswith("fallback list none: nothing of it can be run (qwen2.5-7b is not on")


def test_a_fallback_list_may_have_the_name_of_its_first(here: Here) -> None:
    found = route(here, "notes-4m", routes={"notes-4m": ("notes-4m", "far")})
    assert [offer.id for offer in found.offers] == ["notes-4m:q8_0", "far"]


@pytest.mark.parametrize("name", ["fast", "FAST", "Notes-4M"])
def test_a_fallback_list_is_named_in_any_case(here: Here, name: str) -> None:
    found = route(here, name, routes={"Fast": ("notes-0.5m", "far"), "notes-4m": ("notes-0.5m", "far")})
    assert [offer.id for offer in found.offers] == ["notes-0.5m:q8_0", "far"]


def test_the_list_has_each_name_once(here: Here) -> None:
    listed = asyncio.run(Directory(here, routes={"fast": ("notes-0.5m", "far")}).listed())
    assert [one.id for one in listed][:2] == ["fast", "far"]
    assert len({one.id.lower() for one in listed}) == len(listed)
    kinds = {one.id: one.kind for one in listed}
    assert (kinds["fast"], kinds["far"], kinds["notes-4m"], kinds["notes-4m:q4_0"]) == (
        "route",
        "alias",
        "alias",
        "variant",
    )
    assert {one.id: one.tries for one in listed if one.tries} == {"fast": ("notes-0.5m:q8_0", "far")}
    assert "qwen2.5-0.5b" not in kinds
    assert not any("safetensors" in one.id for one in listed)


@pytest.mark.parametrize(
    ("words", "embeds"),
    [
        ({"tasks": ["embeddings"]}, True),
        ({"tasks": ["Feature-Extraction"], "capabilities": ["chat"]}, True),
        ({"tasks": ["chat"], "capabilities": ["embeddings"]}, False),
        ({"capabilities": ["chat", "embeddings"]}, False),
        ({}, False),
    ],
)
def test_what_gives_vectors_is_listed_so(here: Here, words: dict[str, list[str]], embeds: bool) -> None:
    (here.settings.home / "models.json").write_text(json.dumps([{**REMOTE, **words}]))
    (far,) = [one for one in asyncio.run(Directory(Here(here.settings)).listed()) if one.id == "far"]
    assert far.variant.embeds is embeds


def test_what_comes_later_is_served_and_what_goes_is_not(here: Here) -> None:
    now = 0.0
    served = Directory(here, clock=lambda: now)
    file = bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf"

    def asked() -> tuple[str, bool]:
        listed = {one.id for one in asyncio.run(served.listed())}
        try:
            return asyncio.run(served.route("mine")).offers[0].id, "mine" in listed
        except UnknownModel:
            return "unknown", "mine" in listed

    assert asked() == ("unknown", False)
    app.import_models(str(file), alias="mine", home=here.settings.home)
    now += 1
    assert asked() == ("mine:q8_0", True)
    Store(here.settings.models_home).drop("mine:q8_0")
    now += 1
    assert asked() == ("unknown", False)


def test_the_owner_may_name_files_and_addresses(here: Here) -> None:
    file = Path(shutil.copy(bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf", "my.gguf"))
    names, given = given_variants([str(file), "http://127.0.0.1:9/v1#m", "notes-4m"], here)
    assert names == [given[0].alias, given[1].alias, "notes-4m"]
    served = Directory(here, given=given)

    async def look() -> list[str]:
        return [(await served.route(name)).offers[0].variant.format for name in names]

    assert asyncio.run(look()) == ["gguf", "remote", "gguf"]
    assert {one.id for one in asyncio.run(served.listed())} >= set(names)
    assert given_variants(["fast", "notes-4m"], here, ["fast"]) == (["fast", "notes-4m"], [])
    with pytest.raises(UnknownModel):
        given_variants(["no-such-model"], here)
    with pytest.raises(BadInput, match="cannot be served as it is"):
        given_variants([str(bundled_folder() / "notes-0.5m" / "notes-0.5m-safetensors")], here)


def test_a_list_that_breaks_while_it_is_served_is_told_and_what_it_said_stays(here: Here) -> None:
    now, told = 0.0, list[str]()
    served = Directory(here, tell=told.append, clock=lambda: now)
    own = here.settings.home / "models.json"

    def far() -> str:
        try:
            return asyncio.run(served.route("far")).offers[0].variant.source
        except UnknownModel:
            return "unknown"

    assert far() == REMOTE["endpoint"]
    for half in ('[{"alias": "far",', "", "[3]"):
        own.write_text(half)
        now += 1
        assert far() == REMOTE["endpoint"]
        assert len(told) == 1
        assert str(own) in told[0]
        told.clear()
    Store(here.settings.models_home).layout.records.mkdir(parents=True)
    now += 1
    assert (far(), told) == (REMOTE["endpoint"], [])
    own.write_text(json.dumps([{**REMOTE, "endpoint": "http://127.0.0.1:8/v1"}]))
    now += 1
    assert (far(), told) == ("http://127.0.0.1:8/v1", [])
    own.unlink()
    now += 1
    assert (far(), told) == ("unknown", [])


def test_a_list_that_was_asked_for_must_be_sound_at_the_start_and_may_break_later(tmp_path: Path) -> None:
    named, now, told = tmp_path / "mine.json", 0.0, list[str]()
    here = open_here({"home": tmp_path / "home", "registry": named})
    with pytest.raises(BadRegistry):
        Directory(here)
    named.write_text(json.dumps([REMOTE]))
    served = Directory(Here(here.settings), tell=told.append, clock=lambda: now)
    named.write_text("[")
    now += 1
    assert asyncio.run(served.route("far")).offers[0].id == "far"
    assert len(told) == 1


def test_a_list_that_is_broken_from_the_first_hides_nothing_else(here: Here) -> None:
    (here.settings.home / "models.json").write_text("[")
    now, told = 0.0, list[str]()
    served = Directory(Here(here.settings), tell=told.append, clock=lambda: now)
    assert len(told) == 1
    file = bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf"
    app.import_models(str(file), alias="mine", home=here.settings.home)
    now += 1
    assert asyncio.run(served.route("mine")).offers[0].id == "mine:q8_0"


def test_a_folder_that_is_removed_under_the_service_takes_only_its_own_list_along(
    here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "models.json").write_text(json.dumps([{**REMOTE, "alias": "near", "key": None}]))
    monkeypatch.chdir(project)
    now = 0.0
    served = Directory(Here(here.settings), clock=lambda: now)
    assert asyncio.run(served.route("near")).offers[0].id == "near"
    shutil.rmtree(project)
    now += 1
    assert asyncio.run(served.route("far")).offers[0].id == "far"
    with pytest.raises(UnknownModel):
        asyncio.run(served.route("near"))


def test_a_projects_list_may_not_say_where_your_keys_go(here: Here, tmp_path: Path) -> None:
    own = tmp_path / "models.json"
    own.write_text(json.dumps([{**REMOTE, "alias": "evil"}, {**REMOTE, "alias": "open", "key": None}]))
    (tmp_path / "assay.toml").write_text('[models]\nregistry = "models.json"\n')
    for given in ({}, {"registry": None}):
        project = open_here({"home": here.settings.home, **given})
        assert route(project, "open").offers[0].variant.key is None
        assert route(project, "far").offers[0].variant.key == "env:FAR_KEY"
        with pytest.raises(UnknownModel, match="evil") as caught:
            route(project, "evil")
        assert f"--config {own}" in str(caught.value.remedy)
        (tmp_path / "assay.toml").unlink(missing_ok=True)
    assert route(open_here({"home": here.settings.home, "registry": own}), "evil").offers[0].variant.key


def test_who_leaves_while_lists_are_read_anew_keeps_nobody_from_the_news(here: Here) -> None:
    now = 0.0

    async def go() -> None:
        nonlocal now
        served = Directory(here, clock=lambda: now)
        listing = asyncio.create_task(served.listed())  # the thread is at work
        await asyncio.sleep(0)
        (here.settings.home / "models.json").write_text(json.dumps([{**REMOTE, "alias": "new"}]))
        now += 1
        leaves = asyncio.create_task(served.route("new"))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        await listing
        now += 1
        assert (await served.route("new")).offers[0].id == "new"

    asyncio.run(go())


def test_what_a_load_was_seen_to_take_counts_for_the_next(here: Here) -> None:
    now = 0.0
    served = Directory(Here(here.settings), Loads(slots=1), clock=lambda: now)
    (offer,) = asyncio.run(served.route("notes-0.5m")).offers
    estimate = Sizing(here, slots=1).estimate(offer.variant)
    assert estimate is not None
    here.observed.remember(
        Observation(
            engine=offer.engine,
            engine_version=engines.present()[offer.engine][0],
            digest=offer.variant.digest,
            context_length=estimate.context_length,
            slots=1,
            peak=12_345_678_901,
            when="2026-11-22T09:30:00+00:00",
        )
    )
    now += 1
    assert asyncio.run(served.route("notes-0.5m")).offers[0].needs == 12_345_678_901


def test_many_who_ask_at_once_are_all_told(here: Here) -> None:
    served = Directory(here)

    async def go() -> None:
        names = ["notes-4m", "notes-0.5m", "notes-1.5m", "far", "notes-4m:onnx"] * 40
        asking = [asyncio.create_task(served.route(name)) for name in names]
        await asyncio.sleep(0)
        for task in asking[::7]:
            task.cancel()
        listed = await served.listed()
        found = await asyncio.gather(*asking, return_exceptions=True)
        for name, one in zip(names, found, strict=True):
            assert isinstance(one, asyncio.CancelledError) or (isinstance(one, Route) and one.name == name)
        assert sum(isinstance(one, Route) for one in found) >= len(names) * 6 // 7 - 1
        assert {"notes-4m", "far"} <= {one.id for one in listed}

    asyncio.run(go())
