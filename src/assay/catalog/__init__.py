"""Which variants exist: bundled, kept in registries and in the store, curated, offered by a hub, on this machine.

In: what people type, ``models.json``, model files, a repository's list of files. Out: ``Variant``s with all that is
known of them, what their licence allows, which of them fit this machine, and what must be asked of a hub.
"""

from __future__ import annotations

from assay.catalog.adapter import adapter_variant
from assay.catalog.best import Ranked, Ranking, best
from assay.catalog.bundled import bundled_folder, bundled_prompts, bundled_variants
from assay.catalog.catalog import Catalog, Found
from assay.catalog.curated import CuratedEntry, curated
from assay.catalog.digest import folder_of, with_digests
from assay.catalog.discover import PIPELINES, Fitting, Wishes, discover
from assay.catalog.filters import Filter, parse_filter
from assay.catalog.fit import Fit, Fits, by_memory, fit_of
from assay.catalog.hub_name import HubName, parse_hub_name
from assay.catalog.left_out import LeftOut
from assay.catalog.licence import LicenceClass, licence_class
from assay.catalog.listing import Row, listing
from assay.catalog.local import looked_at, variants_at
from assay.catalog.memory import estimate
from assay.catalog.near import near_names
from assay.catalog.offers import Offers, chosen, offers
from assay.catalog.registry import Registry, read_registry
from assay.catalog.registry_entry import Entry
from assay.catalog.registry_file import registry_schema
from assay.catalog.remote import remote_variant
from assay.catalog.shape import Shape
from assay.catalog.wanted import Wanted, offered, promised
from assay.catalog.watermark import Watermark, move_watermark, read_watermark, start_of_look
from assay.catalog.weigh import measure_of, retyped

__all__ = [
    "PIPELINES",
    "Catalog",
    "CuratedEntry",
    "Entry",
    "Filter",
    "Fit",
    "Fits",
    "Fitting",
    "Found",
    "HubName",
    "LeftOut",
    "LicenceClass",
    "Offers",
    "Ranked",
    "Ranking",
    "Registry",
    "Row",
    "Shape",
    "Wanted",
    "Watermark",
    "Wishes",
    "adapter_variant",
    "best",
    "bundled_folder",
    "bundled_prompts",
    "bundled_variants",
    "by_memory",
    "chosen",
    "curated",
    "discover",
    "estimate",
    "fit_of",
    "folder_of",
    "licence_class",
    "listing",
    "looked_at",
    "measure_of",
    "move_watermark",
    "near_names",
    "offered",
    "offers",
    "parse_filter",
    "parse_hub_name",
    "promised",
    "read_registry",
    "read_watermark",
    "registry_schema",
    "remote_variant",
    "retyped",
    "start_of_look",
    "variants_at",
    "with_digests",
]
