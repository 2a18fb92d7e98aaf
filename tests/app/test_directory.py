"""Names that requests send, and what is served under them."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from assay import app
from assay.app.directory import Directory, Loads, given_variants, read_route
from assay.app.here import Here, open_here
from assay.catalog import bundled_folder
from assay.errors import BadInput, UnknownModel
from assay.serve import Route
from assay.store import Store

GIB = 1 << 30
REMOTE = {"alias": "far", "endpoint": "http://127.0.0.1:9/v1", "model": "org/far", "key": "env:FAR_KEY"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / "models.json").write_text(json.dumps([REMOTE]))
    return open_here({"home": home})


def route(here: Here, name: str, loads: Loads = Loads(), **more: object) -> Route:  # noqa: B008 - frozen
    return asyncio.run(Directory(here, loads, **more).route(name))  # type: ignore[arg-type]


def test_an_alias_is_its_best_variant_and_knows_the_others(here: Here) -> None:
    found = route(here, "notes-4m", Loads(budget=8 * GIB))
    assert [offer.id for offer in found.offers] == ["notes-4m:q8_0"]
    assert {offer.id for offer in found.others} == {"notes-4m:q4_0", "notes-4m:onnx-int4"}
    (offer,) = found.offers
    assert (offer.engine, offer.slots, offer.options.extra) == ("llamacpp", 8, {"cache_prompt": "true"})
    assert offer.needs is not None
    assert offer.needs > (offer.variant.disk or 0)
    assert offer.reasons


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
        with pytest.raises(UnknownModel, match="there is no model"):
            route(here, tried)


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
    with pytest.raises(UnknownModel, match="nothing of the fallback list none") as caught:
        route(here, "none", routes={"none": ("qwen2.5-7b", "no-such-model")})
    assert "qwen2.5-7b" in str(caught.value.why)


def test_a_fallback_list_may_have_the_name_of_its_first(here: Here) -> None:
    found = route(here, "notes-4m", routes={"notes-4m": ("notes-4m", "far")})
    assert [offer.id for offer in found.offers] == ["notes-4m:q8_0", "far"]


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
    assert "qwen2.5-0.5b" not in kinds
    assert not any("safetensors" in one.id for one in listed)


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
    with pytest.raises(UnknownModel):
        given_variants(["no-such-model"], here)
    with pytest.raises(BadInput, match="cannot be served as it is"):
        given_variants([str(bundled_folder() / "notes-0.5m" / "notes-0.5m-safetensors")], here)


def test_a_fallback_list_as_it_is_typed() -> None:
    assert read_route("fast = a, b:q4,far ") == ("fast", ("a", "b:q4", "far"))
    for wrong in ("fast", "=a", "fast=", "fast=,"):
        with pytest.raises(BadInput, match="is no fallback list"):
            read_route(wrong)
