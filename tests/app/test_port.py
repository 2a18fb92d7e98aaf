"""A port to listen on: the one that was asked for or none, and who has it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from assay.app.port import listen
from assay.errors import BadInput, PortTaken


def test_it_listens_where_it_was_told_to() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as one:
        host, port = one.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with socket.create_connection((host, port), timeout=10):
            pass


def test_a_name_is_listened_to_where_every_client_tries_it() -> None:
    with contextlib.closing(listen("localhost", 0)) as one:
        assert one.getsockname()[0] == "127.0.0.1"


def test_a_port_is_there_again_at_once_after_a_conversation() -> None:
    one = listen("127.0.0.1", 0)
    port = one.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        one.setblocking(True)
        server, _ = one.accept()
        server.close()  # the side that closes first keeps the port for a while
        assert client.recv(1) == b""
    one.close()
    with contextlib.closing(listen("127.0.0.1", port)) as again:
        assert again.getsockname()[1] == port


def test_a_port_that_is_listened_to_is_told_with_its_holder() -> None:
    program = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    program += "; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        with pytest.raises(PortTaken) as caught:
            listen("127.0.0.1", port)
        assert caught.value.message == f"127.0.0.1:{port} is taken by another program"
        if sys.platform == "linux":
            assert f"process {other.pid}: " in (caught.value.why or "")
        assert "--port" in (caught.value.remedy or "")
        other.kill()


def test_a_port_of_this_process_is_taken_too() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as one, pytest.raises(PortTaken):
        listen("127.0.0.1", one.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "said"), [("nowhere.invalid", "no address of this machine"), ("192.0.2.1", "nothing can listen")]
)
def test_an_address_that_is_not_here_is_told(host: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        listen(host, 0)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may use any port")
def test_a_port_that_is_not_yours_is_told() -> None:
    with pytest.raises(BadInput, match="may not be used"):
        listen("127.0.0.1", 80)
