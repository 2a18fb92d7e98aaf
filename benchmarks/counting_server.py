"""A server that answers every chat request with a short stream and logs each one that it finished, for ``kill.py``.

usage: python benchmarks/counting_server.py LOG; prints its port; ends when stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path

WORDS = ["one ", "two ", "three ", "four "]
PAUSE_S = 0.004


def event(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    """One chunk of a streamed answer."""
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": usage}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: Path) -> None:
    """Serve the requests of one connection until it closes."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            parts = [event({"role": "assistant", "content": ""}), *(event({"content": word}) for word in WORDS)]
            usage = {"prompt_tokens": 3, "completion_tokens": len(WORDS)}
            parts += [event({}, "stop", usage), b"data: [DONE]\n\n"]
            size = sum(map(len, parts))
            writer.write(
                f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {size}\r\n\r\n".encode()
            )
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(PAUSE_S)
            with log.open("a") as file:
                file.write("done\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Listen on a free port and wait for the parent to go."""
    log = Path(sys.argv[1])
    server = await asyncio.start_server(lambda r, w: answer(r, w, log), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(gone.set)

    threading.Thread(target=watch, daemon=True).start()
    async with server:
        await gone.wait()


if __name__ == "__main__":
    asyncio.run(main())
