"""Licences by class."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import licence_class
from assay.catalog.licence import ATTRIBUTION, NON_COMMERCIAL, ORDER, PERMISSIVE, RESTRICTED


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("Apache-2.0", "permissive"),
        ("apache 2.0", "permissive"),
        ("MIT", "permissive"),
        ("license:mit", "permissive"),
        ("BSD-3-Clause", "permissive"),
        ("BSL-1.0", "permissive"),
        ("CC0-1.0", "permissive"),
        ("CC-BY-4.0", "attribution"),
        ("cc-by-sa-4.0", "attribution"),
        ("GPL-3.0-or-later", "attribution"),
        ("AGPL-3.0-only", "attribution"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "attribution"),
        ("llama2", "restricted use"),
        ("llama3", "restricted use"),
        ("llama3.1", "restricted use"),
        ("Llama-3.2-Community", "restricted use"),
        ("Llama 3.3 Community License Agreement", "restricted use"),
        ("llama4", "restricted use"),
        ("gemma", "restricted use"),
        ("openrail", "restricted use"),
        ("deepseek", "restricted use"),
        ("deepseek-license", "restricted use"),
        ("tongyi-qianwen", "restricted use"),
        ("cc-by-nd-4.0", "restricted use"),
        ("cc-by-nc-4.0", "non-commercial"),
        ("CC-BY-NC-SA-4.0", "non-commercial"),
        ("qwen-research", "non-commercial"),
        ("mrl", "non-commercial"),
        ("mnpl", "non-commercial"),
        ("other", "unknown"),
        ("cc", "unknown"),
        ("proprietary", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        ("MIT OR CC-BY-NC-4.0", "permissive"),
        ("MIT AND CC-BY-4.0", "attribution"),
        ("MIT AND something-own", "unknown"),
        ("something-own OR MIT", "permissive"),
    ],
)
def test_class(licence: str | None, kind: str) -> None:
    assert licence_class(licence) == kind


def test_no_licence_is_in_two_classes() -> None:
    tables = (PERMISSIVE, ATTRIBUTION, RESTRICTED, NON_COMMERCIAL)
    assert sum(map(len, tables)) == len(frozenset().union(*tables))
    for table, kind in zip(tables, ORDER, strict=False):
        assert {licence_class(name.upper()) for name in table} == {kind}


@given(st.text())
def test_any_text_has_a_class(text: str) -> None:
    assert licence_class(text) in ORDER
