"""Model hubs: what there is, and how it gets here. The only room that imports huggingface_hub.

In: an endpoint, a token, names. Out: `Repo` descriptions, byte ranges, one file brought whole with its digests.
"""

from __future__ import annotations

from assay.hub.hub import HUGGING_FACE, Hub, Sort

__all__ = ["HUGGING_FACE", "Hub", "Sort"]
