"""The page that a person sees who opens the service's address: nothing on it is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from assay.serve.offer import Listed


def page(address: str, version: str, listed: Sequence[Listed]) -> str:
    """HTML for ``address`` (scheme, host, port) and the names that can be asked for."""
    model = next((one.id for one in listed if not one.variant.embeds), listed[0].id if listed else "MODEL")
    return _template().substitute(
        address=escape(address),
        version=escape(version),
        model=escape(model),
        models="\n".join(map(_row, listed)) or '<tr><td colspan="4">none yet: assay model fetch NAME</td></tr>',
    )


def _row(one: Listed) -> str:
    variant = one.variant
    context = "" if variant.context_length is None else f"{variant.context_length:,}"
    what = "embeddings" if one.variant.embeds else "chat"
    cells = (f"<code>{escape(one.id)}</code>", escape(variant.id), escape(what), context)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


@cache
def _template() -> Template:
    return Template(files("assay.serve").joinpath("page.html").read_text("utf-8"))
