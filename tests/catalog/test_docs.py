"""What docs/models.md shows and says is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from assay.catalog import licence_class, read_registry, registry_schema
from assay.catalog.registry_file import EntryFile
from tests.formats.gguf_bytes import write_gguf
from tests.formats.onnx_bytes import write_onnx_folder

TEXT = (Path(__file__).parents[2] / "docs/models.md").read_text(encoding="utf-8")
REGISTRIES = re.findall(r"```json\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("content", REGISTRIES)
def test_each_registry_is_read_without_a_word(tmp_path: Path, content: str) -> None:
    (tmp_path / "models.json").write_text(content, encoding="utf-8")
    write_gguf(tmp_path / "models/tiny-q8_0.gguf")
    write_onnx_folder(tmp_path / "models/phi-onnx")
    (tmp_path / "weights.npz").write_bytes(b"1")
    registry = read_registry(tmp_path / "models.json")
    assert registry.entries
    assert all(warning.endswith("it is not on this machine") for warning in registry.warnings)
    if registry.shape == "assay":
        assert all(entry.variants for entry in registry.entries)
    jsonschema.validate(json.loads(content), registry_schema())


def test_three_shapes_are_shown() -> None:
    assert len(REGISTRIES) == 3


def test_every_key_is_told_and_no_other() -> None:
    table = TEXT.partition("| key | meaning |")[2].partition("\n\n")[0]
    told = {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told | {"license", "quantization"} == set(EntryFile.__struct_fields__)


def test_each_licence_is_of_the_class_it_stands_under() -> None:
    rows = re.findall(
        r"^\| `([a-z -]+)` \| [^|]+ \| ([^|]+) \|$", TEXT.partition("## Licence classes")[2], flags=re.MULTILINE
    )
    assert len(rows) == 5
    shown = {"Llama": "llama3", "Gemma": "gemma", "OpenRAIL": "openrail", "Qwen Research": "qwen-research"}
    for kind, names in rows:
        for name in names.replace("`", "").split(", "):
            assert licence_class(shown.get(name.strip(), name.strip())) == kind
