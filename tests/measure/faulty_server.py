"""A scripted OpenAI-like server, run as a program: the requested model names how it behaves, faults included.

``python faulty_server.py [CERTIFICATE KEY]`` prints its port and serves on loopback until its standard input
closes. ``/control/log`` tells the request bodies and headers received so far.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

Writer = asyncio.StreamWriter
Request = dict[str, Any]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
LOG: list[dict[str, Any]] = []


def sse(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def delta(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    words = {"content": content} if content is not None else {}
    return sse({"choices": [{"index": 0, "delta": {**words, **more}, "finish_reason": finish}]})


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def tail(prompt: int, completion: int, **more: Any) -> bytes:
    return sse({"choices": [], "usage": usage(prompt, completion, **more)})


def answer(status: int, body: bytes, kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


async def stream(writer: Writer, *parts: bytes) -> None:
    """A whole chunked response, each part in a write of its own."""
    writer.write(HEAD)
    for part in parts:
        writer.write(chunk(part))
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(b"0\r\n\r\n")


async def ok(writer: Writer, request: Request) -> None:
    prompt = request["messages"][-1]["content"]
    if not request["stream"]:
        message = {"role": "assistant", "content": f"echo: {prompt}"}
        whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage(5, 3)}
        writer.write(answer(200, json.dumps(whole).encode()))
        return
    await stream(
        writer,
        delta("", role="assistant"),
        delta("echo"),
        delta(": "),
        delta(prompt),
        delta("", "stop"),
        tail(5, 3),
        DONE,
    )


async def slow(writer: Writer, request: Request) -> None:
    await asyncio.sleep(0.05)
    await ok(writer, request)


async def reasoning(writer: Writer, request: Request) -> None:
    del request
    parts = [delta(None, reasoning_content="let me "), delta(None, reasoning="see"), delta("42"), delta("", "stop")]
    await stream(writer, delta("", role="assistant"), *parts, tail(4, 3), DONE)


async def think_tags(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, delta("<thi"), delta("nk>hm"), delta("m</think>\n\n"), delta("yes"), delta("", "stop"), DONE)


async def coalesced(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, delta("one two three "), delta("four five"), delta("", "stop"), tail(4, 5), DONE)


async def coalesced_told(writer: Writer, request: Request) -> None:
    del request
    first = {"choices": [{"index": 0, "delta": {"content": "one two three "}}], "usage": usage(4, 3)}
    second = {"choices": [{"index": 0, "delta": {"content": "four five"}}], "usage": usage(4, 5)}
    await stream(writer, sse(first), sse(second), delta("", "stop"), DONE)


async def timings(writer: Writer, request: Request) -> None:
    del request
    told = {"prompt_n": 3, "cache_n": 8, "predicted_n": 2}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "timings": told}
    await stream(writer, delta("a"), delta("b"), sse(last), DONE)


async def cached(writer: Writer, request: Request) -> None:
    del request
    details = {"prompt_tokens_details": {"cached_tokens": 9}}
    await stream(writer, delta("a"), delta("b"), delta("", "stop"), tail(12, 2, **details), DONE)


async def no_usage(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, delta("a"), delta("b"), delta("c"), delta("", "length"), DONE)


async def no_finish(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, delta("only "), delta("half"))


async def empty(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, delta("", role="assistant"), delta("", "stop"), tail(5, 1), DONE)


async def nothing(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, DONE)


async def no_body(writer: Writer, request: Request) -> None:
    del request
    writer.write(answer(200, b"", "text/event-stream"))


async def error_in_stream(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, delta("so far"), sse({"error": {"message": "out of KV memory", "type": "server_error"}}), DONE)


async def error_then_silence(writer: Writer, request: Request) -> None:
    del request
    writer.write(HEAD + chunk(delta("so far")) + chunk(sse({"error": "the engine is gone"})))
    await writer.drain()
    await asyncio.sleep(3600)


async def malformed(writer: Writer, request: Request) -> None:
    del request
    await stream(writer, delta("good"), b'data: {"choices": [{"delta": \n\n', delta("never seen"), DONE)


async def ignores_stream(writer: Writer, request: Request) -> None:
    await ok(writer, {**request, "stream": False})


async def until_close(writer: Writer, request: Request) -> None:
    """No length and no chunks, as HTTP/1.0 servers do."""
    del request
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + delta("a") + delta("b", "stop") + DONE)
    writer.close()


async def held_open(writer: Writer, request: Request) -> None:
    """Says [DONE] and never ends the body."""
    del request
    writer.write(HEAD + chunk(delta("a") + delta("b", "stop") + DONE))
    await writer.drain()
    await asyncio.sleep(3600)


async def cut_at(writer: Writer, request: Request, where: int) -> None:
    """Closes after ``where`` bytes of the body."""
    del request
    whole = b"".join(chunk(delta(f"{n} ")) for n in range(20)) + chunk(delta("", "stop")) + chunk(DONE) + b"0\r\n\r\n"
    writer.write(HEAD + whole[:where])
    await writer.drain()
    writer.close()


async def reset(writer: Writer, request: Request) -> None:
    del request
    writer.write(HEAD + chunk(delta("before ")) + chunk(delta("the reset")))
    await writer.drain()
    await asyncio.sleep(0.05)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close_unanswered(writer: Writer, request: Request) -> None:
    del request
    writer.close()


async def stall(writer: Writer, request: Request) -> None:
    del request
    writer.write(HEAD + chunk(delta("before ")) + chunk(delta("the stall")))
    await writer.drain()
    await asyncio.sleep(3600)


async def silent(writer: Writer, request: Request) -> None:
    del writer, request
    await asyncio.sleep(3600)


async def not_http(writer: Writer, request: Request) -> None:
    del request
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await writer.drain()
    writer.close()


async def not_found(writer: Writer, request: Request) -> None:
    body = {"error": {"message": f"no model {request['model']}", "type": "invalid_request_error"}}
    writer.write(answer(404, json.dumps(body).encode()))


async def plain_error(writer: Writer, request: Request) -> None:
    del request
    writer.write(answer(503, b"overloaded,\n try later", "text/plain", "Retry-After: 1\r\n"))


async def echoes_key(writer: Writer, request: Request) -> None:
    del request
    writer.write(answer(401, json.dumps({"error": {"message": f"bad key {LOG[-1]['key']}"}}).encode()))


async def redirects(writer: Writer, request: Request) -> None:
    del request
    writer.write(answer(307, b"", "text/plain", "Location: http://127.0.0.1:9/v1/chat/completions\r\n"))


async def refuses_continuous(writer: Writer, request: Request) -> None:
    if "continuous_usage_stats" in request.get("stream_options", {}):
        body = {"detail": [{"loc": ["body", "stream_options", "continuous_usage_stats"], "msg": "Extra inputs"}]}
        writer.write(answer(422, json.dumps(body).encode()))
        return
    await ok(writer, request)


async def refuses_options(writer: Writer, request: Request) -> None:
    if "stream_options" in request:
        writer.write(answer(400, b'{"error": {"message": "Unknown parameter: stream_options"}}'))
        return
    await no_usage(writer, request)


async def fails_at_first(writer: Writer, request: Request) -> None:
    """Every prompt's first request is refused, the next one answered."""
    asked = [entry for entry in LOG if entry["body"]["messages"] == request["messages"]]
    if len(asked) % 2:
        writer.write(answer(500, b"not yet", "text/plain"))
        return
    await ok(writer, request)


