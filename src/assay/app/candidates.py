"""What people name -> candidates: each variant with the engine that runs it.

In: names, a registry file, an endpoint, an adapter. Out: candidates in the order given, no two alike. Nothing is
started here.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import structs

from assay import catalog, engines, measure
from assay.app import loop
from assay.app.getting import get
from assay.app.here import Here
from assay.app.sizing import Sizing
from assay.errors import BadInput, UnknownModel
from assay.settings import Settings
from assay.types import Candidate, Transfers, Variant

EVERY = frozenset({"auto", "all"})
"""Names that stand for all models there are."""
REMOTE_ENGINE = "endpoint"


def from_names(
    names: Sequence[str],
    *,
    here: Here,
    engines_wanted: Sequence[str],
    api_key: str | None,
    transfers: Transfers,
) -> list[Candidate]:
    """Candidates for names as the catalog understands them; what is not here is fetched, one's own files are hashed.

    Raises:
        UnknownModel: a name that is nothing. BadInput: an engine that cannot run a variant's format. HubError,
        StoreError: what is named cannot be fetched.
    """
    sizing = Sizing(here)
    variants = [variant for name in names for variant in get(name, here, sizing, transfers=transfers)]
    sizing.close()
    known = [told(variant, here.hashes, api_key) for variant in variants]
    return [candidate for variant in known for candidate in on_engines(variant, engines_wanted)]


def on_engines(variant: Variant, wanted: Sequence[str]) -> list[Candidate]:
    """One candidate for each wanted engine that reads the variant's format; its own engine where none is asked for."""
    if variant.format == "remote":
        return [Candidate(variant=variant, engine=REMOTE_ENGINE)]
    if variant.format == "safetensors":
        return []
    if not wanted:
        return [Candidate(variant=variant, engine=engines.for_variant(variant).name)]
    fitting = [name for name in wanted if variant.format in engines.load(name).formats]
    if not fitting:
        raise BadInput(
            f"{variant.id} is {variant.format}, which {' and '.join(wanted)} cannot run",
            remedy=f"leave --engine out to run it on {engines.for_variant(variant).name}",
        )
    return [Candidate(variant=variant, engine=name) for name in fitting]


def at_endpoint(url: str, names: Sequence[str], api_key: str | None) -> list[Candidate]:
    """Candidates at a server that is already there; without names, every model it lists.

    Raises:
        BadInput: the server lists nothing. EngineUnavailable: it cannot be asked.
    """
    served = tuple(names) or _listed(url, api_key)
    return [
        Candidate(
            variant=Variant(id=name, alias=name, format="remote", source=url, served_id=name), engine=REMOTE_ENGINE
        )
        for name in served
    ]


def from_adapter(adapter: str, weights: Path | None, name: str | None, hashes: Path) -> Candidate:
    """The candidate that runs a person's own model through an adapter class."""
    return on_engines(catalog.adapter_variant(adapter, weights, name=name, hashes=hashes), ())[0]


def use_endpoint(settings: Settings) -> str | None:
    """The base URL to measure at, None where none is set.

    Raises:
        BadInput: the environment names a server on another machine; prompts leave this one only when a flag says so.
    """
    if settings.endpoint is None:
        return None
    url = measure.base_url(settings.endpoint)
    source = settings.source("endpoint")
    if source.isupper() and not _on_this_machine(url):
        raise BadInput(
            f"{source} points at {url}, which is not this machine",
            why="nothing leaves this machine because of a variable that may be set for something else",
            remedy=f"give --endpoint {url} to measure it, or unset {source}",
        )
    return url


def distinct(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Each variant on each engine once, in the order given.

    Raises:
        BadInput: two different artefacts under one id, which no report could tell apart.
    """
    seen: dict[tuple[str, str], Candidate] = {}
    for candidate in candidates:
        known = seen.setdefault(candidate.key, candidate)
        if known.variant.digest != candidate.variant.digest:
            places = [one.variant.path or one.variant.source for one in (known, candidate)]
            raise BadInput(
                f"two different models are both called {candidate.variant.id}",
                why=" and ".join(places),
                remedy="give them names of their own in a models.json",
            )
    return tuple(seen.values())


def require_names(names: Sequence[str]) -> None:
    """Refuse a bench of nothing."""
    if not names:
        known = dict.fromkeys(variant.alias for variant in catalog.bundled_variants())
        raise UnknownModel(
            "no model was named",
            remedy=f"name some ({', '.join(known)}, a .gguf file, a folder, a URL), or try assay quickstart",
        )


def told(variant: Variant, hashes: Path, api_key: str | None) -> Variant:
    """The variant with what only its files or its server can tell: hashes, or the one model that is served."""
    if variant.format != "remote":
        return catalog.with_digests(variant, hashes)
    if variant.served_id is not None:
        return variant
    served = _listed(variant.source, api_key)
    if len(served) > 1:
        raise BadInput(
            f"{variant.source} serves {len(served)} models: {', '.join(served)}",
            remedy=f"name one: {variant.source}#{served[0]}",
        )
    return structs.replace(variant, served_id=served[0])


def _listed(url: str, api_key: str | None) -> tuple[str, ...]:
    served = loop.run(lambda: measure.list_models(url, measure.bearer(api_key)))
    if not served:
        raise BadInput(f"{url} lists no models", remedy="name the model: assay bench MODEL --endpoint URL")
    return served


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
