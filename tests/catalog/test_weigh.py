"""Exact weights and shapes of local and offered variants, from headers alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from assay.catalog import bundled_variants, variants_at
from assay.catalog.shape import Layer, Shape
from assay.catalog.weigh import measure_of, retyped
from assay.errors import BadInput
from assay.formats import FileReader, Reader
from assay.types import File, Variant
from tests.formats.gguf_bytes import Ranges, TensorRow, gguf, pair
from tests.formats.onnx_bytes import graph, node, write_onnx_folder
from tests.formats.safetensors_bytes import safetensors

ROWS = [pair("general.architecture", "llama"), pair("llama.block_count", 2), pair("llama.attention.head_count", 2)]
ROWS += [pair("llama.embedding_length", 64), pair("llama.attention.head_count_kv", 1)]
TENSORS: tuple[TensorRow, ...] = (("blk.0.attn_q.weight", (64, 2), 8, 0),)
CONFIG = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 2}


def local(variant: Variant, file: File) -> Reader:
    path = Path(variant.path or "")
    return FileReader((path if path.is_dir() else path.parent) / file.path)


class Hub:
    """Files of a repository by path; ``opened`` are those that were asked for."""

    def __init__(self, **files: bytes) -> None:
        self.files = {name.replace("__", "."): content for name, content in files.items()}
        self.opened: list[str] = []
        self.read = 0

    def __call__(self, variant: Variant, file: File) -> Reader:
        self.opened.append(file.path)
        return Ranges(self.files[file.path], size=file.size, name=file.path)

    def offer(self, form: str, **more: object) -> Variant:
        files = tuple(File(path=path, size=len(content)) for path, content in self.files.items())
        made = Variant(id="m", alias="m", format="gguf", source="hf:a/m", revision="c0ffee", files=files)
        return structs.replace(made, format=form, **more)


def test_every_bundled_variant_is_weighed() -> None:
    for variant in bundled_variants():
        shape, weights = measure_of(variant, local)
        assert shape is not None, variant.id
        assert shape.unknown == (), variant.id
        assert shape.layers[0].kv_heads > 0
        assert 0.8 * (variant.disk or 0) < weights <= (variant.disk or 0), variant.id


def test_an_offered_gguf_with_its_shards() -> None:
    first = gguf([*ROWS, pair("split.count", 2)], (), data=0)
    second = gguf([pair("split.no", 1)], TENSORS, data=136)
    hub = Hub(**{"q/m-00001-of-00002__gguf": first, "q/m-00002-of-00002__gguf": second, "README__md": b"x"})
    shape, weights = measure_of(hub.offer("gguf"), hub)
    assert weights == 136
    assert shape is not None
    assert (len(shape.layers), shape.parameters, shape.repackable) == (2, 128, {"Q8_0": 136})
    assert hub.opened == ["q/m-00001-of-00002.gguf", "q/m-00002-of-00002.gguf"]


def test_the_part_that_reads_pictures_is_left_out() -> None:
    hub = Hub(m__gguf=gguf(ROWS, TENSORS), **{"mmproj-f16__gguf": b"not read"})
    assert measure_of(hub.offer("gguf"), hub)[1] == 136
    assert hub.opened == ["m.gguf"]


def test_a_type_that_is_not_known_yet_weighs_what_its_file_does() -> None:
    content = gguf(ROWS, (("w", (64, 2), 999, 0),))
    hub = Hub(m__gguf=content)
    assert measure_of(hub.offer("gguf"), hub)[1] == len(content)


def test_an_offered_checkpoint() -> None:
    hub = Hub(
        **{"model-00001-of-00002__safetensors": safetensors(), "model-00002-of-00002__safetensors": safetensors()},
        config__json=json.dumps(CONFIG).encode(),
        tokenizer__json=b"never asked for",
    )
    shape, weights = measure_of(hub.offer("safetensors"), hub)
    assert weights == 192
    assert shape is not None
    assert len(shape.layers) == 2
    assert "tokenizer.json" not in hub.opened
    bare = Hub(model__safetensors=safetensors())
    assert measure_of(bare.offer("safetensors"), bare) == (None, 96)


def test_an_offered_onnx_folder_is_weighed_by_its_list_of_files() -> None:
    decoder = {"num_hidden_layers": 2, "num_attention_heads": 2, "head_size": 32}
    config = json.dumps({"model": {"type": "llama", "decoder": decoder}}).encode()
    hub = Hub(
        **{"cpu/genai_config__json": config, "cpu/model__onnx": bytes(10), "cpu/model__onnx__data": bytes(100)},
        LICENSE=b"x",
    )
    shape, weights = measure_of(hub.offer("onnx", quantisation="int4"), hub)
    assert weights == 110
    assert shape is not None
    assert shape.repackable == {"int4": 110}
    assert shape.block is None
    assert hub.opened == ["cpu/genai_config.json"]


def test_a_local_onnx_folder(tmp_path: Path) -> None:
    model = {"type": "x", "decoder": {"filename": "model.onnx", "num_hidden_layers": 1, "num_attention_heads": 1}}
    variant = variants_at(write_onnx_folder(tmp_path / "m", model=model))[0]
    shape, weights = measure_of(variant, local)
    assert weights == (tmp_path / "m" / "model.onnx").stat().st_size
    assert shape is not None
    assert shape.unknown == ("head size",)


def test_of_a_local_onnx_folder_it_is_known_how_many_weights_share_a_scale(tmp_path: Path) -> None:
    packed = graph(node("MatMulNBits", bits=4, K=64, N=64, block_size=128))
    model = {"type": "x", "decoder": {"filename": "model.onnx", "num_hidden_layers": 1, "num_attention_heads": 1}}
    variant = variants_at(write_onnx_folder(tmp_path / "m", packed, model))[0]
    shape, weights = measure_of(variant, local)
    assert shape is not None
    assert (shape.repackable, shape.block) == ({"int4": weights}, 128)
    assert retyped(shape, "int8", 9).block is None


@pytest.mark.parametrize("form", ["gguf", "safetensors", "onnx", "remote"])
def test_without_files_nothing_is_known(form: str) -> None:
    hub = Hub()
    assert measure_of(hub.offer(form), hub) == (None, 0)


def test_a_broken_file_is_refused() -> None:
    hub = Hub(m__gguf=gguf(ROWS, TENSORS)[:-1])
    with pytest.raises(BadInput, match="cut off"):
        measure_of(hub.offer("gguf"), hub)


@pytest.mark.parametrize(
    ("quantisation", "kind"),
    [("q4_k_m", "Q4_K"), ("Q4_0", "Q4_0"), ("iq4_xs", "IQ4_XS"), ("int4", "int4"), ("f16", "F16")],
)
def test_a_sibling_in_another_quantisation(quantisation: str, kind: str) -> None:
    shape = Shape(architecture="llama", layers=(Layer(kv_heads=1),), repackable={"Q8_0": 100})
    assert retyped(shape, quantisation, 50) == structs.replace(shape, repackable={kind: 50})
    assert retyped(shape, None, 50).repackable == {}
