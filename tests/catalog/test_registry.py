"""``models.json`` in its three shapes, as people really write it, and broken in every way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.catalog import Registry, bundled_variants, read_registry
from assay.errors import BadRegistry
from tests.formats.gguf_bytes import write_gguf
from tests.formats.onnx_bytes import write_onnx_folder

GB = 10**9


def write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "models.json"
    raw = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content))
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return path


def read(tmp_path: Path, content: Any) -> Registry:
    return read_registry(write(tmp_path, content), bundled=())


def refused(tmp_path: Path, content: Any) -> str:
    with pytest.raises(BadRegistry) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "models.json") in caught.value.message
    assert caught.value.why
    assert caught.value.remedy
    return f"{caught.value.message} {caught.value.why}"


def test_a_list(tmp_path: Path) -> None:
    registry = read(
        tmp_path,
        [
            {"name": "phi-4-mini", "task": "chat", "min_ram_gb": 8, "notes": "good at code"},
            {"name": "qwen2.5-0.5b", "task": ["chat", "summarise"], "min_ram_gb": "1.5"},
            {"name": "bge-small", "task": "embeddings", "min_ram_gb": "512 MiB"},
        ],
    )
    assert registry.shape == "list"
    assert [entry.alias for entry in registry.entries] == ["phi-4-mini", "qwen2.5-0.5b", "bge-small"]
    assert [entry.min_memory for entry in registry.entries] == [8 * GB, 1_500_000_000, 512 * 2**20]
    assert [entry.tasks for entry in registry.entries] == [("chat",), ("chat", "summarise"), ("embeddings",)]
    assert registry.entries[0].notes == "good at code"
    assert all(entry.variants == () and entry.problem == "it is not on this machine" for entry in registry.entries)


def test_a_list_of_names(tmp_path: Path) -> None:
    assert [entry.alias for entry in read(tmp_path, ["a", {"name": "b"}, "c"]).entries] == ["a", "b", "c"]
    assert [entry.alias for entry in read(tmp_path, {"models": ["a"]}).entries] == ["a"]


def test_a_map(tmp_path: Path) -> None:
    registry = read(
        tmp_path,
        {
            "phi-4-mini": {"capabilities": ["chat", "tools"], "size_mb": 3600},
            "qwen": {"capabilities": "chat, code", "size_mb": "0.8 GB"},
            "bare": {},
        },
    )
    assert registry.shape == "map"
    assert [(entry.alias, entry.size) for entry in registry.entries] == [
        ("phi-4-mini", 3600 * 10**6),
        ("qwen", 800 * 10**6),
        ("bare", None),
    ]
    assert [entry.capabilities for entry in registry.entries] == [("chat", "tools"), ("chat", "code"), ()]


def test_ours(tmp_path: Path) -> None:
    write_gguf(tmp_path / "models/tiny-q8_0.gguf")
    write_onnx_folder(tmp_path / "models/phi")
    (tmp_path / "w.npz").write_bytes(b"1")
    registry = read(
        tmp_path,
        {
            "$schema": "models.schema.json",
            "version": 1,
            "prompts": "prompts.json",
            "models": [
                {
                    "alias": "tiny",
                    "path": "models/tiny-q8_0.gguf",
                    "engine": "llama.cpp",
                    "licence": "mit",
                    "tasks": "chat",
                },
                {"alias": "phi", "path": "models/phi", "context_length": 1024, "min_ram_gb": 2, "notes": "n"},
                {"alias": "far", "endpoint": "http://127.0.0.1:9/v1", "model": "org/far"},
                {"alias": "far2", "endpoint": "http://127.0.0.1:9#other", "prompts": ["Hi"]},
                {"alias": "own", "adapter": "my:Model", "path": "w.npz"},
                {"alias": "later", "source": "Qwen/Qwen2.5-0.5B-Instruct-GGUF", "quantisation": "Q4_K_M"},
            ],
        },
    )
    assert registry.shape == "assay"
    assert registry.prompts == tmp_path / "prompts.json"
    tiny, phi, far, far2, own, later = registry.entries
    (variant,) = tiny.variants
    assert (variant.id, variant.engine, variant.licence, variant.tasks) == ("tiny:q8_0", "llama.cpp", "mit", ("chat",))
    assert variant.path == str(tmp_path / "models/tiny-q8_0.gguf")
    assert (phi.variants[0].context_length, phi.variants[0].min_memory, phi.variants[0].notes) == (1024, 2 * GB, "n")
    assert (far.variants[0].id, far.variants[0].served_id) == ("far", "org/far")
    assert (far2.variants[0].served_id, far2.prompts) == ("other", ("Hi",))
    assert (own.variants[0].adapter, own.variants[0].disk) == ("my:Model", 1)
    assert (later.variants, later.problem) == ((), "it is not on this machine")
    assert registry.warnings == ("later: it is not on this machine",)


def test_every_key_works_in_every_shape(tmp_path: Path) -> None:
    entry = {"endpoint": "http://h/v1", "engine": "e", "prompts": [{"id": "p", "prompt": "Hi"}]}
    shapes: list[Any] = [[{"name": "a", **entry}], {"a": entry}, {"models": [{"alias": "a", **entry}]}]
    read_in = [read(tmp_path, shape).entries for shape in (*shapes, {"models": {"a": entry}})]
    assert all(entries == read_in[0] for entries in read_in)


def test_a_bundled_model_by_its_alias_or_as_a_source(tmp_path: Path) -> None:
    known = bundled_variants()
    path = write(
        tmp_path,
        [
            {"name": known[0].alias},
            {"name": "mine", "source": known[0].id, "task": "notes"},
            {
                "name": "other",
                "source": f"bundled:{known[0].alias}",
                "quantization": (known[0].quantisation or "").upper(),
            },
        ],
    )
    first, mine, other = read_registry(path).entries
    assert {variant.id for variant in first.variants} == {
        v.id for v in known if v.alias == known[0].alias and v.format != "safetensors"
    }
    assert [variant.id for variant in mine.variants] == ["mine:" + known[0].id.partition(":")[2]]
    assert (mine.variants[0].alias, mine.variants[0].tasks) == ("mine", ("notes",))
    assert {variant.quantisation for variant in other.variants} == {known[0].quantisation}


def test_a_quantisation_picks_from_a_folder(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m/a-q8_0.gguf")
    write_gguf(tmp_path / "m/a-q4_0.gguf", general__file_type=2)
    entries = read(
        tmp_path,
        [
            {"name": "both", "path": "m"},
            {"name": "one", "path": "m", "quantisation": "Q4_0"},
            {"name": "none", "path": "m", "quantisation": "Q5_0"},
        ],
    ).entries
    assert [[variant.id for variant in entry.variants] for entry in entries] == [
        ["both:q4_0", "both:q8_0"], ["one:q4_0"], [],
    ]  # fmt: skip
    assert entries[2].problem == "there is no q5_0 of it, only q4_0, q8_0"


def test_a_broken_model_spoils_only_its_own_entry(tmp_path: Path) -> None:
    (tmp_path / "empty.gguf").touch()
    write_gguf(tmp_path / "good.gguf")
    registry = read(
        tmp_path,
        [
            {"name": "empty", "path": "empty.gguf"},
            {"name": "gone", "path": "gone.gguf"},
            {"name": "nohost", "endpoint": "http://"},
            {"name": "noclass", "adapter": "no class"},
            {"name": "good", "path": "good.gguf"},
        ],
    )
    problems = [entry.problem or "" for entry in registry.entries]
    assert "cut off" in problems[0]
    assert "there is nothing at" in problems[1]
    assert "is not an address" in problems[2]
    assert "names no adapter" in problems[3]
    assert problems[4] == ""
    assert len(registry.warnings) == 4


def test_keys_that_are_not_read_are_told(tmp_path: Path) -> None:
    registry = read(tmp_path, [{"name": "a", "provider": "x", "endpoint": "http://h", "temprature": 0}])
    assert registry.warnings == ("a: provider, temprature is not read",)


def test_nulls_and_zeros_say_nothing(tmp_path: Path) -> None:
    (entry,) = read(tmp_path, [{"name": "a", "task": None, "min_ram_gb": 0, "size_mb": None, "notes": None}]).entries
    assert (entry.tasks, entry.min_memory, entry.size, entry.notes) == ((), None, None, None)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_of_json(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, '[{"name": "ä"}]'.encode(encoding)).entries[0].alias == "ä"


def test_an_empty_registry_is_one(tmp_path: Path) -> None:
    assert read(tmp_path, []).entries == ()
    assert read(tmp_path, {}).entries == ()


def test_prompts_beside_a_map(tmp_path: Path) -> None:
    registry = read(tmp_path, {"$schema": "s", "prompts": ["Hi", {"prompt": "Ho"}], "a": {}})
    assert registry.prompts == ("Hi", {"prompt": "Ho"})
    assert [entry.alias for entry in registry.entries] == ["a"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1"),
        ("{", "line 1"),
        ('[{"name": "a"},]', "line 1"),
        ("[NaN]", "NaN"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xff\xff", "not JSON"),
        ('"text"', "holds text"),
        ("3", "holds a number"),
        ("null", "holds null"),
        ('{"models": 3}', '"models" is a number'),
        ('{"version": 2, "models": []}', "1 is expected"),
        ('{"version": "1", "models": []}', "1 is expected"),
        ("[3]", "entry 1 cannot be used it is a number"),
        ('[""]', "alias: Expected"),
        ('{"a": "b"}', "it is text"),
        ('[{"name": "a"}, {"name": "a"}]', "entry 2"),
        ('{"a": {}, "a": {}}', "'a' is there twice"),
        ('[{"task": "chat"}]', 'no "alias"'),
        ('[{"name": " "}]', 'no "alias"'),
        ('[{"name": ""}]', "name: Expected"),
        ('[{"name": 3}]', "name: Expected"),
        ('[{"name": "ALL"}]', "several models at once"),
        ('[{"name": "bundled"}]', "several models at once"),
        ('[{"name": "a", "task": 3}]', "task: Expected"),
        ('[{"name": "a", "task": [3]}]', "task[0]: Expected"),
        ('[{"name": "a", "min_ram_gb": "lots"}]', "min_ram_gb: 'lots' is no amount"),
        ('[{"name": "a", "min_ram_gb": true}]', "min_ram_gb: Expected"),
        ('[{"name": "a", "min_ram_gb": -1}]', "min_ram_gb: -1.0 is no amount"),
        ('[{"name": "a", "min_ram_gb": 1e999}]', "min_ram_gb"),
        ('[{"name": "a", "context_length": 0}]', "context_length: Expected"),
        ('[{"name": "a", "prompts": 3}]', "prompts: Expected"),
        ('[{"name": "a", "prompts": " "}]', "prompts: "),
        ('{"prompts": [3], "models": []}', "the file cannot be used prompts: "),
        ('[{"name": "a", "endpoint": "http://h", "path": "x"}]', "excludes"),
        ('{"a": 3}', "entry 'a'"),
        ('{"a": {"capabilities": {}}}', "entry 'a' cannot be used capabilities: Expected"),
    ],
)
def test_broken(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in refused(tmp_path, content)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(BadRegistry, match="cannot be read"):
            read_registry(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["models", "name", "alias", "task", "prompts", "size_mb"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(JSON)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    try:
        registry = read(tmp_path_factory.getbasetemp(), content)
    except BadRegistry:
        return
    assert len({entry.alias for entry in registry.entries}) == len(registry.entries)


def test_a_key_is_named_and_never_written_down(tmp_path: Path) -> None:
    far = {"alias": "far", "endpoint": "http://127.0.0.1:9/v1"}
    for key in ("env:FAR_KEY", "keyring:assay/far"):
        (entry,) = read(tmp_path, [{**far, "key": key}]).entries
        assert entry.variants[0].key == key
    for key in ("sk-secret", "env:", "env:sk-secret", "keyring:assay", "keyring:/far"):
        with pytest.raises(BadRegistry, match="a key itself must not stand") as caught:
            read(tmp_path, [{**far, "key": key}])
        assert "sk-secret" not in str(caught.value)
    with pytest.raises(BadRegistry, match="key stands without an endpoint"):
        read(tmp_path, [{"alias": "near", "key": "env:FAR_KEY"}])
