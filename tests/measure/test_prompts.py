from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from assay.errors import BadPrompts
from assay.measure.prompts import default_prompts, prompts_schema, read_prompts, single


def write(folder: Path, content: str, name: str = "prompts.json") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_strings_and_objects(tmp_path: Path) -> None:
    entry = {"id": "b", "prompt": "two", "system": "s", "tags": ["t"], "expect": {"any_of": ["x"], "max_sentences": 2}}
    first, second = read_prompts(write(tmp_path, json.dumps(["one", entry])))
    assert (first.id, first.prompt, first.expect) == ("p001", "one", None)
    assert (second.id, second.system, second.tags) == ("b", "s", ("t",))
    assert second.expect is not None
    assert (second.expect.any_of, second.expect.max_sentences) == (("x",), 2)


def test_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '"one"\n\n{"id": "x", "prompt": "two"}\n', "prompts.jsonl")
    assert [(prompt.id, prompt.prompt) for prompt in read_prompts(path)] == [("p001", "one"), ("x", "two")]


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_bytes(b'\xef\xbb\xbf["one"]')
    assert read_prompts(path)[0].prompt == "one"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[", "is not JSON"),
        ('{"prompts": ["a"]}', "is not a list"),
        ("[]", "holds no prompt"),
        ('["a", 3]', "entry 2"),
        ('["a", ""]', "entry 2: the prompt is empty"),
        ('[{"id": "x"}]', "`prompt`"),
        ('[{"prompt": "a", "promt": "b"}]', "promt"),
        ('[{"prompt": "a", "tags": "x"}]', "$.tags"),
        ('[{"prompt": "a", "expect": {"answers": "x"}}]', "$.expect"),
        ('[{"prompt": "a", "expect": {"min_items": "two"}}]', "$.expect.min_items"),
        ('[{"prompt": "a", "id": " "}]', "the id is empty"),
        ('[{"prompt": "a", "id": "x"}, {"prompt": "b", "id": "x"}]', "entry 2: the id 'x' is there twice"),
        ('[{"prompt": "a", "id": "p002"}, "b"]', "twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BadPrompts) as caught:
        read_prompts(write(tmp_path, content))
    assert words in str(caught.value)
    assert caught.value.remedy


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadPrompts, match=r"line 2 is not JSON"):
        read_prompts(write(tmp_path, '"one"\n{"prompt"\n', "prompts.jsonl"))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadPrompts, match="cannot be read"):
        read_prompts(tmp_path / "none.json")


def test_single() -> None:
    assert [(prompt.id, prompt.prompt) for prompt in single("Hello?")] == [("p001", "Hello?")]
    with pytest.raises(BadPrompts):
        single("  ")


def test_default_set() -> None:
    prompts = default_prompts()
    assert len(prompts) == 12
    assert sum(prompt.expect is not None for prompt in prompts) >= 6


def test_the_shipped_schema_is_current_and_takes_what_we_take() -> None:
    shipped = resources.files("assay.measure").joinpath("prompts.schema.json").read_bytes()
    assert shipped == prompts_schema()
    check = jsonschema.Draft202012Validator(json.loads(shipped))
    check.validate(json.loads(resources.files("assay.measure").joinpath("default_prompts.json").read_bytes()))
    check.validate(["one", {"prompt": "two"}])
    assert not check.is_valid([{"prompt": "a", "promt": "b"}])
    assert not check.is_valid([{"id": "x"}])
