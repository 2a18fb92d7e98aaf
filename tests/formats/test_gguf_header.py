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
from tests.formats.gguf_bytes import QWEN, Ranges, flags, gguf, numbers, pair, text, words, write_gguf

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


@pytest.mark.parametrize(
    ("architecture", "number", "pooling", "embeds"),
    [
        ("qwen2", None, None, False),
        ("qwen2", 0, "none", False),
        ("qwen2", 3, "last", True),
        ("bert", 1, "mean", True),
        ("bert", 2, "cls", True),
        ("bert", 4, "rank", False),
        ("bert", 9, "mean", True),
        ("nomic-bert", None, "mean", True),
        ("nomic-bert", 0, "mean", True),
    ],
)
def test_how_a_model_makes_a_vector_of_a_text(
    tmp_path: Path, architecture: str, number: int | None, pooling: str | None, embeds: bool
) -> None:
    told = {"general.architecture": architecture}
    more = {} if number is None else {f"{architecture}.pooling_type": number}
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf({**told, **more}))
    header = read_gguf_header(path)
    assert (header.pooling, header.embeds) == (pooling, embeds)


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


def test_short_lists_of_numbers_are_kept_and_all_lengths(tmp_path: Path) -> None:
    nested = text("nested") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 0, 4) + bytes(4)
    many = numbers("many", range(4097))
    path = tmp_path / "m.gguf"
    rows = [words("words", ["a", "bc"]), numbers("few", [8, 0, 8]), flags("slides", [True, False]), nested, many]
    path.write_bytes(gguf([*rows, pair("general.name", "after")]))
    header = read_gguf_header(path)
    assert header.metadata == {"general.name": "after"}
    assert header.arrays == {"few": (8, 0, 8), "slides": (True, False)}
    assert header.lengths == {"words": 2, "few": 3, "slides": 2, "nested": 1, "many": 4097}


def test_tensors_have_names_and_sizes(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(tensors=(("a", (32, 4), 2, 0), ("b", (8,), 0, 96)), data=128))
    header = read_gguf_header(path)
    assert [(tensor.name, tensor.size, tensor.end) for tensor in header.tensors] == [("a", 72, 72), ("b", 32, 128)]
    assert header.weights == 104


def test_the_vocabulary_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf([words("tokenizer.ggml.tokens", ["a", "b", "c"])]))
    assert read_gguf_header(path).vocabulary == 3


def test_a_remote_file_is_read_in_growing_pieces_and_not_to_its_weights() -> None:
    head = gguf([words("tokens", [f"token {n}" for n in range(60_000)])], data=0, tensors=())
    remote = Ranges(head + bytes(50 << 20), size=len(head) + (50 << 20))
    assert read_gguf_header(remote).lengths == {"tokens": 60_000}
    assert [length for _, length in remote.asked] == [1 << 16, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20]
    assert all(offset == sum(n for _, n in remote.asked[:i]) for i, (offset, _) in enumerate(remote.asked))


def test_a_remote_file_whose_size_is_not_known_is_believed_to_have_its_weights() -> None:
    assert read_gguf_header(Ranges(gguf(data=0))).parameters == 128
    with pytest.raises(BadInput, match="cut off"):
        read_gguf_header(Ranges(gguf(data=0), size=len(gguf(data=0))))


def test_a_remote_header_that_ends_too_early_or_never_is_refused() -> None:
    whole = gguf(data=0, tensors=(("w", (2, 2), 0, 0),))
    for length in range(0, len(whole) - 32, 7):
        with pytest.raises(BadInput, match=r"remote\.gguf"):
            read_gguf_header(Ranges(whole[:length]))
    for promise in (text("k") + struct.pack("<IQ", 8, HUGE), text("k") + struct.pack("<IIQ", 9, 8, HUGE)):
        with pytest.raises(BadInput, match=r"more than|promises"):
            read_gguf_header(Ranges(gguf([promise])))


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


LISTED = gguf([pair("general.architecture", "x"), numbers("x.few", [8, 0, 8]), words("words", ["a", "bc"])])


@settings(max_examples=300)
@given(st.sampled_from([gguf(), LISTED]), st.data(), st.binary(min_size=1, max_size=8), st.booleans())
def test_damage_is_read_or_refused_and_never_anything_else(
    sound: bytes, data: st.DataObject, damage: bytes, sized: bool
) -> None:
    content = bytearray(sound)
    at = data.draw(st.integers(0, len(content) - 137))
    content[at : at + len(damage)] = damage
    remote = Ranges(bytes(content), size=len(content) if sized else None)
    try:
        header = read_gguf_header(remote)
    except BadInput:
        return
    assert header.version in {2, 3}
    assert all(offset + length <= max(len(content), 1 << 16) * 2 for offset, length in remote.asked)


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
