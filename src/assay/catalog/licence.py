"""Licences by what they let people do."""

from __future__ import annotations

from typing import Literal

LicenceClass = Literal["permissive", "attribution", "restricted use", "non-commercial", "unknown"]

ORDER: tuple[LicenceClass, ...] = ("permissive", "attribution", "restricted use", "non-commercial", "unknown")
"""From the freest to the strictest, and then what nobody can say."""

# fmt: off
PERMISSIVE = frozenset({
    "0bsd", "afl-3.0", "apache-2.0", "artistic-2.0", "blueoak-1.0.0", "bsd", "bsd-1-clause", "bsd-2-clause",
    "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "ecl-2.0",
    "isc", "mit", "mit-0", "ncsa", "openmdw", "openmdw-1.0", "openmdw-1.1", "pddl", "pddl-1.0", "postgresql",
    "python-2.0", "unlicense", "upl-1.0", "wtfpl", "zlib",
})
ATTRIBUTION = frozenset({
    "agpl-3.0", "cc-by-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-1.0", "cc-by-sa-2.0",
    "cc-by-sa-2.5", "cc-by-sa-3.0", "cc-by-sa-4.0", "cdla-sharing-1.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1",
    "eupl-1.2", "gfdl", "gfdl-1.1", "gfdl-1.2", "gfdl-1.3", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.0", "lgpl-2.1",
    "lgpl-3.0", "lgpl-lr", "lgpllr", "lppl-1.3c", "mpl-2.0", "ms-pl", "odbl", "odbl-1.0", "odc-by", "odc-by-1.0",
    "ofl-1.1", "osl-3.0",
})
RESTRICTED = frozenset({
    "bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "c-uda", "c-uda-1.0",
    "creativeml-openrail-m", "deepseek", "falcon-180b", "falcon-llm", "gemma", "gemma-terms-of-use", "grok2", "lfm1.0",
    "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "nvidia-open-model", "openrail", "openrail++",
    "qwen", "stabilityai-ai-community", "tongyi-qianwen",
})
NON_COMMERCIAL = frozenset({
    "apple-amlr", "deepfloyd-if", "exaone", "fair-noncommercial-research", "h-research", "intel-research",
    "mistral-ai-research", "mnpl", "mnpl-0.1", "mrl", "mrl-0.1", "qwen-research", "tongyi-qianwen-research",
})
# fmt: on

SUFFIXES = ("-only", "-or-later", "+", "-community", "-license", "-licence", "-agreement")
FAMILIES = {f"llama-{version}": f"llama{version}" for version in ("2", "3", "3.1", "3.2", "3.3", "4")}


def licence_class(licence: str | None) -> LicenceClass:
    """What a licence lets people do, by its SPDX id or the Hub's tag (`license:`, `license_name`), whatever its case.

    - permissive: use, change and pass on for any purpose; keep the notice. SPDX ids that the Open Source Initiative or
      the Blue Oak Council list as permissive, dedications to the public domain, OpenMDW.
    - attribution: any purpose, with more to do when it is passed on: name the author (CC BY, ODC-BY) or pass it
      on under the same terms (CC BY-SA, GPL, MPL).
    - restricted use: commercial use within bounds that the licence draws: a list of forbidden uses (OpenRAIL, Gemma,
      DeepSeek), a number of users or revenue (Llama, Tongyi Qianwen, LFM), no changed copies (CC BY-ND), computing
      alone (C-UDA).
    - non-commercial: research or private use only, by the licence's own text (CC BY-NC, Qwen Research, Mistral
      Research, EXAONE).
    - unknown: none given, one that is not in the table, or a word that names no licence (``other``). Never guessed.

    An expression of alternatives (``MIT OR Apache-2.0``) has the class of its freest part, and one with ``AND`` that of
    its strictest. This sorts models for a choice; it is no legal advice.
    """
    name = " ".join((licence or "").lower().split()).removeprefix("license:").strip("() ")
    if " or " in name:
        return min((licence_class(part) for part in name.split(" or ")), key=ORDER.index)
    if " and " in name:
        return max((licence_class(part) for part in name.split(" and ")), key=ORDER.index)
    spelling = name.partition(" with ")[0].replace(" ", "-").replace("_", "-")
    while True:
        known = _known(FAMILIES.get(spelling, spelling))
        ending = next((suffix for suffix in SUFFIXES if spelling.endswith(suffix)), None)
        if known != "unknown" or ending is None:
            return known
        spelling = spelling.removesuffix(ending)


def _known(spelling: str) -> LicenceClass:
    if spelling.startswith("cc-by-nc"):
        return "non-commercial"
    if spelling.startswith("cc-by-nd"):
        return "restricted use"
    tables = (PERMISSIVE, ATTRIBUTION, RESTRICTED, NON_COMMERCIAL)
    return next((kind for table, kind in zip(tables, ORDER, strict=False) if spelling in table), "unknown")
