"""Repositories folded: each rule alone, and all of them on listings of any kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.catalog.folding import BURST, RULES, Folding, fold, moment
from assay.catalog.packagings import declared_base, is_packaging, model_name, packaging
from assay.types import File, Fold, Repo

PUBLISHERS = {"Maker", "qwen"}
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


def model(repo_id: str, **told: object) -> Repo:
    return Repo(**{"id": repo_id, "task": "text-generation", "licence": "mit", **told})  # type: ignore[arg-type]


def folded(*repos: Repo, known: tuple[str, ...] = ()) -> Folding:
    return fold(repos, known=known, publishers=PUBLISHERS)


def only(*repos: Repo, known: tuple[str, ...] = ()) -> Fold:
    (one,) = folded(*repos, known=known).folds
    return one


@pytest.mark.parametrize(
    ("repo_id", "name"),
    [
        ("a/Foo-7B", "foo-7b"),
        ("a/Foo-7B-GGUF", "foo-7b"),
        ("a/Foo-7B-i1-GGUF", "foo-7b"),
        ("a/Foo-7B-Q4_K_M-GGUF", "foo-7b"),
        ("a/Foo-7B-onnx-int4", "foo-7b"),
        ("a/Foo-7B-MLX-4bit", "foo-7b"),
        ("a/foo_7b_awq", "foo_7b"),
        ("a/Foo-7B-GPTQ-Int4", "foo-7b"),
        ("a/maker_Foo-7B-GGUF", "maker_foo-7b"),
        ("a/GGUF", "gguf"),
        ("a/Foo-4bits-of-wisdom", "foo-4bits-of-wisdom"),
    ],
)
def test_name_without_packaging(repo_id: str, name: str) -> None:
    assert model_name(repo_id) == name


def test_packagings_are_told_by_card_tag_or_name() -> None:
    assert is_packaging(model("a/b", relation="quantized"))
    assert is_packaging(model("a/b", tags=("base_model:quantized:Maker/Foo",)))
    assert is_packaging(model("a/Foo-GGUF"))
    assert not is_packaging(model("a/Foo", relation="finetune", base_models=("Maker/Foo",)))
    assert not is_packaging(model("a/Foo", tags=("gguf",)))
    assert (
        declared_base(model("a/b", tags=("base_model:quantized:Maker/Foo",), base_models=("other/x",))) == "Maker/Foo"
    )
    assert declared_base(model("a/b", base_models=("A/B",))) is None


def test_what_a_packaging_offers_is_read_from_files_before_tags() -> None:
    files = (File(path="foo-Q4_K_M.gguf", size=5), File(path="foo-Q8_0.gguf", size=9))
    offered = packaging(model("a/Foo-GGUF", files=files))
    assert offered.formats == ("gguf",)
    assert [(variant.quantisation, variant.disk) for variant in offered.variants] == [("q4_k_m", 5), ("q8_0", 9)]
    assert packaging(model("a/Foo-onnx")).formats == ("onnx",)
    assert packaging(model("a/Foo", tags=("GGUF", "onnx"))).formats == ("gguf", "onnx")
    assert packaging(model("a/Foo-AWQ")).formats == ()
    assert packaging(model("a/Foo-GGUF", files=(File(path="README.md"),))).formats == ()


def test_packagings_are_tied_to_their_model() -> None:
    folding = folded(
        model("Maker/Foo"),
        model("bartowski/Maker_Foo-GGUF"),
        model("x/Foo-AWQ", relation="quantized", base_models=("maker/foo",)),
        model("y/Foo-AWQ-GGUF", relation="quantized", base_models=("x/Foo-AWQ",)),
    )
    (one,) = folding.models
    assert (one.id, one.repo and one.repo.id) == ("Maker/Foo", "Maker/Foo")
    assert {repo.id for repo in one.packagings} == {"bartowski/Maker_Foo-GGUF", "x/Foo-AWQ", "y/Foo-AWQ-GGUF"}
    assert folding.folds == ()


def test_a_model_that_was_not_listed_is_named_by_its_packagings() -> None:
    (one,) = folded(
        model("x/Foo-GGUF", base_models=("Maker/Foo",)), model("y/foo-onnx", base_models=("maker/Foo",))
    ).models
    assert (one.id.lower(), one.repo, len(one.packagings)) == ("maker/foo", None, 2)


def test_packagings_whose_base_nobody_names_come_together_by_name() -> None:
    (one,) = folded(model("x/Foo-GGUF"), model("bartowski/Foo-GGUF"), model("y/Foo-onnx")).models
    assert (one.id, one.repo) == ("bartowski/Foo-GGUF", None)
    assert {repo.id for repo in one.packagings} == {"x/Foo-GGUF", "bartowski/Foo-GGUF", "y/Foo-onnx"}


def test_bases_in_a_circle_end() -> None:
    (one,) = folded(
        model("a/Foo-GGUF", base_models=("b/Foo-GGUF",)), model("b/Foo-GGUF", base_models=("a/Foo-GGUF",))
    ).models
    assert len(one.packagings) == 2


def test_a_name_made_to_be_read_in_many_ways_is_read_in_one() -> None:
    """Were each of its parts tried with the next and without, this would not end."""
    name = "a/b-gguf" + "_q4" * 1000
    assert model_name(name) == "b"
    assert model_name(f"{name}-x") == f"b-gguf{'_q4' * 1000}-x"


def test_what_is_known_is_no_news_and_neither_are_its_packagings() -> None:
    folding = folded(model("Maker/Foo"), model("x/Foo-GGUF", base_models=("Maker/Foo",)), known=("maker/foo",))
    assert {(away.id, away.rule, away.into) for away in folding.folds} == {
        ("Maker/Foo", "known", None),
        ("x/Foo-GGUF", "known", None),
    }
    assert only(model("x/Foo-GGUF"), known=("Maker/Foo",)).rule == "known"


def test_adapters_are_folded_into_their_base() -> None:
    away = only(model("Maker/Foo"), model("x/foo-lora-chat", relation="adapter", base_models=("Maker/Foo",)))
    assert (away.rule, away.into) == ("adapter", "Maker/Foo")
    assert only(model("x/bar", files=(File(path="sub/adapter_config.json"),))).rule == "adapter"


@pytest.mark.parametrize("name", ["test-foo", "foo_tmp", "my-awesome-model", "output", "checkpoint-1200", "Untitled"])
def test_names_of_trials(name: str) -> None:
    assert only(model(f"x/{name}")).rule == "trial"
    assert folded(model(f"Maker/{name}")).folds == ()


@pytest.mark.parametrize("name", ["latest-3b", "test-time-scaler", "contest-8b", "Model-X-7B", "attempt"])
def test_names_that_only_look_like_trials(name: str) -> None:
    assert folded(model(f"x/{name}")).folds == ()


def test_a_card_that_tells_nothing() -> None:
    assert only(Repo(id="x/foo", tags=("region:us",), downloads=3)).rule == "empty card"
    assert folded(Repo(id="Maker/foo")).folds == ()
    assert folded(Repo(id="x/foo", base_models=("Maker/Foo",))).folds == ()


@pytest.mark.parametrize("copy", ["copier/foo-7b", "copier/Maker_Foo-7B"])
def test_a_copied_name(copy: str) -> None:
    away = only(model("Maker/Foo-7B"), model(copy))
    assert (away.id, away.rule, away.into) == (copy, "copied name", "Maker/Foo-7B")
    assert "Maker/Foo-7B" in away.why
    assert only(model(copy), known=("maker/foo-7b",)).into is None


def test_the_same_files_under_another_name() -> None:
    files = (File(path="model.safetensors", size=10, sha256="a" * 64), File(path="README.md", size=1))
    old = model("x/foo", files=files, created="2026-11-01T00:00:00Z")
    new = model("y/bar", files=files[:1], created="2026-11-02T00:00:00Z")
    away = only(new, old)
    assert (away.id, away.rule, away.into) == ("y/bar", "same files", "x/foo")
    other = model("y/bar", files=(File(path="model.safetensors", size=10, sha256="b" * 64),))
    assert folded(old, other).folds == ()


def test_equal_sizes_count_only_under_the_same_base() -> None:
    files = (File(path="foo.gguf", size=10),)
    first = model("x/foo-GGUF", files=files, base_models=("Maker/Foo",))
    assert only(first, model("y/foo-gguf", files=files, base_models=("Maker/Foo",))).into == "Maker/Foo"
    assert folded(first, model("y/bar-gguf", files=files, base_models=("Maker/Bar",))).folds == ()
    unknown = [model(f"{owner}/foo-gguf", files=(File(path="foo.gguf"),), base_models=("Maker/Foo",)) for owner in "yz"]
    assert folded(*unknown).folds == ()


def test_merges_of_merges() -> None:
    merge = model("x/one", relation="merge", base_models=("Maker/Foo", "Maker/Bar"))
    again = model("x/two", tags=("mergekit",), base_models=("x/one", "Maker/Bar"))
    third = model("x/three", relation="merge", base_models=("x/two",))
    folding = folded(merge, again, third)
    assert {(away.id, away.rule, away.into) for away in folding.folds} == {
        ("x/two", "merge of merges", "x/one"),
        ("x/three", "merge of merges", "x/one"),
    }
    assert only(model("x/four", relation="merge", base_models=("z/Slerp-7B",))).into is None


def test_a_flood_of_uploads_is_one() -> None:
    minutes = [MONDAY + timedelta(minutes=10 * number) for number in range(BURST)]
    flood = [model(f"x/m{number}", created=when.isoformat()) for number, when in enumerate(minutes)]
    best = model("x/best", created=MONDAY.isoformat(), trending=5.0)
    later = model("x/later", created=(MONDAY + timedelta(days=9)).isoformat())
    folding = folded(*flood, best, later)
    assert {one.id for one in folding.models} == {"x/best", "x/later"}
    assert {(away.rule, away.into) for away in folding.folds} == {("many at once", "x/best")}
    assert folded(*flood[1:]).folds == ()
    slow = [MONDAY + timedelta(minutes=15 * number) for number in range(BURST)]
    assert folded(*(model(f"x/m{number}", created=when.isoformat()) for number, when in enumerate(slow))).folds == ()
    theirs = [model(f"Maker/m{number}", created=when.isoformat()) for number, when in enumerate(minutes)]
    assert folded(*theirs).folds == ()


def test_what_packages_a_folded_model_goes_with_it() -> None:
    folding = folded(model("Maker/Foo"), model("copier/Foo"), model("copier/Foo-GGUF", base_models=("copier/Foo",)))
    away = next(away for away in folding.folds if away.id == "copier/Foo-GGUF")
    assert (away.rule, away.into) == ("copied name", "Maker/Foo")
    assert "copier/Foo" in away.why


@pytest.mark.parametrize(
    ("text", "hour"), [("2026-11-16T12:00:00.000Z", 12), ("2026-11-16T12:00:00", 12), ("2026-11-16T12:00:00+02:00", 10)]
)
def test_times_as_hubs_write_them(text: str, hour: int) -> None:
    when = moment(text)
    assert when is not None
    assert (when.tzinfo, when.hour) == (UTC, hour)
    assert moment("yesterday") is None
    assert moment(None) is None


OWNERS = st.sampled_from(["Maker", "x", "y", "bartowski"])
NAMES = st.sampled_from(
    [
        "Foo",
        "foo",
        "Foo-GGUF",
        "Foo-AWQ",
        "Foo-AWQ-GGUF",
        "Bar",
        "Bar-onnx",
        "Maker_Foo-GGUF",
        "test",
        "Foo-merge",
        "lora",
    ]
)
IDS = st.builds("{}/{}".format, OWNERS, NAMES)
FILES = st.lists(
    st.builds(
        File,
        path=st.sampled_from(["model.safetensors", "foo.gguf", "README.md", "adapter_config.json"]),
        size=st.sampled_from([None, 1, 2]),
        sha256=st.sampled_from([None, "a" * 64]),
    ),
    max_size=2,
).map(tuple)
REPOS = st.lists(
    st.builds(
        Repo,
        id=IDS,
        files=st.none() | FILES,
        task=st.sampled_from([None, "text-generation"]),
        base_models=st.lists(IDS, max_size=2).map(tuple),
        relation=st.sampled_from([None, "quantized", "finetune", "adapter", "merge"]),
        tags=st.lists(st.sampled_from(["gguf", "merge", "base_model:quantized:Maker/Foo"]), max_size=2).map(tuple),
        created=st.sampled_from([None, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "nonsense"]),
    ),
    max_size=9,
    unique_by=lambda repo: repo.id.lower(),
)
KNOWN = st.lists(IDS, max_size=2)


@given(repos=REPOS, known=KNOWN)
@settings(max_examples=200)
def test_every_repository_is_shown_tied_or_folded_once(repos: list[Repo], known: list[str]) -> None:
    folding = fold(repos, known=known, publishers=PUBLISHERS)
    shown = [one.repo.id for one in folding.models if one.repo]
    tied = [repo.id for one in folding.models for repo in one.packagings]
    away = [away.id for away in folding.folds]
    assert sorted([*shown, *tied, *away]) == sorted(repo.id for repo in repos)
    ids = {one.id for one in folding.models}
    assert len(ids) == len(folding.models)
    assert all(one.into is None or one.into in ids for one in folding.folds)
    assert all(one.rule in RULES and one.why for one in folding.folds)


@given(repos=REPOS, known=KNOWN)
@settings(max_examples=200)
def test_folding_what_is_left_folds_nothing(repos: list[Repo], known: list[str]) -> None:
    folding = fold(repos, known=known, publishers=PUBLISHERS)
    rest = [repo for one in folding.models for repo in (one.repo, *one.packagings) if repo]
    again = fold(rest, known=known, publishers=PUBLISHERS)
    assert again.folds == ()
    # Where the middle of a chain of bases was folded, the model may go by the middle's name the second time.
    assert sum(len(one.packagings) for one in again.models) == sum(len(one.packagings) for one in folding.models)


@given(repos=REPOS, known=KNOWN)
def test_the_order_of_a_listing_does_not_matter(repos: list[Repo], known: list[str]) -> None:
    first, second = (fold(each, known=known, publishers=PUBLISHERS) for each in (repos, repos[::-1]))
    assert {(away.id, away.rule, away.into and away.into.lower()) for away in first.folds} == {
        (away.id, away.rule, away.into and away.into.lower()) for away in second.folds
    }


@pytest.mark.parametrize("text", [None, "", "soon", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_no_moment(text: str | None) -> None:
    assert moment(text) is None
