"""Lines for a stream that is read, is not read in time, or can be read no more."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest

from assay.cli.echo import Echo
from tests.waiting import until

LINES = 300
"""Of a kilobyte each: more than a pipe and a short queue hold."""
LONG = "x" * 1_000_000


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    """What is written to the second is read from the first."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as reader, os.fdopen(writing, "w", encoding="utf-8") as writer:
        yield reader, writer


def test_lines_are_printed_in_their_order_and_to_the_last(pipe: tuple[TextIO, TextIO]) -> None:
    reader, writer = pipe
    heard: list[str] = []
    reading = threading.Thread(target=lambda: heard.extend(reader))
    reading.start()
    echo = Echo(writer)
    for n in range(LINES):
        echo(f"{n} \u00e9")
    echo.close()
    writer.close()
    reading.join()
    assert heard == [f"{n} \u00e9\n" for n in range(LINES)]


def test_what_nobody_read_in_time_is_left_out_and_told_where_it_is_missing(pipe: tuple[TextIO, TextIO]) -> None:
    reader, writer = pipe
    echo = Echo(writer, most=10)
    for n in range(LINES):
        echo(f"{n} " + "x" * 1000)
    heard: list[str] = []
    reading = threading.Thread(target=lambda: heard.extend(reader))
    reading.start()

    def is_heard_again() -> bool:
        echo("again")
        return "again\n" in heard

    until(is_heard_again)
    echo.close()
    writer.close()
    reading.join()
    expected = left_out = 0
    for line in heard[: heard.index("again\n")]:
        if (told := re.fullmatch(r"assay: (\d+) lines? left out here: .*\n", line)) is not None:
            left_out += int(told[1])
            expected += int(told[1])
        else:
            assert line == f"{expected} {'x' * 1000}\n"
            expected += 1
    assert left_out
    assert expected >= LINES


def test_a_stream_that_nobody_reads_ends_nothing_and_holds_nobody_up(pipe: tuple[TextIO, TextIO]) -> None:
    reader, writer = pipe
    echo = Echo(writer)
    echo(LONG)
    echo("next")
    echo.close()
    print(LONG, file=writer, flush=True)  # what follows goes nowhere
    assert reader.read(9) == LONG[:9]


def test_a_reader_who_has_gone_is_left_alone(pipe: tuple[TextIO, TextIO]) -> None:
    reader, writer = pipe
    reader.close()
    echo = Echo(writer)
    for n in range(LINES):
        echo(f"{n}")
    echo.close()
    print(LONG, file=writer, flush=True)


def test_a_stream_that_is_no_file_gets_nothing() -> None:
    stream = io.StringIO()
    echo = Echo(stream)
    echo("one")
    echo.close()
    assert stream.getvalue() == ""
