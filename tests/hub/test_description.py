from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.hub.description import DESCRIBED, file_from, repo_from
from assay.types import File

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_whole() -> None:
    told = {
        "id": "acme/chat-1b-GGUF",
        "sha": "c0ffee",
        "createdAt": "2026-01-02T03:04:05.000Z",
        "lastModified": "2026-02-03T04:05:06.000Z",
        "downloads": 12,
        "likes": 3,
        "trendingScore": 2,
        "tags": ["gguf", "base_model:quantized:acme/other", "license:mit"],
        "pipeline_tag": "text-generation",
        "library_name": "llama.cpp",
        "gated": "manual",
        "gguf": {"total": 1_000, "architecture": "qwen2", "context_length": 4096, "chat_template": "{{x}}"},
        "baseModels": {"relation": "quantized", "models": [{"_id": "1", "id": "acme/chat-1b"}]},
        "cardData": {"license": "other", "license_name": "acme-research", "language": ["en", "de"]},
    }
    tree = [
        {"type": "directory", "path": "a", "oid": "1", "size": 0},
        {"type": "file", "path": "a/x.gguf", "oid": "2", "size": 130, "lfs": {"oid": "ab", "size": 5_000_000_000}},
        {"type": "file", "path": "config.json", "oid": "3", "size": 7},
    ]
    repo = repo_from(told, tree)
    assert (repo.id, repo.revision, repo.created) == ("acme/chat-1b-GGUF", "c0ffee", "2026-01-02T03:04:05.000Z")
    assert (repo.downloads, repo.trending, repo.gated) == (12, 2.0, True)
    assert (repo.task, repo.library, repo.licence) == ("text-generation", "llama.cpp", "acme-research")
    assert (repo.parameters, repo.context_length, repo.architecture, repo.chat_template) == (1000, 4096, "qwen2", True)
    assert (repo.base_models, repo.relation, repo.languages) == (("acme/chat-1b",), "quantized", ("en", "de"))
    assert repo.files == (
        File(path="a/x.gguf", size=5_000_000_000, sha256="ab"),
        File(path="config.json", size=7, git_sha1="3"),
    )


def test_unknown_stays_unknown() -> None:
    repo = repo_from({"id": "a/b"})
    assert [
        getattr(repo, name) for name in ("files", "licence", "gated", "parameters", "chat_template", "relation")
    ] == [None] * 6
    assert repo.base_models == repo.languages == repo.tags == ()


def test_checkpoint_with_a_config_but_no_template() -> None:
    repo = repo_from(
        {
            "id": "a/b",
            "safetensors": {"parameters": {"BF16": 70}, "total": 70},
            "config": {"model_type": "llama", "tokenizer_config": {"bos_token": "<s>"}},
            "gated": False,
        }
    )
    assert (repo.parameters, repo.architecture, repo.chat_template, repo.gated) == (70, "llama", False, False)


def test_base_from_the_card_and_from_tags() -> None:
    card = repo_from({"id": "a/b", "cardData": {"base_model": "x/y", "base_model_relation": "finetune"}})
    assert (card.base_models, card.relation) == (("x/y",), "finetune")
    tags = repo_from({"id": "a/b", "tags": ["base_model:x/y", "base_model:merge:x/y", "base_model:merge:p/q"]})
    assert (tags.base_models, tags.relation) == (("x/y", "p/q"), "merge")


def test_licence_tag_and_several() -> None:
    assert repo_from({"id": "a/b", "tags": ["license:apache-2.0"]}).licence == "apache-2.0"
    assert repo_from({"id": "a/b", "cardData": {"license": ["mit", "gemma"]}}).licence == "mit AND gemma"
    assert repo_from({"id": "a/b", "cardData": {"license": "other"}}).licence == "other"


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*DESCRIBED, "id"), JSON)), st.none() | st.lists(st.just({})))
def test_any_answer_is_read(told: dict[str, Any], tree: list[dict[str, Any]] | None) -> None:
    repo = repo_from(told, tree)
    assert repo.parameters is None or repo.parameters > 0
    assert all(isinstance(tag, str) for tag in (*repo.tags, *repo.languages, *repo.base_models))


@given(st.fixed_dictionaries({"path": st.text("ab./")}, optional=dict.fromkeys(("size", "oid", "lfs"), JSON)))
def test_any_file_is_read(entry: dict[str, Any]) -> None:
    file = file_from(entry)
    assert file.size is None or file.size >= 0
    assert file.sha256 is None or file.git_sha1 is None


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 10**400, -(10**400), -1, True])
def test_a_figure_that_can_be_none_is_unknown(number: float) -> None:
    """What is read must be written again, ranked and added up."""
    told = {"trendingScore": number, "downloads": number, "gguf": {"total": number, "context_length": number}}
    repo = repo_from({"id": "a/b", **told}, [{"type": "file", "path": "a", "size": number}])
    assert repo.trending in {None, -1.0}
    assert (repo.downloads, repo.parameters, repo.context_length) == (None, None, None)
    assert repo.files == (File(path="a"),)
