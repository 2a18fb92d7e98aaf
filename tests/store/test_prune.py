from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from assay.store import Store
from assay.store.part_lock import locked
from assay.store.prune import DAY_S, Contents, Item, Kept, Leftover, Plan, carry_out, look, plan
from assay.types import Stored
from tests.store import as_nobody
from tests.store.conftest import keep, offer
from tests.store.test_held import start

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def kept(id_: str, own: int = 10, *, added: float = 30, used: float | None = None, in_use: bool = False) -> Kept:
    stored = Stored(
        variant=offer(id_, {}), added=ago(added), origin="download", used=None if used is None else ago(used)
    )
    return Kept(stored, own, in_use)


def names(contents: Contents, **wish: float | bool | int | None) -> list[str]:
    return [item.name for item in plan(contents, NOW, **wish).items]  # type: ignore[arg-type]


VARIANTS = Contents(
    (
        kept("never", added=40),
        kept("new", added=0.1),
        kept("old", added=90, used=35),
        kept("young", added=90, used=1),
        kept("busy", added=90, used=35, in_use=True),
    )
)


def test_without_a_wish_no_model_goes() -> None:
    assert plan(VARIANTS, NOW).items == ()


def test_age_counts_from_the_last_use_or_else_from_the_arrival() -> None:
    found = plan(VARIANTS, NOW, older_than=30 * DAY_S)
    assert found.items == (
        Item("model", "never", 10, "here for 40 days, never used"),
        Item("model", "old", 10, "not used for 35 days"),
    )
    assert found.in_use == ("busy",)
    assert found.bytes == 20


def test_never_used_is_a_condition_of_its_own_and_both_must_be_met() -> None:
    assert names(VARIANTS, unused=True) == ["never", "new"]
    assert names(VARIANTS, unused=True, older_than=7 * DAY_S) == ["never"]


def test_over_takes_those_that_were_not_used_for_longest_until_it_fits() -> None:
    assert names(VARIANTS, over=50) == []
    assert names(VARIANTS, over=49) == ["never"]
    assert names(VARIANTS, over=30) == ["never", "old"]
    assert names(VARIANTS, over=25, older_than=30 * DAY_S) == ["never", "old", "young"]
    found = plan(VARIANTS, NOW, over=0)
    assert [item.name for item in found.items] == ["never", "old", "young", "new"]
    assert (found.over, found.in_use) == (10, ("busy",))
    assert "the models take over 0 bytes" in found.items[0].why


def test_what_frees_nothing_does_not_go_to_make_room() -> None:
    contents = Contents((kept("links", own=0, added=99), kept("real", own=10)))
    assert names(contents, over=5) == ["real"]
    assert names(contents, older_than=DAY_S) == ["links", "real"]


def test_a_time_that_cannot_be_read_is_no_reason_to_go() -> None:
    odd = kept("odd")
    odd = odd._replace(stored=structs.replace(odd.stored, added="some day"))
    assert names(Contents((odd,)), older_than=1.0) == []


@given(
    variants=st.lists(
        st.tuples(st.integers(0, 100), st.floats(0, 99), st.none() | st.floats(0, 99), st.booleans()),
        max_size=12,
    ),
    older_than=st.none() | st.floats(0, 100 * DAY_S),
    unused=st.booleans(),
    over=st.none() | st.integers(0, 600),
)
def test_what_is_in_use_stays_and_the_size_is_met_where_it_can_be(
    variants: list[tuple[int, float, float | None, bool]], older_than: float | None, unused: bool, over: int | None
) -> None:
    contents = Contents(
        tuple(kept(f"m{n}", own, added=a, used=u, in_use=i) for n, (own, a, u, i) in enumerate(variants))
    )
    found = plan(contents, NOW, older_than=older_than, unused=unused, over=over)
    going = {item.name for item in found.items}
    by_id = {one.stored.variant.id: one for one in contents.variants}
    assert len(going) == len(found.items)
    assert not any(by_id[name].in_use for name in going)
    assert set(found.in_use) <= {name for name, one in by_id.items() if one.in_use}
    assert found.bytes == sum(by_id[name].own for name in going)
    left = sum(one.own for name, one in by_id.items() if name not in going)
    if over is not None:
        assert found.over == max(0, left - over)
        assert left <= over or all(one.in_use or not one.own for name, one in by_id.items() if name not in going)
    elif older_than is None and not unused:
        assert not going


@pytest.mark.parametrize(
    ("kind", "days", "goes"),
    [
        ("partial", 6.9, False),
        ("partial", 7.1, True),
        ("orphan", 0.9, False),
        ("orphan", 1.1, True),
        ("temporary", 0.9, False),
        ("temporary", 1.1, True),
        ("refused", 0.0, True),
    ],
)
def test_leftovers_go_when_nobody_is_at_work_on_them_any_more(kind: str, days: float, goes: bool) -> None:
    left = Leftover(kind, Path("/store/partial/x.part"), 5, days * DAY_S)  # type: ignore[arg-type]
    found = plan(Contents((), (left,)), NOW)
    assert [(item.name, item.bytes) for item in found.items] == ([("partial/x.part", 5)] if goes else [])


# On the disk.


