"""Names of the Hub's repositories, and pages pasted from a browser."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import HubName, parse_hub_name
from assay.catalog.hub_name import is_repo_id
from assay.errors import UnknownModel


@pytest.mark.parametrize(
    ("text", "repo", "selector", "revision"),
    [
        ("hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF", "Qwen/Qwen2.5-0.5B-Instruct-GGUF", None, None),
        (" HF:o/n ", "o/n", None, None),
        ("hf:o/n:Q4_K_M", "o/n", "Q4_K_M", None),
        ("hf:o/n:sub/folder/m-00001-of-00002.gguf", "o/n", "sub/folder/m-00001-of-00002.gguf", None),
        ("hf:o/n@main", "o/n", None, "main"),
        ("hf:o/n:q8_0@refs/pr/3", "o/n", "q8_0", "refs/pr/3"),
        ("hf:o/n:a@b.gguf@v1.0", "o/n", "a@b.gguf", "v1.0"),
        ("hf.co/o/n:Q4_K_M", "o/n", "Q4_K_M", None),
        ("huggingface.co/o/n", "o/n", None, None),
        ("https://huggingface.co/o/n", "o/n", None, None),
        ("http://www.huggingface.co/o/n/?library=x#files", "o/n", None, None),
        ("https://huggingface.co/o/n/tree/main", "o/n", None, "main"),
        ("https://huggingface.co/o/n/tree/main/cpu/int4", "o/n", "cpu/int4", "main"),
        ("https://huggingface.co/o/n/blob/0a1b2c3/m.gguf", "o/n", "m.gguf", "0a1b2c3"),
        ("https://huggingface.co/o/n/resolve/main/m%20x.gguf?download=true", "o/n", "m x.gguf", "main"),
        ("https://huggingface.co/o/n/tree/refs%2Fpr%2F3", "o/n", None, "refs/pr/3"),
        ("https://huggingface.co/o/n/discussions/4", "o/n", None, None),
        ("https://huggingface.co/o/n/tree", "o/n", None, None),
    ],
)
def test_what_is_read(text: str, repo: str, selector: str | None, revision: str | None) -> None:
    assert parse_hub_name(text) == HubName(repo, selector, revision)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "phi",
        "phi:q4",
        "o/n",
        "http://127.0.0.1:8000/v1#m",
        "https://other.co/o/n",
        "C:\\m.gguf",
        "http://[x",
        "~/m",
    ],
)
def test_what_is_meant_as_something_else(text: str) -> None:
    assert parse_hub_name(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hf:", "a slash between"),
        ("hf:gpt2", "a slash between"),
        ("hf:o/n/m", "no owner/name"),
        ("hf:o/../n", "no owner/name"),
        ("hf:o/n--m", "no owner/name"),
        ("hf:o/n.git", "no owner/name"),
        ("hf:-o/n", "no owner/name"),
        ("hf:o/n:", "nothing follows the colon"),
        ("hf:o/n@", "no revision follows"),
        ("hf:o/n@-x", "no branch, tag or commit"),
        ("hf:o/n@main:q4_0", "before the revision"),
        ("hf:o/n:../x.gguf", "no file of a repository"),
        ("hf:o/n:/etc/passwd", "no file of a repository"),
        ("hf:o/n:a\0b", "no file of a repository"),
        ("https://huggingface.co/o", "a slash between"),
        ("https://huggingface.co/datasets/o/n", "no model's"),
        ("https://huggingface.co/spaces/o", "no model's"),
        ("https://huggingface.co/o/n/tree/%20", "no branch, tag or commit"),
        ("https://huggingface.co/o/n/blob/main/..%2Fx", "no file of a repository"),
    ],
)
def test_bad_forms_are_told_what_is_right(text: str, why: str) -> None:
    with pytest.raises(UnknownModel, match=re.escape(why)) as caught:
        parse_hub_name(text)
    assert "hf:owner/name" in (caught.value.remedy or "")


WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._]{0,20}[A-Za-z0-9]", fullmatch=True).filter(lambda word: ".." not in word)
NAMES = st.builds(
    HubName,
    st.builds("{}/{}".format, WORD, WORD).filter(is_repo_id),
    st.none() | st.lists(WORD, min_size=1, max_size=3).map("/".join),
    st.none() | WORD,
)


@given(
    NAMES.filter(lambda name: name.repo.partition("/")[0].lower() not in {"datasets", "spaces", "docs", "api", "blog"})
)
def test_a_name_is_read_as_it_is_written(name: HubName) -> None:
    assert parse_hub_name(str(name)) == name


@given(st.text(alphabet="hf:/@.-_ab0 \0\n#?%[]") | st.text())
def test_any_text_is_read_left_or_refused(text: str) -> None:
    for told in (text, f"hf:{text}", f"https://huggingface.co/{text}"):
        try:
            name = parse_hub_name(told)
        except UnknownModel:
            continue
        assert name is None or is_repo_id(name.repo)
        assert name is None or ".." not in (name.selector or "").split("/")
