"""The curated list: its form, and that every name which people know a model by leads to it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from assay.catalog import curated, licence_class
from assay.catalog.curated import CuratedEntry
from assay.catalog.shelf import Shelf
from assay.catalog.spelling import spelling

ENTRIES = curated()
SHELF = Shelf([], [], ENTRIES)
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
NAME = re.compile(r"[a-z0-9][a-z0-9.:-]*")
DOCS = Path(__file__).parents[2] / "docs" / "curated.md"


def alias(text: str) -> str | None:
    entry = SHELF.curated_named(text)
    return entry.alias if entry else None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        # what courses on local models use
        ("phi-4-mini", "phi-4-mini"),
        ("phi-3.5-mini", "phi-3.5-mini"),
        ("qwen2.5-0.5b", "qwen2.5-0.5b"),
        ("qwen2.5-7b-instruct", "qwen2.5-7b"),
        ("mistral-7b", "mistral-7b"),
        ("gemma-2-2b", "gemma-2-2b"),
        ("llama-3.2", "llama-3.2-3b"),
        ("deepseek-r1-distill-qwen-7b", "deepseek-r1-distill-qwen-7b"),
        ("deepseek-coder-1.3b", "deepseek-coder-1.3b"),
        # Foundry Local's catalogue
        ("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"),
        ("deepseek-r1-1.5b", "deepseek-r1-distill-qwen-1.5b"),
        ("deepseek-r1-7b", "deepseek-r1-distill-qwen-7b"),
        ("deepseek-r1-8b", "deepseek-r1-distill-llama-8b"),
        ("deepseek-r1-14b", "deepseek-r1-distill-qwen-14b"),
        ("mistral-7b-v0.2", "mistral-7b-v0.2"),
        ("mistral-nemo-12b-instruct", "mistral-nemo"),
        ("ministral-3-3b-instruct-2512", "ministral-3-3b"),
        ("phi-3-mini-4k", "phi-3-mini-4k"),
        ("phi-3-mini-128k", "phi-3-mini-128k"),
        ("phi-4", "phi-4"),
        ("phi-4-mini-reasoning", "phi-4-mini-reasoning"),
        ("gpt-oss-20b", "gpt-oss-20b"),
        ("smollm3-3b", "smollm3-3b"),
        ("qwen3-0.6b", "qwen3-0.6b"),
        ("qwen3-embedding-0.6b", "qwen3-embedding-0.6b"),
        ("Phi-4-mini-instruct-cuda-gpu:5", "phi-4-mini"),
        ("qwen2.5-0.5b-instruct-generic-cpu:4", "qwen2.5-0.5b"),
        ("Phi-3-mini-128k-instruct-generic-cpu:3", "phi-3-mini-128k"),
        ("mistralai-Mistral-7B-Instruct-v0-2-generic-cpu:3", "mistral-7b-v0.2"),
        # Ollama's library
        ("llama3.2", "llama-3.2-3b"),
        ("llama3.2:1b", "llama-3.2-1b"),
        ("llama3.1:8b", "llama-3.1-8b"),
        ("qwen2.5:0.5b", "qwen2.5-0.5b"),
        ("qwen3:8b", "qwen3-8b"),
        ("phi3.5", "phi-3.5-mini"),
        ("phi4", "phi-4"),
        ("phi4-mini", "phi-4-mini"),
        ("gemma2:2b", "gemma-2-2b"),
        ("gemma2", "gemma-2-9b"),
        ("gemma3", "gemma-3-4b"),
        ("gemma3:1b", "gemma-3-1b"),
        ("mistral", "mistral-7b"),
        ("deepseek-r1:7b", "deepseek-r1-distill-qwen-7b"),
        ("gpt-oss:20b", "gpt-oss-20b"),
        ("nomic-embed-text", "nomic-embed-text"),
        # the repository itself, and other ways to write a name
        ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-0.5b"),
        (" Phi 4 Mini ", "phi-4-mini"),
        ("QWEN2.5_CODER_7B", "qwen2.5-coder-7b"),
        ("no-such-model", None),
        ("", None),
    ],
)
def test_names_that_people_know(name: str, found: str | None) -> None:
    assert alias(name) == found


def test_no_two_models_share_a_name() -> None:
    names = [name for entry in ENTRIES for name in {entry.alias, *entry.names}]
    assert len(names) == len(set(names))
    assert all(len(entry.names) == len(set(entry.names)) and entry.alias not in entry.names for entry in ENTRIES)
    assert all(NAME.fullmatch(name) and spelling(name) == name for name in names)


def test_no_two_models_share_a_repository() -> None:
    repos = [repo.lower() for entry in ENTRIES for repo in (entry.repo, *entry.gguf, *entry.onnx)]
    assert len(repos) == len(set(repos))
    assert all(REPO.fullmatch(repo) for entry in ENTRIES for repo in (entry.repo, *entry.gguf, *entry.onnx))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.alias)
def test_each_entry_says_where_it_was_read_and_what_is_known(entry: CuratedEntry) -> None:
    assert entry.pages
    assert all(page.startswith("https://") and " " not in page for page in entry.pages)
    assert entry.family
    assert entry.publisher
    assert set(entry.capabilities) <= {"chat", "code", "tools", "vision", "reasoning", "embeddings"}
    assert entry.tasks == (("embeddings",) if "embeddings" in entry.capabilities else ("chat",))
    assert set(entry.tasks) <= set(entry.capabilities)
    assert entry.licence is None or licence_class(entry.licence) != "unknown"
    assert entry.parameters is None or entry.parameters >= 10**7
    assert entry.context_length is None or entry.context_length >= 512
    assert all(re.fullmatch(r"[a-z]{2,3}", language) for language in entry.languages)


def test_families_are_together_and_small_models_first() -> None:
    families = [entry.family for entry in ENTRIES]
    assert sum(before != after for before, after in pairwise(families)) + 1 == len(set(families))
    for before, after in pairwise(ENTRIES):
        if before.family == after.family and before.parameters and after.parameters:
            assert before.parameters <= after.parameters


def test_the_licence_is_the_publishers_word() -> None:
    told = {entry.alias: licence_class(entry.licence) for entry in ENTRIES}
    assert told["qwen2.5-3b"] == told["qwen2.5-coder-3b"] == "non-commercial"
    assert told["deepseek-r1-distill-llama-8b"] == told["gemma-3-1b"] == told["llama-3.2-1b"] == "restricted use"
    assert told["phi-4-mini"] == told["mistral-7b"] == told["gpt-oss-20b"] == "permissive"


def test_the_document_names_every_model_and_where_it_was_read() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE) == [entry.alias for entry in ENTRIES]
    assert all(f"<{page}>" in text for entry in ENTRIES for page in entry.pages)


def test_an_unknown_key_of_the_list_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(
            b'{"alias":"a","family":"a","publisher":"a","repo":"a/b","pages":[],"size":3}', type=CuratedEntry
        )
