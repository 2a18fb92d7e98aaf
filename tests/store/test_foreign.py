from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.store import foreign
from assay.store.foreign import Found, Place
from assay.types import File
from tests.formats.onnx_bytes import write_onnx_folder
from tests.store import as_nobody
from tests.store.foreign_folders import cached, pulled, sha256, tiny


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which four programs have a model each."""
    cached(tmp_path / ".cache" / "huggingface" / "hub", "org/hub", {"hub.gguf": tiny("hub")})
    pulled(tmp_path / ".ollama" / "models", "llama3.2", {"model": tiny("ollama")}, tag="1b")
    lm = tmp_path / ".lmstudio" / "models" / "org" / "lm" / "lm.gguf"
    lm.parent.mkdir(parents=True)
    lm.write_bytes(tiny("lm"))
    write_onnx_folder(tmp_path / ".foundry" / "cache" / "models" / "Microsoft" / "phi" / "v5")
    return tmp_path


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below, with what would change if it were written to."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in sorted(folder.rglob("*"))}


def mine(places: list[Place], home: Path) -> list[Place]:
    """Without what the machine that runs the tests may have in its own folders."""
    return [place for place in places if place.folder.is_relative_to(home)]


def test_every_program_s_folder_is_found_once(home: Path) -> None:
    (home / "link").symlink_to(home / ".ollama" / "models")
    places = mine(foreign.places({"OLLAMA_MODELS": str(home / "link")}, home), home)
    assert places == [
        Place("hf-cache", home / ".cache" / "huggingface" / "hub"),
        Place("ollama", home / "link"),
        Place("lmstudio", home / ".lmstudio" / "models"),
        Place("foundry", home / ".foundry" / "cache" / "models"),
    ]
    assert mine(foreign.places({}, home / "empty"), home) == []


def test_what_could_be_imported_is_listed_and_nothing_is_changed(home: Path) -> None:
    before = state(home)
    places = mine(foreign.places({}, home), home)
    found = foreign.found(places)
    assert [(row.name, row.program, row.format) for row in found] == [
        ("hf-cache:org/hub/hub.gguf", "Hugging Face cache", "gguf"),
        ("ollama:llama3.2:1b", "Ollama", "gguf"),
        ("lmstudio:org/lm/lm.gguf", "LM Studio", "gguf"),
        ("foundry:phi", "Foundry Local", "onnx"),
    ]
    lm = home / ".lmstudio" / "models"
    expected = Found("lmstudio:org/lm/lm.gguf", "LM Studio", lm, lm / "org" / "lm" / "lm.gguf", "gguf", len(tiny("lm")))
    assert found[2] == expected
    foreign.elsewhere(places)(File(path="x", size=1 << 21, sha256="0" * 64))
    assert state(home) == before


def test_a_file_is_found_by_its_hash_where_names_are_hashes(home: Path) -> None:
    search = foreign.elsewhere(mine(foreign.places({}, home), home))
    hub = search(File(path="other.gguf", size=len(tiny("hub")), sha256=sha256(tiny("hub"))))
    assert hub is not None
    assert hub.read_bytes() == tiny("hub")
    ollama = search(File(path="other.gguf", sha256=sha256(tiny("ollama"))))
    assert ollama is not None
    assert ollama.read_bytes() == tiny("ollama")
    assert search(File(path="x", size=len(tiny("lm")), sha256=sha256(tiny("lm")))) is None, "too small to look for"


def test_a_large_file_is_found_by_its_size(tmp_path: Path) -> None:
    first, second = os.urandom(foreign.SEARCHED), os.urandom(foreign.SEARCHED)
    (tmp_path / "extra" / "deep").mkdir(parents=True)
    (tmp_path / "extra" / "deep" / "first.gguf").write_bytes(first)
    (tmp_path / "extra" / "link.gguf").symlink_to(tmp_path / "extra" / "deep" / "first.gguf")
    search = foreign.elsewhere([], [tmp_path / "extra", tmp_path / "nowhere"])
    wanted = File(path="x.gguf", size=len(second), sha256=sha256(second))
    assert search(wanted) == tmp_path / "extra" / "deep" / "first.gguf", "its content is for the caller to check"
    (tmp_path / "extra" / "second.gguf").write_bytes(second)
    again = foreign.elsewhere([], [tmp_path / "extra"])
    assert again(wanted) == tmp_path / "extra" / "second.gguf"
    assert again(File(path="x.gguf", size=len(first), sha256=sha256(first))) == tmp_path / "extra/deep/first.gguf"
    assert again(File(path="x.gguf", size=len(first), sha256="0" * 64)) is None
    assert again(File(path="x.gguf", size=len(first))) is None
    assert again(File(path="x.gguf", size=len(first) + 1, sha256=sha256(first))) is None


def test_the_store_itself_is_not_elsewhere(tmp_path: Path) -> None:
    content = os.urandom(foreign.SEARCHED)
    (tmp_path / "models" / "files").mkdir(parents=True)
    (tmp_path / "models" / "files" / "m.gguf").write_bytes(content)
    wanted = File(path="m.gguf", size=len(content), sha256=sha256(content))
    assert foreign.elsewhere([], [tmp_path], store=tmp_path / "models")(wanted) is None
    assert foreign.elsewhere([], [tmp_path])(wanted) is not None


def test_folders_without_rights_are_as_good_as_empty() -> None:
    imports = """
import sys
from pathlib import Path
from assay.store import foreign
from assay.types import File
"""
    script = """
home = Path(sys.argv[1])
places = [place for place in foreign.places({}, home) if place.folder.is_relative_to(home)]
print(len(places), foreign.found(places), foreign.elsewhere(places)(File(path="x", size=1 << 21, sha256="0" * 64)))
"""
    with as_nobody.open_folder() as home:
        cached(home / ".cache" / "huggingface" / "hub", "org/hub", {"hub.gguf": tiny("hub")})
        pulled(home / ".ollama" / "models", "llama3.2", {"model": tiny("ollama")})
        locked = [home / ".cache" / "huggingface" / "hub" / "models--org--hub", home / ".ollama" / "models" / "blobs"]
        for folder in locked:
            folder.chmod(0)
        ended = as_nobody.run(imports, script, home)
        for folder in locked:
            folder.chmod(0o755)
    assert ended.stdout.split() == ["2", "[]", "None"], ended.stderr
