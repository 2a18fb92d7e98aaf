"""From a name to variants here: several repositories of which some fail, nothing that fits, the best by its header."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay import app
from assay.app.getting import asked, best_of, choose, fetch
from assay.app.sizing import BROKEN, Sizing
from assay.catalog import Found, Wanted, parse_hub_name
from assay.errors import HubRefused, HubUnreachable, NoRoom, UnknownModel
from assay.types import Silent
from tests.app.conftest import Open
from tests.hub.running import Server


class Notes(Silent):
    """Keeps what a person would read."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


def found(*names: str) -> Found:
    """An alias that several repositories offer."""
    read = [parse_hub_name(name) for name in names]
    return Found(alias="tiny", origin="curated", wanted=tuple(Wanted(name=one, alias="tiny") for one in read if one))


def whole_files(hub: Server) -> list[str]:
    """The GGUF files that were fetched, and not only looked into."""
    gets = hub.log("*.gguf", method="GET")
    return [entry["path"].rpartition("/")[2] for entry in gets if entry["range"] is None]


def test_a_repository_that_fails_leaves_the_others_and_is_told_of(open_: Open) -> None:
    here = open_()
    offers, unasked = asked(found("hf:acme/Gone-GGUF", "hf:acme/Tiny-GGUF"), here)
    assert sorted(variant.id for variant in offers.variants) == ["tiny:q4_0", "tiny:q8_0"]
    assert len(unasked) == 1
    assert "acme/Gone-GGUF" in unasked[0]


def test_where_all_fail_the_first_is_the_error_and_the_others_stand_in_its_reason(open_: Open) -> None:
    with pytest.raises(UnknownModel) as error:
        asked(found("hf:acme/Gone-GGUF", "hf:acme/Lost-GGUF"), open_())
    assert "acme/Gone-GGUF" in error.value.message
    assert "acme/Lost-GGUF" in (error.value.why or "")


def test_a_hub_that_is_away_is_asked_once(open_: Open, hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubUnreachable) as error:
        asked(found("hf:acme/Tiny-GGUF", "hf:acme/Part-GGUF"), open_())
    assert "acme/Part-GGUF" not in str(error.value)
    assert hub.log() == []


def test_what_needs_more_memory_than_there_is_is_no_room(open_: Open, hub: Server) -> None:
    here = open_()
    sizing = Sizing(here, slots=1_000_000)
    with pytest.raises(NoRoom) as error:
        best_of(choose(here.catalog.find("hf:acme/Tiny-GGUF"), here, sizing), sizing)
    assert "shorter context" in (error.value.remedy or "")
    assert "tiny:q8_0" in (error.value.why or "")
    assert whole_files(hub) == []


def test_the_best_is_judged_by_its_own_header(open_: Open, hub: Server) -> None:
    here = open_()
    sizing = Sizing(here)
    choice = choose(here.catalog.find("hf:acme/Part-GGUF"), here, sizing)
    assert choice.best is not None
    assert choice.best.variant.id == "part:q8_0", "its size and its sibling's header speak for it"
    best = best_of(choice, sizing).variant
    assert best.id == "part:q4_0"
    stored = fetch([best], here, transfers=Silent())
    assert [one.variant.id for one in stored] == ["part:q4_0"]
    assert whole_files(hub) == ["part-Q4_0.gguf"]


def test_a_broken_header_is_told_of_and_the_next_one_gives_the_shape(open_: Open) -> None:
    here = open_()
    choice = choose(here.catalog.find("hf:acme/Part-GGUF"), here, Sizing(here))
    broken = next(one for one in choice.ranked.rankings if one.variant.id == "part:q5_0")
    assert not broken.ok
    assert "cut off" in broken.reasons[0]
    assert choice.ranked.rankings[-1] is broken
    sound = next(one for one in choice.ranked.rankings if one.variant.id == "part:q4_0")
    assert sound.variant.context_length == 2048
    assert "part:q5_0" not in choice.estimates


