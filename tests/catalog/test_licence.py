"""Licences by class."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import licence_class
from assay.catalog.licence import ATTRIBUTION, NON_COMMERCIAL, ORDER, PERMISSIVE, RESTRICTED

TAGS = """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0
    cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
    cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl
    gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr
    mpl-2.0 odc-by odbl openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl
    lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4
    grok2-community gemma unknown other
"""
"""The Hub's tags, as its documentation lists them in August 2026."""


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
        ("GFDL-1.3-or-later", "attribution"),
        ("lgpl-lr", "attribution"),
        ("ms-pl", "attribution"),
        ("openmdw-1.1", "permissive"),
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
        ("CC-BY-ND-3.0", "restricted use"),
        ("c-uda", "restricted use"),
        ("grok2-community", "restricted use"),
        ("nvidia-open-model-license", "restricted use"),
        ("deepfloyd-if-license", "non-commercial"),
        ("fair-noncommercial-research-license", "non-commercial"),
        ("intel-research", "non-commercial"),
        ("Tongyi Qianwen RESEARCH LICENSE AGREEMENT", "non-commercial"),
        ("mit AND llama3.1", "restricted use"),
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


def test_every_tag_of_the_hub_has_a_class_or_is_told_apart() -> None:
    assert {tag for tag in TAGS.split() if licence_class(tag) == "unknown"} == {"cc", "apple-ascl", "unknown", "other"}


@given(st.text())
def test_any_text_has_a_class(text: str) -> None:
    assert licence_class(text) in ORDER