async def dies_at_two(writer: Writer, request: Request) -> None:
    """Ends the whole process in its second answer."""
    if len([entry for entry in LOG if entry["body"]["model"] == "dies_at_two"]) < 2:
        await ok(writer, request)
        return
    writer.write(HEAD + chunk(delta("last words")))
    await writer.drain()
    await asyncio.sleep(0.05)
    os._exit(7)


BEHAVIOURS: dict[str, Callable[[Writer, Request], Awaitable[None]]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        ok,
        slow,
        reasoning,
        think_tags,
        coalesced,
        coalesced_told,
        timings,
        cached,
        no_usage,
        no_finish,
        empty,
        nothing,
        no_body,
        error_in_stream,
        error_then_silence,
        malformed,
        ignores_stream,
        until_close,
        held_open,
        reset,
        close_unanswered,
        stall,
        silent,
        not_http,
        not_found,
        plain_error,
        echoes_key,
        redirects,
        refuses_continuous,
        refuses_options,
        fails_at_first,
        dies_at_two,
    )
}


async def get(path: str, writer: Writer) -> None:
    if path == "/control/log":
        writer.write(answer(200, json.dumps(LOG).encode()))
    elif path == "/control/models":
        writer.write(answer(200, b'{"status": "fine"}'))
    elif path == "/v1/models":
        models = {"object": "list", "data": [{"id": name, "object": "model"} for name in BEHAVIOURS]}
        writer.write(answer(200, json.dumps(models).encode()))
    else:
        writer.write(answer(404, b"no such page", "text/plain"))


async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
    try:
        while not writer.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, path, _ = first.split(" ")
            if method == "GET":
                await get(path, writer)
                continue
            request = json.loads(body)
            LOG.append({"body": request, "key": headers.get("authorization", ""), "headers": headers})
            name, _, detail = request["model"].partition(":")
            if name == "cut_at":
                await cut_at(writer, request, int(detail))
            else:
                await BEHAVIOURS[name](writer, request)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def leave_when_stdin_closes() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


async def main() -> None:
    context = None
    if len(sys.argv) > 1:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    threading.Thread(target=leave_when_stdin_closes, daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