def test_where_every_header_is_broken_not_all_are_asked_for(open_: Open, hub: Server) -> None:
    here = open_()
    choose(here.catalog.find("hf:acme/Broken-GGUF"), here, Sizing(here))
    assert len({entry["path"] for entry in hub.log("*.gguf", method="GET")}) == BROKEN
    with pytest.raises(UnknownModel) as error:
        app.download(["hf:acme/Broken-GGUF"], home=here.settings.home)
    assert "is not a GGUF file" in (error.value.why or "")
    assert "and 1 more" in (error.value.why or "")
    assert whole_files(hub) == []


def test_what_was_named_is_fetched_with_a_word_that_it_will_not_run(open_: Open) -> None:
    notes = Notes()
    stored = app.download(["hf:acme/Part-GGUF:q5_0"], home=open_().settings.home, transfers=notes)
    assert [one.variant.id for one in stored] == ["part:q5_0"]
    assert any("part:q5_0 is not going to run here" in told and "cut off" in told for told in notes.told)


def test_a_context_longer_than_the_model_has_is_refused_before_a_download(open_: Open, hub: Server) -> None:
    home = open_().settings.home
    info = app.model_info("hf:acme/Tiny-GGUF", context_length=4096, home=home)
    assert info.runs is None
    assert all("at most 2,048" in one.reasons[0] and not one.ok for one in info.variants)
    with pytest.raises(UnknownModel) as error:
        app.download(["hf:acme/Tiny-GGUF"], context_length=4096, home=home)
    assert error.value.remedy == "ask for 2048 tokens of context or less"
    assert whole_files(hub) == []
    assert app.model_info("notes-4m", context_length=4096, home=home).runs is None
    assert app.model_info("notes-4m", context_length=2048, home=home).runs is not None


def test_headers_that_the_hub_keeps_are_told_of_as_not_asked(open_: Open) -> None:
    home = open_().settings.home
    info = app.model_info("hf:acme/Gated-GGUF", home=home)
    assert info.runs == "gated:q4_0"
    assert any("acme/Gated-GGUF" in reason and "terms" in reason for reason in info.unasked)
    with pytest.raises(HubRefused):
        app.download(["hf:acme/Gated-GGUF"], home=home)


def test_a_name_given_twice_is_fetched_and_told_of_once(open_: Open, hub: Server) -> None:
    home = open_().settings.home
    stored = app.download(["hf:acme/Tiny-GGUF:q4_0", "hf:acme/Tiny-GGUF:q4_0"], home=home)
    again = app.download(["tiny", "tiny"], home=home)
    assert [one.variant.id for one in (*stored, *again)] == ["tiny:q4_0", "tiny:q4_0"]
    assert whole_files(hub) == ["tiny-Q4_0.gguf"]


def test_one_list_that_is_the_projects_and_the_users_is_read_once(open_: Open, tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text('[{"name": "x", "colour": "red"}]', encoding="utf-8")
    notes = Notes()
    rows = app.list_models(home=tmp_path, reporter=notes)
    assert [row.alias for row in rows].count("x") == 1
    assert len(notes.told) == 1


def test_what_is_here_and_cannot_run_is_listed_so(open_: Open) -> None:
    home = open_().settings.home
    app.download(["hf:acme/Part-GGUF:q5_0", "hf:acme/Tiny-GGUF:q4_0"], home=home)
    rows = {row.id: row for row in app.list_models(cached=True, home=home)}
    assert rows["part:q5_0"].fits == "no"
    assert "cut off" in rows["part:q5_0"].reason
    assert rows["tiny:q4_0"].fits == "yes"
    longer = {row.id: row for row in app.list_models(cached=True, context_length=4096, home=home)}
    assert longer["tiny:q4_0"].fits == "no"
    assert "at most 2,048" in longer["tiny:q4_0"].reason


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_model_in_a_store_that_cannot_be_written_is_used_unmarked(open_: Open) -> None:
    here = open_()
    (stored,) = app.download(["hf:acme/Tiny-GGUF:q4_0"], home=here.settings.home)
    here.store.folder.chmod(0o500)
    try:
        with here.hold(here.store.placed(stored)):
            assert here.store.holders("tiny:q4_0") == []
    finally:
        here.store.folder.chmod(0o700)