def put(path: Path, content: bytes, days: float = 10.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    time = datetime.now(UTC).timestamp() - days * DAY_S
    os.utime(path, (time, time))
    if path.parent.parent.name in {"files", "aside"}:
        os.utime(path.parent, (time, time))
    return path


@pytest.fixture
def littered(store: Store, tmp_path: Path) -> Store:
    """A store with one variant, one of each leftover, old and fresh, and links that lead out of it."""
    keep(store, "m:q4", {"f": b"x" * 7})
    put(store.layout.part("old"), b"12345")
    put(store.layout.part("fresh"), b"12345", days=0.1)
    orphan = put(store.layout.files / "gone--q4" / "f.gguf", b"123")
    put(store.layout.files / ".new-half--q4" / "f.gguf", b"12")
    put(store.layout.files / "coming--q4" / "f.gguf", b"1", days=0.01)
    put(store.layout.aside / "lossy--q4" / "f.gguf", b"123456", days=0.0)
    put(store.layout.records / ".abc.new", b"1234")
    put(tmp_path / "there", b"not mine")
    (orphan.parent / "link").symlink_to(tmp_path / "there")
    (orphan.parent / "twin").hardlink_to(store.folder_of("m:q4") / "f")
    time = datetime.now(UTC).timestamp() - 10 * DAY_S
    os.utime(orphan.parent / "link", (time, time), follow_symlinks=False)
    os.utime(orphan.parent / "twin", (time, time))
    os.utime(orphan.parent, (time, time))
    return store


def test_leftovers_are_found_told_and_swept(littered: Store, tmp_path: Path) -> None:
    found = plan(look(littered, datetime.now(UTC)), datetime.now(UTC))
    assert [(item.kind, item.name, item.bytes) for item in found.items] == [
        ("partial", "partial/old.part", 5),
        ("orphan", "files/.new-half--q4", 2),
        ("orphan", "files/gone--q4", 3),
        ("refused", "aside/lossy--q4", 6),
        ("temporary", "records/.abc.new", 4),
    ]
    assert littered.layout.part("old").exists(), "a plan deletes nothing"
    assert carry_out(littered, found) == found.bytes == 20
    assert (tmp_path / "there").read_bytes() == b"not mine"
    assert (littered.folder_of("m:q4") / "f").read_bytes() == b"x" * 7
    left = {p.relative_to(littered.folder).as_posix() for p in littered.folder.rglob("*") if p.is_file()}
    assert left == {"files/m--q4/f", "files/coming--q4/f.gguf", "partial/fresh.part", "records/m--q4.json"}
    assert carry_out(littered, found) == 0, "what is gone already is no error"


def test_what_has_changed_since_the_plan_stays(littered: Store) -> None:
    found = plan(look(littered, datetime.now(UTC)), datetime.now(UTC))
    keep(littered, "gone:q4", {"f.gguf": b"123"})
    with locked(littered.layout.lock("old")), locked(littered.layout.lock("half--q4")):
        freed = carry_out(littered, found)
    assert freed == 6 + 4
    assert littered.layout.part("old").exists()
    assert (littered.layout.files / ".new-half--q4").exists()
    assert (littered.folder_of("gone:q4") / "f.gguf").read_bytes() == b"123"


def test_models_go_unless_they_came_into_use_or_went_already(store: Store) -> None:
    for id_ in ("a:q4", "b:q4", "c:q4"):
        keep(store, id_, {"f": b"x" * 7})
    found = plan(look(store, datetime.now(UTC)), datetime.now(UTC), over=0)
    assert [item.name for item in found.items] == ["a:q4", "b:q4", "c:q4"]
    store.drop("b:q4")
    with store.hold("c:q4"):
        assert carry_out(store, found) == 7
    assert [stored.variant.id for stored in store.list()] == ["c:q4"]


def test_what_another_process_uses_is_seen(store: Store) -> None:
    keep(store, "m:q4", {"f": b"x"})
    with start(store) as other:
        assert look(store, NOW).variants[0].in_use
        other.kill()
    assert not look(store, NOW).variants[0].in_use
    assert not any(store.layout.in_use.rglob("*.json")), "the mark of the dead is swept"


def test_marks_of_variants_that_are_gone_are_swept(store: Store) -> None:
    keep(store, "m:q4", {"f": b"x"})
    with start(store) as other:
        other.kill()
    store.drop("m:q4")
    look(store, NOW)
    assert not any(store.layout.in_use.rglob("*.json"))


def test_an_empty_store_has_nothing_to_go(store: Store) -> None:
    found = plan(look(store, NOW), NOW, older_than=0.0, over=0)
    assert found == Plan(())
    assert carry_out(store, found) == 0


def test_a_leftover_without_rights_is_told_of() -> None:
    imports = """
import shutil, sys
from datetime import UTC, datetime
from pathlib import Path
import psutil
from assay.errors import StoreError
from assay.store import Store
from assay.store.prune import carry_out, look, plan
"""
    script = """
store, now = Store(Path(sys.argv[1])), datetime.now(UTC)
try:
    carry_out(store, plan(look(store, now), now))
except StoreError as error:
    print(error.message)
"""
    with as_nobody.open_folder() as folder:
        store = Store(folder)
        left = put(store.layout.aside / "lossy" / "f", b"x")
        ended = as_nobody.run(imports, script, folder)
        assert left.exists()
    assert ended.stdout == f"{left.parent} cannot be deleted\n", ended.stderr
