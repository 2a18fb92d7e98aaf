"""The worker's protocol, against a scripted engine in a real worker process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import psutil
import pytest

from assay.types import PROMPT_TOKENS
from tests.waiting import until

RunScript = Callable[..., None]


def pieces(*texts: str | bytes) -> list[tuple[str, int]]:
    return [((text.encode() if isinstance(text, str) else text).hex(), 1) for text in texts]


def entries(events: list[Any]) -> list[dict[str, Any]]:
    return [entry for event in events if event != "[DONE]" for entry in event.get("choices", ())]


def texts(events: list[Any], choice: int = 0) -> list[str]:
    found = [entry["delta"].get("content") for entry in entries(events) if entry["index"] == choice]
    return [text for text in found if text]


def finishes(events: list[Any]) -> list[str]:
    return [entry["finish_reason"] for entry in entries(events) if entry["finish_reason"]]


def test_a_stream_begins_with_the_role_and_has_one_chunk_a_piece(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        events = await client.stream()
        assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert texts(events) == ["one", " two"]
        assert finishes(events) == ["stop"]
        assert events[-2]["choices"][0]["delta"] == {}
        assert events[-1] == "[DONE]"
        assert all(event["object"] == "chat.completion.chunk" for event in events[:-1])
        assert len({event["id"] for event in events[:-1]}) == 1
        assert all("usage" not in event for event in events[:-1])

    with_script(use, pieces=pieces("one", " two"))


def test_a_streams_head_tells_the_tokens_of_its_prompts(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        body = {"model": client.endpoint.model, "prompt": [[1, 2, 3], [4]], "n": 2, "stream": True}
        async with client.session.post(client.endpoint.url + "/completions", json=body) as response:
            assert response.headers[PROMPT_TOKENS] == "4"
            await response.read()

    with_script(use, pieces=pieces("one"))


def test_usage_is_sent_where_it_was_asked_for(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        events = await client.stream(stream_options={"include_usage": True})
        *chunks, last, done = events
        assert (last["choices"], done) == ([], "[DONE]")
        assert last["usage"] == {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12}
        assert all(chunk["usage"] is None for chunk in chunks)
        events = await client.stream(stream_options={"continuous_usage_stats": True})
        assert [event["usage"]["completion_tokens"] for event in events[:-1]] == [0, 1, 3, 4]

    with_script(use, pieces=[(b"one".hex(), 1), (b" two".hex(), 2), ("", 1)])


def test_an_answer_in_one_body(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        status, body = await client.chat("hello")
        assert status == 200
        assert body["object"] == "chat.completion"
        assert body["choices"] == [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "one two"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ]
        assert body["usage"] == {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
        status, body = await client.complete("hello")
        assert (status, body["object"]) == (200, "text_completion")
        assert body["choices"][0]["text"] == "one two"
        assert body["usage"]["prompt_tokens"] == 5

    with_script(use, pieces=pieces("one", " two"))


def test_what_was_cached_of_a_prompt_is_counted_once(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        _, body = await client.complete(["hallo", "welt!"], n=3)
        assert body["usage"]["prompt_tokens"] == 10
        assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 8}

    with_script(use, pieces=pieces("a"), cached=4)


def test_a_character_split_over_tokens_comes_whole(with_script: RunScript) -> None:
    split = [bytes([byte]) for byte in "é漢🙂".encode()]

    async def use(client: Any) -> None:
        events = await client.stream(stream_options={"continuous_usage_stats": True})
        assert texts(events) == ["é", "漢", "🙂"]
        counts = [event["usage"]["completion_tokens"] for event in events[1:-1] if event["choices"][0]["delta"]]
        assert counts == [2, 5, 9]
        assert events[-2]["usage"]["completion_tokens"] == 9

    with_script(use, pieces=pieces(*split))


def test_a_stop_string_may_straddle_tokens(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        events = await client.stream(stop=["END!"], stream_options={"include_usage": True})
        assert "".join(texts(events)) == "go E N on "
        assert finishes(events) == ["stop"]
        assert events[-2]["usage"]["completion_tokens"] == 6
        _, body = await client.chat(stop="END!")
        assert body["choices"][0]["message"]["content"] == "go E N on "
        health = await client.settled()
        assert health["cancelled"] == 2

    script = pieces("go E", " N", " on ", "E", "N", "D!after", "never")
    with_script(use, pieces=script, endless=True)


def test_what_only_began_a_stop_string_is_sent_at_the_end(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        events = await client.stream(stop=["END!"])
        assert "".join(texts(events)) == "the EN"
        assert finishes(events) == ["length"]

    with_script(use, pieces=pieces("the ", "EN"), end="length")


def test_the_rest_of_the_context_is_the_default_limit(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        _, body = await client.complete([1] * 60)
        assert (body["usage"]["completion_tokens"], body["choices"][0]["finish_reason"]) == (4, "length")
        _, body = await client.complete([1] * 10, max_tokens=7)
        assert body["usage"]["completion_tokens"] == 7
        _, body = await client.complete([1] * 10, max_completion_tokens=8)
        assert body["usage"]["completion_tokens"] == 8
        _, body = await client.complete([1] * 62, max_tokens=50)
        assert (body["usage"]["completion_tokens"], body["choices"][0]["finish_reason"]) == (2, "length")

    with_script(use, pieces=pieces(*["x"] * 64))


def test_a_prompt_that_does_not_fit_is_refused_with_both_lengths(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        for prompt in ([1] * 64, [1] * 100):
            status, body = await client.complete(prompt)
            assert status == 400
            assert body["error"]["code"] == "context_length_exceeded"
            assert f"{len(prompt)} tokens" in body["error"]["message"]
            assert "64 tokens" in body["error"]["message"]
        status, body = await client.chat("x" * 80, stream=True)
        assert (status, body["error"]["param"]) == (400, "messages")

    with_script(use, pieces=pieces("x"))


def test_several_prompts_and_choices_are_numbered_in_order(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        _, body = await client.complete(["a", "bc"], n=2)
        assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
        assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11}
        events = await client.stream(n=2)
        assert texts(events, 0) == texts(events, 1) == ["one", " two"]
        assert finishes(events) == ["stop", "stop"]

    with_script(use, pieces=pieces("one", " two"))


def test_requests_run_together(with_script: RunScript) -> None:
    """No generation of this script goes on before three are under way: one after the other would never end."""

    async def use(client: Any) -> None:
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*[client.chat() for _ in range(3)])
        assert [status for status, _ in answers] == [200, 200, 200]

    with_script(use, pieces=pieces("x"), together=3)


def test_a_request_with_more_prompts_than_slots_leaves_one_to_others(with_script: RunScript) -> None:
    """Four at a time go on in this script. The first four are three of the many and the other request."""

    async def use(client: Any) -> None:
        async with asyncio.timeout(60):
            many = asyncio.create_task(client.complete(["a", "b", "c", "d", "e"]))
            await client.reached("running", 5)
            assert (await client.complete("other"))[0] == 200
            await asyncio.gather(client.complete("other"), client.complete("other"))
            _, body = await many
        assert [choice["text"] for choice in body["choices"]] == ["x"] * 5

    with_script(use, pieces=pieces("x"), together=4)


def test_of_many_prompts_none_is_begun_after_the_client_has_left(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        async for event in client.events("/completions", prompt=["a"] * 20):
            assert event["choices"][0]["text"] == "x"
            break
        health = await client.settled()
        assert (health["cancelled"], health["running"]) == (20, 0)
        assert health["generated_tokens"] <= 3

    with_script(use, pieces=pieces("x"), endless=True)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_the_generation(with_script: RunScript, stream: bool) -> None:
    """The script ends only when it is cancelled."""

    async def use(client: Any) -> None:
        if stream:
            async for event in client.events("/completions", prompt="a"):
                assert event["choices"][0]["text"] == "x"
                break
        else:
            request = asyncio.create_task(client.complete("a"))
            while not (await client.health())["generated_tokens"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            request.cancel()
        health = await client.settled()
        assert (health["cancelled"], health["generated_tokens"]) == (1, 1)

    with_script(use, pieces=pieces("x"), endless=True)


def test_an_engine_error_is_a_500_or_an_event(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        status, body = await client.chat()
        assert (status, body["error"]["message"]) == (500, "the scripted error")
        events = await client.stream()
        assert texts(events) == ["one"]
        assert events[-1]["error"]["message"] == "the scripted error"
        assert (await client.health())["status"] == "ok"

    with_script(use, pieces=pieces("one", " two"), error_at=1)


def test_an_engine_that_breaks_says_so_everywhere(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        assert (await client.chat())[0] == 500
        health = await client.health()
        assert (health["http"], health["status"], health["reason"]) == (503, "dead", "the device is lost")
        status, body = await client.chat()
        assert (status, "the device is lost" in body["error"]["message"]) == (503, True)

        def dead() -> bool:  # its parent reads of it in a thread of its own
            described = client.engine.describe(client.endpoint)
            return (described.state, described.reason) == ("dead", "the device is lost")

        await asyncio.to_thread(until, dead)

    with_script(use, pieces=pieces("x"), break_at=0)


def test_errors_have_openai_bodies(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        status, body = await client.post("/chat/completions", model="other", messages=[{"role": "user", "content": ""}])
        assert (status, body["error"]["code"]) == (404, "model_not_found")
        status, body = await client.chat(temperature="hot")
        assert (status, body["error"]["param"]) == (400, "temperature")
        status, body = await client.chat(top_k=3)
        assert (status, body["error"]["code"]) == (400, "unsupported_parameter")
        status, body = await client.complete("")
        assert (status, body["error"]["param"]) == (400, "prompt")
        status, body = await client.post("/nowhere")
        assert (status, body["error"]["type"]) == (404, "invalid_request_error")
        for raw in (b"{", b"[]", b"\xff"):
            async with client.session.post(
                client.endpoint.url + "/completions", data=raw, headers={"Content-Type": "application/json"}
            ) as response:
                assert response.status == 400
                assert "message" in (await response.json())["error"]

    with_script(use, pieces=pieces("x"))


def test_requests_that_a_page_may_have_sent_are_refused(with_script: RunScript) -> None:
    cases: list[tuple[dict[str, str], int, str | None]] = [
        ({"Host": "evil.example"}, 403, "host_not_allowed"),
        ({"Host": "127.0.0.1.evil.example:80"}, 403, "host_not_allowed"),
        ({"Host": "192.168.1.2"}, 403, "host_not_allowed"),
        ({"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({"Origin": "null"}, 403, "origin_not_allowed"),
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        ({"Content-Type": ""}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=utf-8"}, 200, None),
        ({"Host": "localhost"}, 200, None),
        ({"Host": "[::1]:8080"}, 200, None),
    ]

    async def use(client: Any) -> None:
        url, raw = client.endpoint.url, json.dumps({"model": client.endpoint.model, "prompt": "a"}).encode()
        for headers, status, code in cases:
            sent = {"Content-Type": "application/json", **headers}
            async with client.session.post(url + "/completions", data=raw, headers=sent) as response:
                body = await response.json()
            assert (response.status, body.get("error", {}).get("code")) == (status, code), headers
            async with client.session.get(url + "/models", headers=headers) as response:
                assert response.status == (403 if status == 403 else 200), headers

    with_script(use, pieces=pieces("x"))


def test_every_route_wants_the_workers_own_key(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        url, body = client.endpoint.url, {"model": client.endpoint.model, "prompt": "a"}
        key = client.endpoint.headers["Authorization"].removeprefix("Bearer ")
        assert key not in f"{client.endpoint!r} {psutil.Process(client.endpoint.pid).cmdline()}"
        async with aiohttp.ClientSession() as stranger:
            for given in (None, "Bearer ", "Bearer x", key, f"Bearer {key}x", "Bearer é"):
                headers = {"Authorization": given} if given is not None else {}
                for asked in (
                    stranger.post(f"{url}/completions", json=body, headers=headers),
                    stranger.get(f"{url}/models", headers=headers),
                    stranger.get(f"{url.removesuffix('/v1')}/health", headers=headers),
                ):
                    async with asked as response:
                        told = await response.json()
                    assert (response.status, told["error"]["code"]) == (401, "invalid_api_key")
        assert (await client.health())["requests"] == 0

    with_script(use, pieces=pieces("x"))


def test_models_and_health(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        async with client.session.get(client.endpoint.url + "/models") as response:
            listed = await response.json()
        assert [entry["id"] for entry in listed["data"]] == ["scripted-1"]
        health = await client.health()
        assert (health["http"], health["status"], health["slots"], health["context_length"]) == (200, "ok", 4, 64)

    with_script(use, pieces=pieces("x"))


def test_counts_that_the_model_cannot_give_piece_by_piece(with_script: RunScript) -> None:
    """Pieces without a count: usage comes from counting the text that was sent."""

    async def use(client: Any) -> None:
        events = await client.stream(stop=["four"], stream_options={"include_usage": True})
        assert events[-2]["usage"]["completion_tokens"] == 3

    script = [(text.encode().hex(), None) for text in ("one two", " three fo", "ur five")]
    with_script(use, pieces=script)


def test_two_hundred_streams_at_once_stay_apart(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        answers = await asyncio.gather(*[client.stream() for _ in range(200)])
        assert all(texts(events) == [str(i) for i in range(20)] for events in answers)
        assert (await client.settled())["generated_tokens"] == 200 * 20

    with_script(use, pieces=pieces(*map(str, range(20))))
