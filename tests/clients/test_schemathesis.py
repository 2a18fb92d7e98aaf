"""Requests made up from the service's own OpenAPI document: whatever is asked, it is answered as the document says."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.clients.conftest import Running

schemathesis = pytest.importorskip("schemathesis", reason="the package schemathesis is not installed")
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

pytestmark = pytest.mark.engines

OPERATIONS = (
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /v1/embeddings",
    "GET /v1/models",
    "GET /v1/models/{id}",
    "GET /assay/status",
    "GET /assay/models",
    "POST /assay/load",
    "POST /assay/unload",
    "GET /health",
    "GET /metrics",
    "GET /",
    "GET /docs",
)


def no_fault(_context: Any, response: Any, _case: Any) -> None:
    """No fault of the service: but a request that would not wait may be told that it had to."""
    told = response.json()["error"]["code"] if response.status_code == 503 else None
    assert response.status_code < 500 or told == "queue_timeout", response.text


HELD = [
    no_fault,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
PATIENCE_S = 60
TOKENS = 8
"""Of an answer at most: what is held does not need long ones."""


@pytest.fixture(scope="module")
def document(running: Running) -> Any:
    # What other clients left open must not fall due while a module is compiled: Python 3.11 loses count of its depth
    # then ("AST constructor recursion depth mismatch"), since telling of it compiles, too.
    gc.collect()
    return schemathesis.openapi.from_url(running.url.removesuffix("/v1") + "/openapi.json")


def test_every_operation_is_asked(document: Any) -> None:
    found = {operation.ok().label for operation in document.get_all_operations()}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize("label", OPERATIONS)
def test_made_up_requests_are_answered_as_documented(document: Any, running: Running, label: str) -> None:
    method, path = label.split()
    operation = document[path][method]
    names = st.sampled_from([running.chat, running.tools, running.embeddings, None])

    def ask(case: Any, name: str | None, *, right: bool) -> None:
        if name is not None and isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = name
            if right and "completions" in path:
                case.body["max_tokens"] = TOKENS
                case.body.pop("max_completion_tokens", None)
        case.call_and_validate(checks=HELD, timeout=PATIENCE_S)

    bounds = settings(
        max_examples=25 if method == "POST" else 5,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for mode in list(GenerationMode) if method == "POST" else [GenerationMode.POSITIVE]:
        made = operation.as_strategy(generation_mode=mode)
        seed(4)(bounds(given(case=made, name=names, right=st.just(mode is GenerationMode.POSITIVE))(ask)))()
