"""Which variants are on this machine.

In: offered variants with a fetcher for their files, models that lie elsewhere. Out: `Stored` records, variants with a
path, who uses them, what they take of the disk. A variant is here when its record is, and that is written last.
"""

from __future__ import annotations

from assay.store.adopting import adopt, set_aside
from assay.store.digest import hash_file, mismatch
from assay.store.fetch import fetch
from assay.store.foreign import Found, Place, elsewhere, found, places
from assay.store.held import Holder
from assay.store.importing import Import, import_, read_import
from assay.store.layout import Layout, slug
from assay.store.move import move
from assay.store.observed import Observations
from assay.store.obtain import Fetcher, FindElsewhere
from assay.store.prune import Plan, carry_out, look, plan
from assay.store.remove import Removed, remove
from assay.store.store import Store
from assay.store.verify import Checked, verify

__all__ = [
    "Checked",
    "Fetcher",
    "FindElsewhere",
    "Found",
    "Holder",
    "Import",
    "Layout",
    "Observations",
    "Place",
    "Plan",
    "Removed",
    "Store",
    "adopt",
    "carry_out",
    "elsewhere",
    "fetch",
    "found",
    "hash_file",
    "import_",
    "look",
    "mismatch",
    "move",
    "places",
    "plan",
    "read_import",
    "remove",
    "set_aside",
    "slug",
    "verify",
]
