"""Large bodies together: as many bytes as they may take, and no more."""

from __future__ import annotations

import asyncio

from msgspec import structs

from assay.serve.bodies import BODIES
from tests.serve.doorstep import QUICK, Door, Model, open_door, run
from tests.serve.opened import read_answer, until

SIZE = 40_000
BODY = b'{"model":"m","user":"' + b"x" * SIZE + b'"}'
LIMITS = structs.replace(QUICK, bodies=100_000)


async def half_sent(door: Door) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose body lacks its last byte."""
    return await door.begin("/v1/completions", f"Content-Length: {len(BODY)}", body=BODY[:-1])


def test_what_is_too_much_together_is_refused_and_the_others_are_served() -> None:
    async def work() -> None:
        async with open_door(Model(), limits=LIMITS) as door:
            held = door.app[BODIES]
            first, second = await half_sent(door), await half_sent(door)
            await until(lambda: held.held >= 2 * SIZE)
            third, writer = await half_sent(door)
            answer = await read_answer(third)
            assert (answer.status, answer.code) == (503, "bodies_full")
            assert answer.headers["retry-after"] == "1"
            writer.close()
            for reader, sender in (first, second):
                sender.write(BODY[-1:])
                assert (await read_answer(reader)).status == 200
                sender.close()
            await until(lambda: held.held == 0)

    run(work)


def test_what_a_client_that_left_had_sent_is_let_go_of() -> None:
    async def work() -> None:
        async with open_door(Model(), limits=LIMITS) as door:
            held = door.app[BODIES]
            for _ in range(5):
                _, writer = await half_sent(door)
                await until(lambda: held.held >= SIZE)
                writer.transport.abort()
                await until(lambda: held.held == 0)

    run(work)


def test_one_body_alone_may_be_as_large_as_a_body_may_be() -> None:
    async def work() -> None:
        async with open_door(Model(), limits=structs.replace(LIMITS, bodies=10)) as door:
            assert (await door.post("/v1/completions", BODY + b" " * 500_000))[0] == 200

    run(work)
