"""Which variants exist: the bundled models, the registry that people keep, files on this machine, addresses.

In: what people type, ``models.json``, model files. Out: ``Variant``s with all that their files tell of them, what their
licence allows, and which of them fit the memory of this machine.
"""

from __future__ import annotations

from assay.catalog.adapter import adapter_variant
from assay.catalog.bundled import bundled_folder, bundled_prompts, bundled_variants
from assay.catalog.digest import folder_of, with_digests
from assay.catalog.fit import Fit, by_memory, first_fitting, suits
from assay.catalog.licence import LicenceClass, licence_class
from assay.catalog.local import variants_at
from assay.catalog.registry import Registry, read_registry
from assay.catalog.registry_entry import Entry
from assay.catalog.registry_file import registry_schema
from assay.catalog.remote import remote_variant
from assay.catalog.resolve import resolve

__all__ = [
    "Entry",
    "Fit",
    "LicenceClass",
    "Registry",
    "adapter_variant",
    "bundled_folder",
    "bundled_prompts",
    "bundled_variants",
    "by_memory",
    "first_fitting",
    "folder_of",
    "licence_class",
    "read_registry",
    "registry_schema",
    "remote_variant",
    "resolve",
    "suits",
    "variants_at",
    "with_digests",
]
