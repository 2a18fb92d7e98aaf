from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.formats.pickles import is_pickle, pretends, refusal
from tests.store.foreign_folders import NEWER_PICKLE, TORCH_LEGACY, TORCH_ZIP, safetensors, tiny


@pytest.mark.parametrize("content", [TORCH_ZIP, TORCH_LEGACY, NEWER_PICKLE], ids=["zip", "legacy", "protocol 4"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "m.gguf", "model.safetensors", "model.onnx"])
def test_what_begins_as_a_pickle_is_one_whatever_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert is_pickle(path)
    assert pretends(path) == (not name.endswith(".bin"))


@pytest.mark.parametrize("name", ["m.pt", "m.PTH", "m.ckpt", "m.pkl", "pytorch_model.bin.index.json"])
def test_some_names_are_enough(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert is_pickle(path)
    assert not pretends(path)


def test_files_of_other_kinds_are_none(tmp_path: Path) -> None:
    contents = {
        "m.gguf": tiny(),
        "model.safetensors": safetensors(),
        "openvino_model.bin": bytes(range(256)),
        "empty.bin": b"",
        "config.json": TORCH_ZIP,
        "model.onnx.data": TORCH_LEGACY,
        "short.gguf": b"\x80",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert not is_pickle(tmp_path / name), name
    assert not is_pickle(tmp_path / "gone.gguf")


def test_a_header_length_that_looks_like_a_pickle_is_a_length(tmp_path: Path) -> None:
    content = struct.pack("<Q", 0x2E0280) + b'{"w": '
    assert content[:3] == b"\x80\x02.", "a whole pickle, of nothing"
    (tmp_path / "model.safetensors").write_bytes(content)
    assert not is_pickle(tmp_path / "model.safetensors")


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    protocol=st.sampled_from([2, 3, 4, 5]),
)
def test_every_pickle_that_python_writes_is_known(
    tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    written = io.BytesIO()
    pickle.Pickler(written, protocol).dump(value)
    path.write_bytes(written.getvalue())
    assert is_pickle(path)


def test_the_refusal_says_why_and_how_to_convert(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(TORCH_ZIP)
    error = refusal(path)
    assert "pickled weights" in error.message
    assert "its name says .gguf" in str(error.why)
    assert "save_pretrained" in str(error.remedy)
    assert "its name says" not in str(refusal(tmp_path / "m.pt").why)
