"""Models on this machine: files, split files, folders, and what is none."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from assay.catalog import looked_at, variants_at
from assay.errors import BadInput, UnknownModel
from tests.formats.gguf_bytes import QWEN, gguf, write_gguf
from tests.formats.onnx_bytes import write_onnx_folder
from tests.formats.safetensors_bytes import write_checkpoint


def test_a_gguf_file(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "Tiny-Chat-Q8_0.gguf")
    (variant,) = variants_at(path)
    assert (variant.id, variant.alias, variant.format) == ("Tiny-Chat:q8_0", "Tiny-Chat", "gguf")
    assert (variant.quantisation, variant.parameters, variant.context_length) == ("q8_0", 128, 2048)
    assert (variant.licence, variant.capabilities) == ("apache-2.0", ("chat",))
    assert variant.path == str(path)
    assert variant.disk == path.stat().st_size
    assert variant.files[0].path == path.name


def test_an_alias_of_ones_own(tmp_path: Path) -> None:
    (variant,) = variants_at(write_gguf(tmp_path / "x.gguf"), "mine")
    assert (variant.id, variant.alias) == ("mine:q8_0", "mine")


def test_a_name_keeps_a_quantisation_that_its_header_does_not_say(tmp_path: Path) -> None:
    (variant,) = variants_at(write_gguf(tmp_path / "x-Q4_K_M.gguf"))
    assert (variant.alias, variant.id) == ("x-Q4_K_M", "x-Q4_K_M:q8_0")


def test_a_relative_path_becomes_absolute(tmp_path: Path) -> None:
    write_gguf(tmp_path / "x.gguf")
    code = "from pathlib import Path; from assay.catalog import variants_at; print(variants_at(Path('x.gguf'))[0].path)"
    told = Path(run_python(code, cwd=tmp_path).strip())
    assert told.samefile(tmp_path / "x.gguf")
    assert told.is_absolute()


def test_a_gguf_file_for_embeddings_is_told_as_one(tmp_path: Path) -> None:
    (variant,) = variants_at(write_gguf(tmp_path / "x.gguf", qwen2__pooling_type=3))
    assert variant.capabilities == ("embeddings",)


def test_a_folder_of_gguf_files_without_projectors(tmp_path: Path) -> None:
    write_gguf(tmp_path / "b.gguf")
    write_gguf(tmp_path / "a.GGUF", general__file_type=2)
    write_gguf(tmp_path / "mmproj-a.gguf", general__architecture="clip")
    (tmp_path / "README.md").write_text("hello", encoding="utf-8")
    assert [variant.id for variant in variants_at(tmp_path)] == ["a:q4_0", "b:q8_0"]


def test_a_projector_is_no_language_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no language model"):
        variants_at(write_gguf(tmp_path / "mmproj.gguf", general__architecture="clip"))


def test_a_vocabulary_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "vocab.gguf"
    path.write_bytes(gguf(QWEN, tensors=(), data=0))
    with pytest.raises(BadInput, match="holds no weights"):
        variants_at(path)


def split(folder: Path, *numbers: int) -> Path:
    for number in numbers:
        write_gguf(folder / f"big-{number:05}-of-00003.gguf", split__count=3, split__no=number - 1)
    return folder / "big-00001-of-00003.gguf"


def test_a_split_model_is_one_variant(tmp_path: Path) -> None:
    first = split(tmp_path, 1, 2, 3)
    for path in (first, tmp_path):
        (variant,) = variants_at(path)
        assert (variant.alias, variant.parameters, len(variant.files)) == ("big", 3 * 128, 3)
        assert variant.path == str(first)
        assert variant.disk == 3 * first.stat().st_size


def test_a_split_model_with_a_part_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="big-00002-of-00003"):
        variants_at(split(tmp_path, 1, 3))


def test_a_split_model_by_another_part(tmp_path: Path) -> None:
    split(tmp_path, 1, 2, 3)
    with pytest.raises(BadInput, match="big-00001-of-00003"):
        variants_at(tmp_path / "big-00002-of-00003.gguf")


def test_an_onnx_folder(tmp_path: Path) -> None:
    (variant,) = variants_at(write_onnx_folder(tmp_path / "phi"))
    assert (variant.id, variant.alias, variant.format) == ("phi:onnx-f32", "phi", "onnx")
    assert variant.path == str(tmp_path / "phi")
    assert variant.parameters is None


def test_an_onnx_folder_of_foundry_local(tmp_path: Path) -> None:
    model = tmp_path / "Phi-4-mini-instruct-generic-cpu-5"
    for version in ("v5", "v12", "v9"):
        write_onnx_folder(model / version, inference_model__json='{"Name": "Phi-4-mini-instruct-generic-cpu:12"}')
    for path in (model, model / "v12"):
        (variant,) = variants_at(path)
        assert (variant.id, variant.format) == ("Phi-4-mini-instruct-generic-cpu:onnx-f32", "onnx")
        assert variant.path == str(model / "v12")


@pytest.mark.parametrize(
    ("name_file", "alias"), [('{"Name": "phi-4-mini:3"}', "phi-4-mini"), (None, "a-model"), ("{}", "a-model")]
)
def test_a_version_takes_its_name_from_the_folder_above(tmp_path: Path, name_file: str | None, alias: str) -> None:
    write_onnx_folder(tmp_path / "a-model/v1")
    if name_file is not None:
        (tmp_path / "a-model/inference_model.json").write_text(name_file, encoding="utf-8")
    (variant,) = variants_at(tmp_path / "a-model")
    assert (variant.alias, variant.source, variant.path) == (alias, "a-model", str(tmp_path / "a-model/v1"))


def test_gguf_files_come_before_folders_that_look_like_versions(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    write_onnx_folder(tmp_path / "v1")
    assert [variant.format for variant in variants_at(tmp_path)] == ["gguf"]


def test_a_checkpoint(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "Tiny-safetensors", shards=2)
    (variant,) = variants_at(folder)
    dtype = variant.quantisation
    assert dtype in {"f32", "f16", "bf16"}
    assert (variant.id, variant.alias, variant.format) == (f"Tiny:safetensors-{dtype}", "Tiny", "safetensors")
    assert variant.path == str(folder)
    assert variant.parameters
    assert {"config.json", "model.safetensors.index.json"} <= {file.path for file in variant.files}
    assert variant.disk == sum(file.stat().st_size for file in folder.iterdir())


def test_a_checkpoint_beside_gguf_files(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "both")
    write_gguf(folder / "both.gguf")
    assert [variant.format for variant in variants_at(folder)] == ["gguf", "safetensors"]


def test_a_configuration_beside_gguf_files_is_no_checkpoint(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "training_args.bin").write_bytes(b"x")
    assert [variant.format for variant in variants_at(tmp_path)] == ["gguf"]


def test_pickles_alone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(BadInput, match="never loaded") as caught:
        variants_at(tmp_path)
    assert "save_pretrained" in (caught.value.remedy or "")


def test_a_safetensors_file_names_its_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(UnknownModel) as caught:
        variants_at(tmp_path / "model.safetensors")
    assert str(tmp_path) in (caught.value.remedy or "")


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin", "notes.txt"])
def test_other_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnknownModel, match="is not a model"):
        variants_at(tmp_path / name)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    with pytest.raises(BadInput, match="cut off"):
        variants_at(tmp_path / "m.gguf")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="there is nothing at"):
        variants_at(tmp_path / "none.gguf")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="holds no model"):
        variants_at(tmp_path)


def test_a_folder_whose_folders_hold_models_names_them(tmp_path: Path) -> None:
    write_gguf(tmp_path / "one/x.gguf")
    write_onnx_folder(tmp_path / "two")
    (tmp_path / "three").mkdir()
    with pytest.raises(UnknownModel, match="one, two"):
        variants_at(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such links without rights")
def test_a_link_that_goes_round_in_circles(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").symlink_to(tmp_path / "m.gguf")
    with pytest.raises(UnknownModel):
        variants_at(tmp_path / "m.gguf")


@pytest.mark.parametrize("name", ["a\0b.gguf", "x" * 5000 + ".gguf"])
def test_paths_that_no_system_takes(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownModel):
        variants_at(tmp_path / name)


ASK = """
import os
import sys
from pathlib import Path
from assay.catalog import looked_at, variants_at
from assay.errors import BadInput
if os.geteuid() == 0:
    os.setuid(65534)
