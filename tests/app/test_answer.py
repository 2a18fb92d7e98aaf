"""What is said to do where one answer did not come."""

from __future__ import annotations

import pytest
from msgspec import structs

from assay.app.answer import answered
from assay.app.talker import Place, blank_sample
from assay.errors import NothingMeasured
from assay.types import RequestError

PLACE = Place(variant="m:q8_0", engine="scripted", where="here", why_there="scripted")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            RequestError(kind="http", status=400, message="HTTP 400: the prompt has 9 tokens, but the context is 8"),
            "give a shorter prompt, or --ctx where the model has a longer context",
        ),
        (RequestError(kind="http", status=400, message="HTTP 400: top_k is not known"), "the same with --debug"),
        (RequestError(kind="timeout", message="nothing came for 120 s"), "give it longer: --timeout"),
    ],
)
def test_the_remedy_is_for_what_went_wrong(error: RequestError, remedy: str) -> None:
    with pytest.raises(NothingMeasured) as caught:
        answered(PLACE, structs.replace(blank_sample(PLACE), error=error))
    assert caught.value.remedy == remedy
