"""What a running service writes down of models and requests, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from assay.app.service_log import SEEN_OFTEN, ServiceLog
from assay.serve import Refusal
from assay.serve.event_log import EventLog, tail
from assay.serve.tally import Tally


def tally(route: str, status: int) -> Tally:
    return Tally(
        id="req-1",
        method="POST",
        path=route,
        route=route,
        arrived=1.0,
        ended=1.5,
        status=status,
        model="m",
        client="ann",
    )


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ServiceLog]:
    with closing(EventLog(tmp_path / "log")) as events:
        yield ServiceLog(events)


def test_each_thing_that_happens_has_its_line(log: ServiceLog, tmp_path: Path) -> None:
    log.loading("m", "llamacpp")
    log.loaded("m", "llamacpp", 0.25)
    log.stopped("m", "nobody asked for it any more", evicted=False)
    log.stopped("m", "its memory is needed for n", evicted=True)
    log.died("m", "signal 9\nlast line")
    log.failed("n", "no such file")
    log.refused("m", Refusal(status=429, code="queue_full", message="full"))
    log.request(tally("/v1/chat/completions", 200))
    log.overhear("req-1", "prompt", '{"a": 1}\n')
    assert [line.partition(" ")[2] for line in tail(tmp_path / "log", 20)] == [
        "loading model=m engine=llamacpp",
        "loaded model=m engine=llamacpp seconds=0.25",
        'unloaded model=m why="nobody asked for it any more"',
        'evicted model=m why="its memory is needed for n"',
        r'crashed model=m why="signal 9\nlast line"',
        'load failed model=n why="no such file"',
        "refused name=m status=429 code=queue_full why=full",
        "request method=POST path=/v1/chat/completions status=200 client=ann model=m ms=500 id=req-1",
        r'prompt id=req-1 text="{\"a\": 1}\n"',
    ]


def test_what_probes_ask_every_few_seconds_is_written_down_only_where_it_fails(log: ServiceLog, tmp_path: Path) -> None:
    for route in sorted(SEEN_OFTEN):
        log.request(tally(route, 200))
    assert tail(tmp_path / "log", 20) == []
    log.request(tally("/health", 403))
    assert len(tail(tmp_path / "log", 20)) == 1
