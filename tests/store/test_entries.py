from __future__ import annotations

from pathlib import Path

from assay.store.entries import Entry, entries
from tests.formats.gguf_bytes import write_gguf
from tests.formats.onnx_bytes import write_onnx_folder
from tests.store.foreign_folders import checkpoint


def test_every_kind_is_found_by_what_one_opens(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "a" / "tiny.gguf")
    onnx = write_onnx_folder(tmp_path / "b" / "v2")
    safe = checkpoint(tmp_path / "c")
    (tmp_path / "a" / "notes.txt").write_text("x")
    sizes = [gguf.stat().st_size, sum(f.stat().st_size for f in onnx.iterdir())]
    sizes.append(sum(f.stat().st_size for f in safe.iterdir()))
    assert entries(tmp_path) == [
        Entry(gguf, "gguf", sizes[0]),
        Entry(onnx, "onnx", sizes[1]),
        Entry(safe, "safetensors", sizes[2]),
    ]


def test_a_split_model_is_one_and_its_parts_count_together(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"big-{number:05}-of-00003.gguf").write_bytes(bytes(number))
    (tmp_path / "bigger-00001-of-00002.gguf").write_bytes(bytes(10))
    (tmp_path / "orphan-00002-of-00002.gguf").write_bytes(bytes(10))
    assert entries(tmp_path) == [
        Entry(tmp_path / "big-00001-of-00003.gguf", "gguf", 6),
        Entry(tmp_path / "bigger-00001-of-00002.gguf", "gguf", 10),
    ]


def test_what_is_no_model_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mmproj-tiny.gguf").write_bytes(b"GGUF")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "model.safetensors").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    assert entries(tmp_path) == []
    assert entries(tmp_path / "file") == []
    assert entries(tmp_path / "nowhere") == []


def test_linked_folders_are_not_followed_and_linked_files_are(tmp_path: Path) -> None:
    there = write_gguf(tmp_path / "there" / "tiny.gguf")
    looked = tmp_path / "looked"
    looked.mkdir()
    (looked / "loop").symlink_to(tmp_path)
    (looked / "link.gguf").symlink_to(there)
    (looked / "gone.gguf").symlink_to(tmp_path / "nowhere")
    assert entries(looked) == [Entry(looked / "link.gguf", "gguf", there.stat().st_size)]


def test_folders_are_looked_into_so_deep_and_no_deeper(tmp_path: Path) -> None:
    write_gguf(tmp_path / "1" / "2" / "tiny.gguf")
    assert entries(tmp_path, depth=2) == []
    assert len(entries(tmp_path, depth=3)) == 1
