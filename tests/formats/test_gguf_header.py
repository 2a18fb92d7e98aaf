"""GGUF headers: sound ones, and ones that are wrong in every way that a length or a number can be."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.catalog import bundled_variants
from assay.errors import BadInput
from assay.formats.gguf_header import read_gguf_header
from tests.formats.gguf_bytes import QWEN, gguf, pair, text, write_gguf

HUGE = 2**63


def read(tmp_path: Path, content: bytes) -> str:
    """Why the file is refused."""
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_gguf_header(path)
    assert caught.value.remedy
    return caught.value.why or ""


def test_what_the_header_says(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "m.gguf"))
    assert (header.version, header.architecture, header.name, header.licence) == (3, "qwen2", "Tiny", "apache-2.0")
    assert (header.context_length, header.parameters, header.quantisation) == (2048, 128, "Q8_0")
    assert header.chat_template
    assert header.shards == 1


def test_version_2(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(version=2))
    assert read_gguf_header(path).version == 2


def test_unknown_is_none(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf({}, tensors=(), data=0))
    header = read_gguf_header(path)
    assert (header.architecture, header.name, header.licence, header.context_length) == (None,) * 4
    assert (header.parameters, header.quantisation, header.chat_template) == (None, None, False)


@pytest.mark.parametrize("file_type", [None, 1024, 4])
def test_without_a_file_type_most_weights_decide(tmp_path: Path, file_type: int | None) -> None:
    pairs = {key: value for key, value in QWEN.items() if key != "general.file_type"}
    path = tmp_path / "m.gguf"
    tensors = (("norm", (4096,), 0, 0), ("a", (32, 4), 2, 0), ("b", (32, 8), 8, 0), ("c", (32, 3), 2, 0))
    path.write_bytes(gguf({**pairs, **({"general.file_type": file_type} if file_type else {})}, tensors, 20_000))
    assert read_gguf_header(path).quantisation == "Q8_0"


def test_a_tensor_type_that_is_not_known_yet_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(tensors=(("w", (64, 2), 999, 0),)))
    header = read_gguf_header(path)
    assert header.parameters == 128
    assert header.tensors[0].end is None


def test_arrays_are_passed_over(tmp_path: Path) -> None:
    words = text("words") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc")
    numbers = text("numbers") + struct.pack("<IIQ", 9, 5, 3) + bytes(12)
    nested = text("nested") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 0, 4) + bytes(4)
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf([words, numbers, nested, pair("general.name", "after")]))
    assert read_gguf_header(path).metadata == {"general.name": "after"}


def test_a_vocabulary_larger_than_what_is_read_at_once(tmp_path: Path) -> None:
    count = 200_000
    words = text("tokens") + struct.pack("<IIQ", 9, 8, count) + b"".join(text(f"token {n}") for n in range(count))
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf([words, pair("general.name", "after")]))
    assert path.stat().st_size > 3 * 2**20
    assert read_gguf_header(path).name == "after"


@pytest.mark.parametrize("content", [b"", b"GG", b"GGML" + bytes(60), b"\0" * 64, b"PK\x03\x04" + bytes(60)])
def test_no_gguf(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content)


@pytest.mark.parametrize(("version", "why"), [(1, "version is 1"), (4, "version is 4"), (0x03000000, "big-endian")])
def test_other_versions(tmp_path: Path, version: int, why: str) -> None:
    assert why in read(tmp_path, gguf(version=version))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0), "promises"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE), "promises"),
        (gguf([struct.pack("<Q", HUGE) + b"k"]), "a name of"),
        (gguf([text(b"\xff\xfe") + struct.pack("<II", 4, 1)]), "UTF-8"),
        (gguf([pair("k", 1), pair("k", 2)]), "twice"),
        (gguf([text("k") + struct.pack("<IQ", 8, HUGE)]), "cut off"),
        (gguf([text("k") + struct.pack("<I", 77) + bytes(8)]), "unknown type 77"),
        (gguf([text("k") + struct.pack("<IIQ", 9, 10, HUGE)]), "cut off"),
        (gguf([text("k") + struct.pack("<IIQ", 9, 8, HUGE)]), "promises"),
        (gguf([text("k") + struct.pack("<IIQ", 9, 8, 2) + struct.pack("<Q", HUGE)]), "cut off"),
        (gguf([text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9]), "without end"),
        (gguf(tensors=(("w", (1,) * 5, 0, 0),)), "5 dimensions"),
        (gguf(tensors=(("w", (2**40, 2**40), 0, 0),)), "elements"),
        (gguf(tensors=(("w", (33, 2), 8, 0),)), "rows of 33"),
        (gguf({**QWEN, "general.alignment": 0}), "alignment"),
        (gguf({**QWEN, "general.alignment": "x"}), "alignment"),
    ],
)
def test_lengths_and_numbers_that_cannot_be_true(tmp_path: Path, content: bytes, why: str) -> None:
    assert why in read(tmp_path, content)


def test_a_download_that_was_cut_off_within_the_weights(tmp_path: Path) -> None:
    assert "cut off" in read(tmp_path, gguf()[:-1])


def test_every_shorter_file_is_refused(tmp_path: Path) -> None:
    whole = gguf(data=0, tensors=(("w", (2, 2), 0, 0),))
    for length in range(len(whole)):
        assert read(tmp_path, whole[:length])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(gguf()) - 137), st.binary(min_size=1, max_size=8))
def test_damage_is_read_or_refused_and_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, damage: bytes
) -> None:
    content = bytearray(gguf())
    content[at : at + len(damage)] = damage
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(content)
    try:
        header = read_gguf_header(path)
    except BadInput:
        return
    assert header.version in {2, 3}


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.gguf"):
        with pytest.raises(BadInput, match="cannot be read"):
            read_gguf_header(path)


def test_the_bundled_models_say_what_their_manifest_says() -> None:
    for variant in bundled_variants():
        if variant.format == "gguf":
            assert variant.path is not None
            header = read_gguf_header(Path(variant.path))
            assert header.parameters == variant.parameters
            assert header.context_length == variant.context_length
            assert (header.quantisation or "").lower() == variant.quantisation
            assert header.chat_template
