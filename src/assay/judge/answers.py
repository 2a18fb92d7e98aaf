"""What an answer holds: its JSON value, its list items, its sentences, its normalised text. Pure functions of text."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Final

_FENCE: Final = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_OPENING: Final = re.compile(r"[\[{]")
_ITEM: Final = re.compile(r"^\s*(?:[-*+\u2022\u2023\u25aa\u2013]|\(?\d{1,3}[.)])\s+\S")
_BREAK: Final = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+\u2022\u2013]|\(?\d{1,3}[.)])\s)")
_END: Final = re.compile(r"[.!?\u2026]+[\"'\u2019\u201d\u00bb)\]]*(?=\s|$)|[\u3002\uff01\uff1f]+[\u300d\u300f\u201d]*")
_LAST_WORD: Final = re.compile(r"([^\s(\"'\u201c\u2018]+)$")
_WORD_START: Final = re.compile(r"\s*[\"'(\u201c\u2018\u00ab\[]*(\S)")

_TITLES: Final = re.compile(
    "Dr|Mr|Mrs|Ms|Mx|Prof|St|Rev|Hon|Sr|Jr|Gen|Col|Capt|Lt|Sgt|Sen|Rep|Gov|Messrs|Mme|Mlle|Dept|Tel|Attn"
)
"""Followed by a name; only as written here, for ``rep.`` and ``gen.`` may well end a sentence."""
_MONTHS: Final = re.compile("jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|mai|okt|dez", re.IGNORECASE)
_REFERENCES: Final = re.compile("nos?|nrs?|figs?|eqs?|sec|ch|art|vol|pp?|ext", re.IGNORECASE)
"""Abbreviations only before a number, as those of months are: ``no. 5``, ``Jan. 5``."""
_ALWAYS_GO_ON: Final = re.compile("e\\.g|i\\.e|vs|cf|ca|approx|al|incl|viz", re.IGNORECASE)

_SPACELESS: Final = "\u0e00"
"""Scripts from here on (Thai, Han, kana, ...) put no spaces between words, so a word boundary means nothing there."""


class NoJson(ValueError):
    """The text holds no JSON value."""


def normalised(text: str) -> str:
    """NFC, casefolded, white space runs as one space, without white space and one full stop at the end."""
    flat = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return flat.removesuffix(".").rstrip()


def mentions(text: str, words: str) -> bool:
    """Whether ``words`` occur in ``text`` as whole words, both normalised: ``art`` is not in ``start``."""
    wanted = normalised(words)
    if not wanted:
        return False
    before = r"(?<![^\W\u0e00-\U0010ffff])" if _is_spaced_word(wanted[0]) else ""
    after = r"(?![^\W\u0e00-\U0010ffff])" if _is_spaced_word(wanted[-1]) else ""
    return re.search(before + re.escape(wanted) + after, normalised(text)) is not None


def _is_spaced_word(character: str) -> bool:
    return character < _SPACELESS and (character.isalnum() or character == "_")


def first_json(text: str) -> Any:
    """The first JSON value of an answer.

    In this order: the contents of a code fence, the whole text, the first array or object that begins anywhere in the
    text and is complete. ``NaN`` and ``Infinity`` are not JSON. Raises `NoJson`.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for body in [*_FENCE.findall(text), text]:
        try:
            return decoder.decode(body.strip())
        except RecursionError as error:
            raise NoJson("the JSON is nested too deeply") from error
        except ValueError:
            continue
    for opening in _OPENING.finditer(text):
        try:
            return decoder.raw_decode(text, opening.start())[0]
        except RecursionError as error:
            raise NoJson("the JSON is nested too deeply") from error
        except ValueError:
            continue
    raise NoJson("no JSON value in the answer")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def count_items(text: str) -> int:
    """Items of the list in an answer: lines with a bullet or a number, or the length of its first JSON array."""
    lines = sum(1 for line in text.splitlines() if _ITEM.match(line))
    try:
        value = first_json(text)
    except NoJson:
        return lines
    return max(lines, len(value)) if isinstance(value, list) else lines


def count_sentences(text: str) -> int:
    """Sentences in an answer.

    A sentence ends at ``.``, ``!``, ``?`` or an ellipsis before white space, at a full-width stop, at a blank line and
    before a list item. A full stop ends nothing after a title or another abbreviation that always goes on (``Dr.``,
    ``e.g.``), after an initial (``J. Smith``), after the number of a list item or of a date (``3. May``), inside a
    number or a word (``2.5``, ``example.org``), or before a lower-case letter. ``etc.``, ``a.m.`` and the like end a
    sentence only before a capital letter or at the end.
    """
    return sum(_sentences_of(block) for block in _BREAK.split(text))


def _sentences_of(block: str) -> int:
    count = start = 0
    for end in _END.finditer(block):
        if _ends_sentence(block, end.start(), end.end(), start):
            count += _has_word(block[start : end.end()])
            start = end.end()
    return count + _has_word(block[start:])


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _ends_sentence(block: str, stop: int, end: int, start: int) -> bool:
    following = _WORD_START.match(block, end)
    if following is None or block[stop] not in ".\u2026":
        return True
    if following[1].islower():
        return False
    if block[stop:end] != ".":
        return True
    word = _LAST_WORD.search(block, start, stop)
    if word is None:
        return True
    return not _is_abbreviation(word[1], block[start : word.start()], block[following.start(1) :])


def _is_abbreviation(word: str, before: str, after: str) -> bool:
    """Whether the stop behind ``word`` belongs to it, in a sentence that holds ``before`` and goes on to ``after``."""
    if word.isdigit():
        return len(word) <= 2 and (not before.strip() or _MONTHS.match(after) is not None)
    if _REFERENCES.fullmatch(word) or _MONTHS.fullmatch(word):
        return after[0].isdigit()
    initial = len(word) == 1 and word.isupper() and word != "I"
    return initial or bool(_TITLES.fullmatch(word) or _ALWAYS_GO_ON.fullmatch(word))
