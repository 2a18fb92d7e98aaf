from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from assay.errors import AssayError, BadInput, UnknownModel
from assay.store import Store, foreign
from assay.store.foreign import Place
from assay.store.importing import import_, read_import
from assay.types import File, Format, Silent, Variant
from tests.formats.gguf_bytes import write_gguf
from tests.formats.onnx_bytes import write_onnx_folder
from tests.store import as_nobody
from tests.store.conftest import content_of, keep
from tests.store.foreign_folders import (
    NEWER_PICKLE,
    TORCH_LEGACY,
    TORCH_ZIP,
    cached,
    checkpoint,
    pulled,
    safetensors,
    sha256,
    tiny,
)


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.bars: list[tuple[int, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: int, total: int, _text: str = "") -> None:
        self.bars.append((done, total))


def local(entry: Path, alias: str = "tiny", format: Format = "gguf", quantisation: str = "q8_0") -> Variant:  # noqa: A002
    """What the catalog would read at ``entry``."""
    inside = [entry] if entry.is_file() else sorted(file for file in entry.iterdir() if file.is_file())
    return Variant(
        id=f"{alias}:{quantisation}",
        alias=alias,
        format=format,
        source=entry.name,
        quantisation=quantisation,
        path=str(entry),
        files=tuple(File(path=file.name, size=file.stat().st_size) for file in inside),
    )


def refused(text: str | Path, places: list[Place] | None = None) -> AssayError:
    with pytest.raises(AssayError) as caught:
        read_import(str(text), places or [])
    return caught.value


# What people name.


def test_a_gguf_file_is_known_by_what_it_begins_with(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    assert read_import(str(path), []) == (path, None)
    plain = path.rename(tmp_path / "blob")
    assert read_import(f" {plain} ", []) == (plain, None)


def test_folders_are_known_by_what_lies_in_them(tmp_path: Path) -> None:
    onnx, safe = write_onnx_folder(tmp_path / "onnx"), checkpoint(tmp_path / "safe")
    assert read_import(str(onnx), []) == (onnx, None)
    assert read_import(str(safe), []) == (safe, None)
    assert read_import(str(safe / "model.safetensors"), []) == (safe, None)
    assert read_import(str(onnx / "model.onnx"), []) == (onnx, None)
    assert read_import(str(onnx / "genai_config.json"), []) == (onnx, None)


def test_a_folder_of_gguf_files_is_taken_as_a_whole_and_one_below_is_found(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "a" / "tiny-q8.gguf")
    assert read_import(str(tmp_path), []) == (first, None)
    write_gguf(tmp_path / "a" / "tiny-q4.gguf")
    assert read_import(str(tmp_path / "a"), []) == (tmp_path / "a", None)
    write_gguf(tmp_path / "b" / "other.gguf")
    error = refused(tmp_path)
    assert "3 models" in error.message
    assert str(tmp_path / "b" / "other.gguf") in str(error.remedy)


def test_of_nested_versions_the_newest_counts_and_the_name_above_it(tmp_path: Path) -> None:
    top = tmp_path / "phi-4-mini-cpu-5"
    for version in ("v2", "v10", "v9"):
        newest = write_onnx_folder(top / version)
        (newest / "inference_model.json").write_text(json.dumps({"Name": f"phi-4-mini-cpu:{version[1:]}"}))
    assert read_import(str(top), []) == (top / "v10", "phi-4-mini-cpu")
    nameless = tmp_path / "mine"
    for version in ("v2", "v10"):
        write_onnx_folder(nameless / version)
    assert read_import(str(nameless), []) == (nameless / "v10", "mine")
    below = tmp_path / "old"
    write_onnx_folder(below / "cpu-int4")
    (below / "inference_model.json").write_text('{"Name": "old-generic-cpu"}')
    assert read_import(str(below), []) == (below / "cpu-int4", "old-generic-cpu")


def test_one_pickle_among_gguf_files_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").write_bytes(TORCH_ZIP)
    assert "pickled weights" in refused(tmp_path).message


def test_two_different_onnx_models_are_not_versions_of_one(tmp_path: Path) -> None:
    write_onnx_folder(tmp_path / "one" / "v1")
    write_onnx_folder(tmp_path / "two" / "v1")
    assert "2 models" in refused(tmp_path).message


@pytest.mark.parametrize("content", [TORCH_ZIP, TORCH_LEGACY, NEWER_PICKLE], ids=["zip", "legacy", "protocol 4"])
@pytest.mark.parametrize("name", ["m.gguf", "model.safetensors", "pytorch_model.bin", "weights.pt"])
def test_pickles_are_refused_whatever_their_name_and_the_way_out_is_told(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(content)
    for text in (tmp_path, tmp_path / name):
        error = refused(text)
        assert type(error) is BadInput
        assert "pickled weights" in error.message
        assert "save_pretrained" in str(error.remedy)


def test_an_index_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin.index.json").write_text("{}")
    assert "pickled weights" in refused(tmp_path).message


def test_what_is_no_model_says_what_would_be_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for text in (tmp_path / "notes.txt", tmp_path):
        error = refused(text)
        assert type(error) is BadInput
        assert "GGUF" in str(error.remedy)
    for name in (str(tmp_path / "nowhere"), " ", "a\0b", "~nobody-of-that-name/m.gguf", "x" * 5000):
        assert type(refused(name)) is UnknownModel


# Other programs' names.


@pytest.fixture
def home(tmp_path: Path) -> Path:
    hub = tmp_path / ".cache" / "huggingface" / "hub"
    cached(hub, "org/One-GGUF", {"one-q8_0.gguf": tiny("one"), "README.md": b"x"})
    cached(hub, "org/Two-GGUF", {"a.gguf": tiny("a"), "b.gguf": tiny("b")})
    cached(hub, "org/safe", {"config.json": b"{}", "model.safetensors": safetensors()})
    cached(hub, "org/pickled", {"config.json": b"{}", "pytorch_model.bin": TORCH_ZIP})
    pulled(tmp_path / ".ollama" / "models", "llama3.2", {"model": tiny("ollama")}, tag="1b")
    pulled(tmp_path / ".ollama" / "models", "qwen", {"model": tiny("qwen")})
    for name in ("lm.gguf", "other.gguf"):
        write_gguf(tmp_path / ".lmstudio" / "models" / "org" / "Many" / name)
    write_gguf(tmp_path / ".lmstudio" / "models" / "org" / "Single" / "one.gguf")
    for version in (4, 5):
        folder = tmp_path / ".foundry" / "cache" / "models" / "Microsoft" / f"phi-{version}" / f"v{version}"
        write_onnx_folder(folder, inference_model__json=json.dumps({"Name": f"phi-4-mini-cpu:{version}"}))
    return tmp_path


@pytest.fixture
def places(home: Path) -> list[Place]:
    return [place for place in foreign.places({}, home) if place.folder.is_relative_to(home)]


@pytest.mark.parametrize(
    ("text", "alias", "ends"),
    [
        ("ollama:llama3.2:1b", "llama3.2-1b", "blobs/sha256-"),
        ("ollama:qwen", "qwen", "blobs/sha256-"),
        ("Ollama:library/QWEN:latest", "qwen", "blobs/sha256-"),
        ("lmstudio:org/Single", None, "org/Single/one.gguf"),
        ("lmstudio:org/many/lm.gguf", None, "org/Many/lm.gguf"),
        ("foundry:phi-4-mini-cpu", "phi-4-mini-cpu", "phi-5/v5"),
        ("foundry:Phi-4-mini-CPU:4", "phi-4-mini-cpu", "phi-4/v4"),
        ("hf-cache:org/One-GGUF", None, "one-q8_0.gguf"),
        ("hf-cache:org/two-gguf/b.gguf", None, "b.gguf"),
        ("hf-cache:org/safe", "safe", "c" * 40),
    ],
)
def test_other_programs_names_are_understood(
    places: list[Place],
    text: str,
    alias: str | None,
    ends: str,
) -> None:
    found = read_import(text, places)
    assert found.alias == alias
    assert ends in str(found.path)
    assert found.path.exists()


def test_everything_that_is_listed_can_be_named(places: list[Place]) -> None:
    listed = foreign.found(places)
    assert len(listed) == 11
    for row in listed:
        assert read_import(row.name, places).path == row.path, row.name


def test_a_name_that_several_have_asks_which(places: list[Place]) -> None:
    for text in ("lmstudio:org/Many", "hf-cache:org/Two-GGUF"):
        error = refused(text, places)
        assert "2 models" in error.message
        assert ".gguf" in str(error.remedy)


def test_names_that_are_not_there_tell_near_ones(places: list[Place]) -> None:
    assert "llama3.2:1b" in str(refused("ollama:llama3.2", places).why)
    assert "one-q8_0" in str(refused("hf-cache:org/One-GUF", places).why)
    for text in ("ollama:", "hf-cache:", "lmstudio:/", "foundry:nothing-like-it"):
        assert type(refused(text, places)) is UnknownModel
    assert "no models on this machine" in refused("ollama:qwen", []).message


def test_a_cached_repository_of_pickles_is_refused_as_such(places: list[Place]) -> None:
    assert "pickled weights" in refused("hf-cache:org/pickled", places).message


# What becomes of it.


def test_an_import_links_and_hashes_and_leaves_the_source_as_it_is(store: Store, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "there" / "tiny.gguf")
    before = path.stat()
    heard = Heard()
    stored = import_(store, local(path), reporter=heard)
    assert stored == store.find("tiny:q8_0")
    assert (stored.origin, stored.links) == ("import", {"tiny.gguf": str(path)})
    assert stored.variant.files == (File(path="tiny.gguf", size=before.st_size, sha256=sha256(path.read_bytes())),)
    placed = Path(str(store.placed(stored).path))
    assert placed.readlink() == path
    assert placed.read_bytes() == path.read_bytes()
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert heard.bars[-1] == (before.st_size, before.st_size)
    assert store.disk(stored) == (0, before.st_size)


def test_a_copy_is_a_file_of_its_own(store: Store, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "there")
    content = {file.name: file.read_bytes() for file in folder.iterdir()}
    stored = import_(store, local(folder, format="safetensors"), copy=True, reporter=Heard())
    shutil.rmtree(folder)
    assert stored.links == {}
    assert content_of(store, stored) == content
    assert store.disk(stored) == (sum(map(len, content.values())), 0)
    assert list(store.layout.partial.iterdir()) == []


def test_the_same_thing_twice_gives_the_record_that_is_there(store: Store, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    first = import_(store, local(path), reporter=Heard())
    heard = Heard()
    assert import_(store, local(path), reporter=heard) == first
    assert import_(store, local(path), alias="another", reporter=heard) == first
    copy = Path(shutil.copy(path, tmp_path / "copy.gguf"))
    assert import_(store, local(copy, alias="copy"), reporter=heard) == first
    assert len(store.list()) == 1
    assert heard.notes == ["tiny:q8_0 is here already, with the same files"] * 3


def test_what_lies_in_the_store_by_download_is_not_imported_again(store: Store, tmp_path: Path) -> None:
    there = keep(store, "hub:q8", {"m.gguf": tiny()})
    path = tmp_path / "same.gguf"
    path.write_bytes(tiny())
    assert import_(store, local(path), reporter=Heard()) == there


def test_a_lost_link_is_made_anew(store: Store, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    first = import_(store, local(path), reporter=Heard())
    moved = path.rename(tmp_path / "moved.gguf")
    heard = Heard()
    second = import_(store, local(moved, alias="moved"), reporter=heard)
    assert second.variant == first.variant
    assert second.links == {"tiny.gguf": str(moved)}
    assert heard.notes == ["tiny:q8_0 is here already, and what it lacked is put back"]
    assert content_of(store, second) == {"tiny.gguf": tiny()}


def test_a_damaged_download_is_put_right_by_a_file_that_lies_elsewhere(store: Store, tmp_path: Path) -> None:
    there = keep(store, "hub:q8", {"m.gguf": tiny()})
    (store.folder_of("hub:q8") / "m.gguf").write_bytes(b"short")
    path = write_gguf(tmp_path / "same.gguf")
    stored = import_(store, local(path), reporter=Heard())
    assert (stored.variant, stored.origin) == (there.variant, "download")
    assert content_of(store, stored) == {"m.gguf": tiny()}


def test_a_file_that_was_changed_is_a_newer_state_of_the_same(store: Store, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    import_(store, local(path), reporter=Heard())
    path.write_bytes(tiny("changed"))
    stored = import_(store, local(path), reporter=Heard())
    assert stored.variant.files[0].sha256 == sha256(tiny("changed"))
    assert store.list() == [stored]


def test_another_model_of_the_same_name_is_not_replaced(store: Store, tmp_path: Path) -> None:
    first = import_(store, local(write_gguf(tmp_path / "a" / "tiny.gguf")), reporter=Heard())
    other = write_gguf(tmp_path / "b" / "tiny.gguf", general__name="Other")
    with pytest.raises(BadInput, match="another model is here under the name tiny:q8_0") as caught:
        import_(store, local(other), reporter=Heard())
    assert "--alias" in str(caught.value.remedy)
    assert store.list() == [first]
    second = import_(store, local(other), alias="other", reporter=Heard())
    assert (second.variant.alias, second.variant.id) == ("other", "other:q8_0")
    assert len(store.list()) == 2


@pytest.mark.parametrize("alias", ["", "a:b", "a/b", "../x", " a", "a b", "-a", ".a"])
def test_a_name_that_cannot_be_one_is_refused(store: Store, tmp_path: Path, alias: str) -> None:
    with pytest.raises(BadInput, match="cannot be a model's name"):
        import_(store, local(write_gguf(tmp_path / "tiny.gguf")), alias=alias, reporter=Heard())


def test_a_file_of_ollama_gets_an_ending(store: Store, tmp_path: Path) -> None:
    blob = pulled(tmp_path, "llama3.2", {"model": tiny()}, tag="1b")
    stored = import_(store, local(blob, alias="llama3.2-1b"), reporter=Heard())
    assert [file.path for file in stored.variant.files] == ["llama3.2-1b--q8_0.gguf"]
    assert Path(str(store.placed(stored).path)).read_bytes() == tiny()


def test_a_cached_file_is_linked_where_it_really_lies(store: Store, tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "org/m", {"m.gguf": tiny()})
    stored = import_(store, local(snapshot / "m.gguf"), reporter=Heard())
    assert stored.links == {"m.gguf": str((snapshot / "m.gguf").resolve())}


def test_what_lies_in_the_store_s_own_folder_gets_a_second_name(store: Store) -> None:
    path = write_gguf(store.folder / "mine" / "tiny.gguf")
    stored = import_(store, local(path), reporter=Heard())
    assert stored.links == {}
    assert Path(str(store.placed(stored).path)).samefile(path)
    path.unlink()
    assert Path(str(store.placed(stored).path)).read_bytes() == tiny()


def test_pickles_beside_the_weights_are_left_out(store: Store, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "there")
    (folder / "training_args.bin").write_bytes(TORCH_ZIP)
    heard = Heard()
    stored = import_(store, local(folder, format="safetensors"), reporter=heard)
    assert sorted(content_of(store, stored)) == ["config.json", "model.safetensors"]
    assert any("training_args.bin" in note for note in heard.notes)


def test_a_pickle_among_the_weights_is_refused_though_others_are_sound(store: Store, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "there")
    (folder / "more.safetensors").write_bytes(TORCH_ZIP)
    with pytest.raises(BadInput, match=r"more\.safetensors holds pickled weights"):
        import_(store, local(folder, format="safetensors"), reporter=Heard())
    assert store.list() == []


def broken(folder: Path, name: str, content: bytes) -> Variant:
    checkpoint(folder)
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    return local(folder, format="safetensors")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: broken(f, "model.safetensors", TORCH_ZIP), "pickled weights"),
        (lambda f: broken(f, "model.safetensors", NEWER_PICKLE), "pickled weights"),
        (lambda f: broken(f, "pytorch_model.bin", TORCH_LEGACY), "pickled weights"),
        (lambda f: broken(f, "model.safetensors", safetensors()[:-1]), "not a sound safetensors file"),
        (lambda f: broken(f, "notes.txt", b"x"), "holds no weights"),
        (
            lambda f: structs.replace(broken(f, "model.safetensors", safetensors()), files=(File(path="../x"),)),
            "cannot be kept",
        ),
        (
            lambda f: structs.replace(broken(f, "m.safetensors", safetensors()), files=(File(path="gone.gguf"),)),
            "cannot be read",
        ),
        (lambda f: structs.replace(broken(f, "model.safetensors", safetensors()), path=None), "not on this machine"),
    ],
    ids=["zip", "protocol 4", "pickle only", "cut off", "no weights", "outside", "missing", "nowhere"],
)
def test_what_cannot_be_taken_leaves_nothing_behind(
    store: Store, tmp_path: Path, make: Callable[[Path], Variant], message: str
) -> None:
    variant = make(tmp_path / "there")
    for copy in (False, True):
        with pytest.raises(BadInput, match=message):
            import_(store, variant, copy=copy, reporter=Heard())
    assert store.list() == []
    assert not store.folder.exists()


def test_a_file_without_rights_is_told_of() -> None:
    imports = """
import sys
from pathlib import Path
from assay.errors import BadInput
from assay.store import Store
from assay.store.importing import import_, read_import
from assay.types import File, Silent, Variant
"""
    script = """
path = Path(sys.argv[1], "m.gguf")
variant = Variant(id="m", alias="m", format="gguf", source="m", path=str(path), files=(File(path="m.gguf"),))
for act in (lambda: read_import(str(path), []), lambda: import_(Store(Path(sys.argv[1])), variant, reporter=Silent())):
    try:
        act()
    except Exception as error:
        print(type(error).__name__, error.why)
"""
    with as_nobody.open_folder() as folder:
        write_gguf(folder / "m.gguf").chmod(0)
        ended = as_nobody.run(imports, script, folder)
    assert ended.stdout.splitlines() == ["UnknownModel Permission denied", "BadInput Permission denied"], ended.stderr


LIMITED = """
import resource, signal, sys
from pathlib import Path
from assay.errors import NoRoom
from assay.store import Store
from assay.store.importing import import_
from assay.types import File, Silent, Variant
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
path, store = Path(sys.argv[1]), Store(Path(sys.argv[2]))
variant = Variant(id="m", alias="m", format="gguf", source="m", path=str(path), files=(File(path=path.name),))
try:
    import_(store, variant, copy=True, reporter=Silent())
except NoRoom as error:
    print("no room:", error.why, [p for p in store.folder.rglob("*") if p.is_file()])
"""


def test_a_copy_that_does_not_fit_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny() + bytes(2000))
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(store.folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "no room:" in ended.stdout, ended.stderr
    assert ended.stdout.endswith("[]\n")
    assert store.list() == []
