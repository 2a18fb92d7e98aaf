"""A look at the hub: two listings merged, filtered and ranked, with every repository accounted for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.catalog.discover import PUBLISHERS, Fitting, Wishes, discover
from assay.types import Discovery, File, Find, Repo, Variant
from tests.catalog.test_folding import KNOWN, REPOS

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SINCE = NOW - timedelta(days=7)
ANY = Wishes()


def model(repo_id: str, **told: Any) -> Repo:
    return Repo(
        **{"id": repo_id, "task": "text-generation", "licence": "mit", "created": "2026-11-20T00:00:00Z", **told}
    )


def gguf(repo_id: str, base: str, *sizes: int, **told: Any) -> Repo:
    names = ("Q4_K_M", "Q8_0", "F16")
    files = tuple(File(path=f"m-{name}.gguf", size=size) for name, size in zip(names, sizes, strict=False))
    return model(repo_id, base_models=(base,), relation="quantized", files=files if sizes else None, **told)


def look(
    newest: list[Repo], trending: list[Repo] | None = None, wishes: Wishes | None = None, **more: Any
) -> Discovery:
    return discover(newest, trending or [], since=SINCE, now=NOW, wishes=wishes or Wishes(), **more)


def ids(found: Discovery) -> list[str]:
    return [find.id for find in found.finds]


def test_what_one_listing_does_not_tell_the_other_does() -> None:
    (find,) = look([model("a/foo", downloads=5)], [model("A/Foo", downloads=None, trending=3.0, parameters=7)]).finds
    assert find.repo is not None
    assert (find.repo.downloads, find.repo.trending, find.parameters) == (5, 3.0, 7)
    assert find.why[:2] == ("new", "trending")


def test_a_find_has_what_it_and_its_packagings_tell() -> None:
    newest = [
        gguf("bartowski/foo-GGUF", "Maker/Foo", 400, 800, downloads=9, licence="other"),
        gguf("zed/foo-GGUF", "Maker/Foo", 300, downloads=99_000),
        gguf("maker/Foo-GGUF", "Maker/Foo", 500),
        model("Maker/Foo", licence="apache-2.0", parameters=1000, gated=True),
        model("zed/Foo-AWQ", relation="quantized", base_models=("Maker/Foo",)),
    ]
    (find,) = look(newest).finds
    assert (find.id, find.licence_class, find.parameters, find.gated, find.size) == (
        "Maker/Foo",
        "permissive",
        1000,
        True,
        300,
    )
    assert [pack.id for pack in find.packagings] == [
        "maker/Foo-GGUF",
        "bartowski/foo-GGUF",
        "zed/foo-GGUF",
        "zed/Foo-AWQ",
    ]
    assert [pack.id for pack in find.runnable] == ["maker/Foo-GGUF", "bartowski/foo-GGUF", "zed/foo-GGUF"]
    assert find.why == ("new", "as gguf")


def test_of_a_model_that_was_not_listed_its_packagings_tell() -> None:
    (find,) = look([gguf("x/foo-GGUF", "Maker/Foo", 300, task=None, chat_template=True)]).finds
    assert (find.id, find.repo, find.licence, find.task) == ("Maker/Foo", None, "mit", "text-generation")
    assert find.why == ("newly packaged", "as gguf")


def test_a_model_in_files_of_its_own_needs_no_other() -> None:
    (find,) = look([model("x/foo", files=(File(path="foo-Q4_0.gguf", size=7),))]).finds
    assert [pack.id for pack in find.runnable] == ["x/foo"]
    (plain,) = look([model("x/foo", files=(File(path="model.safetensors", size=7),))]).finds
    assert plain.packagings == ()
    assert plain.why[-1] == "no packaging seen that an engine here reads"


def test_rank_is_trending_then_publisher_downloads_and_age() -> None:
    old = "2020-01-01T00:00:00Z"
    newest = [
        model("x/plain", created=old),
        model("x/fresh"),
        model("x/loaded", created=old, downloads=1000),
        model("qwen/theirs", created=old, downloads=10),
        model("x/hot", created=old, trending=50.0),
    ]
    assert ids(look(newest)) == ["x/hot", "qwen/theirs", "x/loaded", "x/fresh", "x/plain"]
    assert all(0 <= find.score <= 1 for find in look(newest).finds)
    (best,) = look([model("qwen/x", created=NOW.isoformat(), downloads=7, trending=3.0)]).finds
    assert best.score == pytest.approx(1.0)
    assert best.why[:3] == ("new", "trending", "a known publisher's")


@pytest.mark.parametrize(
    ("wishes", "shown"),
    [
        (Wishes(), {"x/chat", "x/embed", "x/coder", "x/mute", "x/llama"}),
        (Wishes(task="chat"), {"x/chat", "x/coder", "x/llama"}),
        (Wishes(task="code"), {"x/coder"}),
        (Wishes(task="Embedding"), {"x/embed"}),
        (Wishes(task="feature-extraction"), {"x/embed"}),
        (Wishes(licences=("permissive",)), {"x/chat", "x/embed", "x/coder", "x/mute"}),
        (Wishes(licences=("restricted-use",)), {"x/llama"}),
        (Wishes(licences=("Llama3.2", "apache-2.0")), {"x/llama"}),
        (Wishes(max_size=1000), {"x/chat", "x/embed", "x/coder", "x/mute"}),
    ],
)
def test_what_was_not_asked_for_is_left_out_and_told(wishes: Wishes, shown: set[str]) -> None:
    newest = [
        model("x/chat", files=(File(path="m-Q4_0.gguf", size=1000), File(path="m-F16.gguf", size=9000))),
        model("x/embed", task="sentence-similarity" if wishes.task != "feature-extraction" else "feature-extraction"),
        model("x/coder"),
        model("x/mute", task=None, parameters=100),
        model("x/llama", licence="llama3.2", parameters=10_000),
    ]
    found = look(newest, wishes=wishes)
    assert set(ids(found)) == shown
    assert {away.id for away in found.left} == {repo.id for repo in newest} - shown
    assert all(away.why and away.rule in {"task", "licence", "size"} for away in found.left)


def test_size_is_that_of_the_smallest_set_of_files() -> None:
    (away,) = look([model("x/foo", files=(File(path="m-Q4_0.gguf", size=2000),))], wishes=Wishes(max_size=1999)).left
    assert (away.rule, away.why) == ("size", "its smallest set of files is 2.0 kB")
    (away,) = look([model("x/foo", parameters=70 * 10**9)], wishes=Wishes(max_size=4 * 10**9)).left
    assert away.why == "even at 1.5 bits a weight it would be 13.1 GB"


def test_fit_is_asked_in_the_order_of_rank_until_enough_fit() -> None:
    newest = [model(f"x/m{number}", trending=float(number)) for number in range(6)]
    asked: list[str] = []

    def fits(find: Find) -> Fitting:
        asked.append(find.id)
        return Fitting({"x/m4": False, "x/m3": None}.get(find.id, True), f"because of {find.id}")

    found = look(newest, fits=fits, only_fitting=True, limit=2)
    assert ids(found) == ["x/m5", "x/m2"]
    assert asked == ["x/m5", "x/m4", "x/m3", "x/m2"]
    assert {(away.id, away.rule) for away in found.left} == {
        ("x/m4", "fit"), ("x/m3", "fit"), ("x/m1", "limit"), ("x/m0", "limit"),
    }  # fmt: skip
    assert [find.fit_reason for find in found.finds] == ["because of x/m5", "because of x/m2"]
    assert [find.fits for find in look(newest, fits=fits).finds] == [True, False, None, True, True, True]


def test_what_would_be_fetched_is_held_against_the_size() -> None:
    large = Variant(id="foo:q8_0", alias="foo", format="gguf", source="hf:x/foo", files=(File(path="m.gguf", size=50),))
    (away,) = look([model("x/foo")], wishes=Wishes(max_size=40), fits=lambda _: Fitting(True, "it fits", large)).left
    assert away.rule == "size"
    (find,) = look([model("x/foo")], fits=lambda _: Fitting(True, "it fits", large)).finds
    assert (find.size, find.choice) == (50, large)


def test_what_is_known_is_left_out() -> None:
    found = look([model("x/foo"), model("x/bar")], known=("X/Foo",))
    assert ids(found) == ["x/bar"]
    assert [(away.id, away.rule) for away in found.left] == [("x/foo", "known")]


def test_what_is_folded_into_a_find_is_told_with_it() -> None:
    found = look([model("qwen/Foo-7B"), model("copier/Foo-7B")])
    (find,) = found.finds
    assert [(away.id, away.rule) for away in find.folded] == [("copier/Foo-7B", "copied name")]
    assert found.left == ()
    gone = look([model("qwen/Foo-7B"), model("copier/Foo-7B")], wishes=Wishes(licences=("attribution",)))
    assert {(away.id, away.rule, away.into) for away in gone.left} == {
        ("qwen/Foo-7B", "licence", None),
        ("copier/Foo-7B", "copied name", None),
    }


def test_times_are_told_in_utc() -> None:
    found = look([])
    assert (found.since, found.until, found.finds) == ("2026-11-15T00:00:00Z", "2026-11-22T00:00:00Z", ())


def test_publishers_are_written_as_they_are_compared() -> None:
    assert {owner.lower() for owner in PUBLISHERS} == PUBLISHERS


@given(newest=REPOS, trending=REPOS, known=KNOWN, limit=st.none() | st.integers(0, 3))
@settings(max_examples=150)
def test_no_repository_is_lost(newest: list[Repo], trending: list[Repo], known: list[str], limit: int | None) -> None:
    found = look(newest, trending, Wishes(task="chat"), known=known, limit=limit, fits=lambda _: Fitting(None, "?"))
    told = [away.id for away in found.left]
    for find in found.finds:
        own = [find.repo.id] if find.repo else []
        told += dict.fromkeys([*own, *(pack.id for pack in find.packagings)])
        told += [away.id for away in find.folded]
    assert sorted(id_.lower() for id_ in told) == sorted({repo.id.lower() for repo in (*newest, *trending)})
    assert limit is None or len(found.finds) <= limit
    assert all(away.into is None for away in found.left)
