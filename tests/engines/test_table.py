from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from assay import engines
from assay.errors import BadInput, EngineUnavailable
from assay.types import Engine, Format, Variant


def variant(form: Format, engine: str | None = None) -> Variant:
    return Variant(id="x", alias="x", format=form, source="test", engine=engine)


def test_built_in_engines_come_first_and_installed_ones_after(plugin_site: Path) -> None:
    assert engines.names() == ("llamacpp", "onnxruntime_genai", "custom", "scripted")


@pytest.mark.parametrize("name", ["llamacpp", "onnxruntime_genai", "custom", "scripted"])
def test_every_engine_keeps_the_protocol_and_can_say_whether_it_runs(plugin_site: Path, name: str) -> None:
    engine = engines.load(name)
    assert isinstance(engine, Engine)
    assert engine.name == name
    assert engine.available().ok
    described = engine.describe()
    assert (described.name, described.state, described.formats) == (name, "idle", engine.formats)


@pytest.mark.parametrize(
    ("form", "name"),
    [("gguf", "llamacpp"), ("onnx", "onnxruntime_genai"), ("adapter", "custom"), ("openvino", "scripted")],
)
def test_the_format_finds_the_engine(plugin_site: Path, form: Format, name: str) -> None:
    assert engines.for_variant(variant(form)).name == name


def test_a_variant_may_name_its_engine(plugin_site: Path) -> None:
    assert engines.for_variant(variant("gguf", "scripted")).name == "scripted"


def test_a_format_without_an_engine_says_which_engines_there_are() -> None:
    with pytest.raises(BadInput, match="safetensors") as refused:
        engines.for_variant(variant("safetensors"))
    assert "llamacpp" in str(refused.value)


def test_an_unknown_engine_says_which_there_are() -> None:
    with pytest.raises(BadInput, match="no engine named 'vapour'") as refused:
        engines.load("vapour")
    assert "llamacpp" in str(refused.value)


def test_an_installed_engine_that_cannot_be_imported_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "torn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torn\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[assay.engines]\ntorn = no_such_module_at_all:Engine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineUnavailable, match="torn cannot be loaded"):
        engines.load("torn")


def test_a_package_that_is_not_installed_is_named_with_its_remedy() -> None:
    from assay.engines.worker_engine import WorkerEngine

    class Elsewhere(WorkerEngine):
        name = "elsewhere"
        formats = ("gguf",)
        opener = "elsewhere:open_model"
        package = "a-package-that-is-not-there"

    availability = Elsewhere().available()
    assert not availability.ok
    assert availability.remedy == "pip install a-package-that-is-not-there"


def test_nothing_heavy_is_imported_for_the_table() -> None:
    code = (
        "import sys; from assay import engines; engines.names(); engines.load('llamacpp').describe();"
        "print(sorted({'aiohttp', 'xllamacpp', 'numpy', 'uvloop'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_exported_names() -> None:
    assert engines.__all__ == ["CustomModelAdapter", "for_variant", "load", "names", "present"]
    assert all(hasattr(engines, name) for name in engines.__all__)


def test_what_is_known_without_an_import_is_what_the_engines_say() -> None:
    found = engines.present()
    for name in ("llamacpp", "onnxruntime_genai"):
        engine = engines.load(name)
        version, formats = found[name]
        assert formats == engine.formats
        assert version == engine.available().version