try:
    variants_at(Path(sys.argv[1]))
except BadInput as error:
    print(type(error).__name__, error)
"""


def ask_without_rights(path: str) -> str:
    """What a user without special rights is told; a process that has them gives them up after its imports."""
    return run_python(ASK, path)


def run_python(code: str, *arguments: str, cwd: Path | None = None) -> str:
    """What ``code`` prints in an interpreter of its own with the same import path."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(part).absolute()) for part in sys.path if part)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' rights work otherwise")
def test_files_and_folders_without_rights() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        closed_file, closed = write_gguf(folder / "m.gguf"), folder / "closed"
        write_gguf(closed / "m.gguf")
        closed_file.chmod(0)
        closed.chmod(0)
        for path in (closed_file, closed, closed / "m.gguf"):
            told = ask_without_rights(str(path))
            assert told.startswith(("BadInput", "UnknownModel")), told
            assert "Permission denied" in told
            assert str(path) in told
        closed.chmod(0o755)


@pytest.mark.parametrize("place", ["x.gguf", "below/x.gguf"])
def test_a_file_that_comes_grows_or_goes_is_seen(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    seen = [looked_at(path)]
    path.parent.mkdir(exist_ok=True)
    for length in (10, 20):
        path.write_bytes(b"x" * length)
        seen.append(looked_at(path))
    path.unlink()
    assert seen[0] != seen[1] != seen[2] != looked_at(path) == seen[0]


def test_each_part_of_a_split_model_is_looked_at(tmp_path: Path) -> None:
    first, second = (tmp_path / f"x-0000{number}-of-00002.gguf" for number in (1, 2))
    first.write_bytes(b"x")
    alone = looked_at(first)
    second.write_bytes(b"x")
    half = looked_at(first)
    second.write_bytes(b"xx")
    assert alone != half != looked_at(first)


@pytest.mark.parametrize("below", ["", "v2"])
def test_what_is_read_of_a_folder_is_looked_at(tmp_path: Path, below: str) -> None:
    folder = tmp_path / "models" / below
    (tmp_path / "models").mkdir()
    empty = looked_at(tmp_path / "models")
    write_onnx_folder(folder)
    there = looked_at(tmp_path / "models")
    (folder / "genai_config.json").write_text("{")
    assert empty != there != looked_at(tmp_path / "models")


def test_where_nothing_can_be_there_nothing_is_seen(tmp_path: Path) -> None:
    place = tmp_path / "a\0b.gguf"
    assert looked_at(place) == {place: None}
