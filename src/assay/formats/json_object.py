"""JSON objects out of model files: read with their size bounded, refused with a reason."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from assay.errors import BadInput
from assay.formats.source import Reader, reader_of

MAX_JSON = 1 << 27
AGAIN = "download or convert it again"


def read_json_object(source: Path | Reader) -> dict[str, Any]:
    """The object in a file such as ``config.json``; a byte-order mark before it is passed over.

    Raises:
        BadInput: it cannot be read, is no JSON, no object, or larger than any configuration is.
    """
    reader = reader_of(source)
    content = reader.read(0, MAX_JSON + 1)
    if len(content) > MAX_JSON:
        raise BadInput(f"{reader.name} is not a configuration", why=f"it has more than {MAX_JSON} bytes", remedy=AGAIN)
    return json_object(content, reader.name)


def json_object(content: bytes, name: str) -> dict[str, Any]:
    """The object that ``content`` spells; ``name`` is what messages call the file. Raise ``BadInput``."""
    try:
        read = json.loads(content.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON", why=str(error), remedy=AGAIN) from error
    if not isinstance(read, dict):
        raise BadInput(f"{name} is not a JSON object", remedy=AGAIN)
    return read


def text_of(value: Any) -> str | None:
    """A text that says something, else None."""
    return value if isinstance(value, str) and value else None


def count_of(value: Any) -> int | None:
    """A whole number above zero, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
