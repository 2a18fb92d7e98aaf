"""Clients that ask before they send a body."""

from __future__ import annotations

import asyncio

import pytest

from tests.serve.doorstep import Door, Model, open_door, run
from tests.serve.opened import read_answer

BODY = b'{"model":"m","messages":[]}'


async def asked(door: Door, path: str, expect: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await door.begin(path, f"Expect: {expect}", f"Content-Length: {len(BODY)}")


def test_a_client_that_waits_for_a_go_ahead_gets_it_and_then_its_answer() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            reader, writer = await asked(door, "/v1/chat/completions", "100-Continue")
            assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(BODY)
            assert (await read_answer(reader)).status == 200
            writer.close()

    run(work)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/assay/load"])
def test_another_expectation_is_refused_in_openais_form(path: str) -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            reader, writer = await asked(door, path, "200-ok")
            answer = await read_answer(reader)
            assert (answer.status, answer.code) == (417, "expectation_failed")
            writer.close()

    run(work)
