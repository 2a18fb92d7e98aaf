from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import DownloadFailed
from assay.store.paths import fault_of, is_reserved, refuse_unsafe


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../../.ssh/authorized_keys",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "..\\b",
        "C:evil",
        "C:/evil",
        "model.gguf:stream",
        "NUL",
        "onnx/con.json",
        "com1.gguf",
        "LPT\u00b9",
        "conout$",
        "model.",
        "model ",
        "mo\0del",
        "line\nbreak",
        "what?",
        "left\u202eright",
        "x" * 256,
        "\u00e9" * 128,
        "\ud800",
    ],
)
def test_a_path_that_is_not_safe_is_refused(path: str) -> None:
    with pytest.raises(DownloadFailed, match="refused"):
        refuse_unsafe(["model.gguf", path], "org/model")


@pytest.mark.parametrize(
    "paths",
    [
        ["Model.gguf", "model.GGUF"],
        ["a/b", "A/B"],
        ["caf\u00e9", "cafe\u0301"],
        ["a", "a/b"],
        ["a/b", "A"],
        ["a/b/c", "a/B"],
        ["a", "a"],
    ],
)
def test_paths_that_clash_somewhere_are_refused(paths: list[str]) -> None:
    with pytest.raises(DownloadFailed, match="refused") as caught:
        refuse_unsafe(paths, "org/model")
    assert caught.value.why


def test_usual_paths_are_taken() -> None:
    refuse_unsafe(
        ["config.json", "onnx/cpu/model.onnx", "onnx/cpu/model.onnx.data", "m-00001-of-00002.gguf", ".gitattributes",
         "a b/\u6a21\u578b.gguf", "console.json", "com.txt", "x" * 255],
        "org/model",
    )  # fmt: skip


@given(st.text(alphabet="aA.\\/: ~", max_size=12))
def test_what_is_taken_stays_in_the_folder_on_every_system(path: str) -> None:
    if fault_of(path) is None:
        base = Path("/base/folder")
        assert (base / path).resolve().is_relative_to(base)
        windows = PureWindowsPath(path)
        assert not windows.drive
        assert not windows.root
        assert ".." not in windows.parts
        assert windows.as_posix() == path


@given(st.sampled_from(["con", "NUL", "Com7", "aux"]), st.sampled_from(["", ".gguf", " .x", ".tar.gz"]))
def test_device_names_are_known_with_any_ending(name: str, ending: str) -> None:
    assert is_reserved(name + ending)
    assert not is_reserved(f"a{name}{ending}")
