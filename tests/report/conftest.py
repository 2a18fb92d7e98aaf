"""A run made by hand: five candidates of unlike size, quantisation and engine; one never starts, one fails at times."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, quantiles

import pytest
from msgspec.structs import replace

from assay.report import Report
from assay.types import (
    Candidate,
    Choice,
    Decoding,
    Expect,
    Figure,
    File,
    Lag,
    Limit,
    Machine,
    Policy,
    Prompt,
    RequestError,
    RunData,
    RunRecord,
    Sample,
    Score,
    SelfTest,
    SimpleRow,
    Summary,
    Variant,
    Verdict,
    Workload,
)

MS = 1_000_000
PROMPTS = 24
ROUNDS = 3
PEOPLE = ("Mara", "Jonas", "Oyelaran", "Birgit", "Tomasz", "Ines")
THINGS = ("the venue contract", "the slides", "the budget sheet", "the badge printer", "the newsletter")
DAYS = ("Friday", "Monday", "the 3rd of May", "next week")
LICENCES = {"Apache-2.0": "permissive", "CC-BY-NC-4.0": "non-commercial"}
SIZES = {
    # id: (engine, format, parameters, bytes, quality, first text ms, ms a token, memory MB)
    "notes-0.5m:q8_0": ("llama.cpp", "gguf", 524_000, 610_000, 0.41, 1.9, 0.34, 58),
    "notes-1.5m:q8_0": ("llama.cpp", "gguf", 1_490_000, 1_640_000, 0.72, 3.1, 0.55, 64),
    "notes-4m:q8_0": ("llama.cpp", "gguf", 4_100_000, 4_480_000, 0.91, 6.4, 0.98, 74),
    "notes-4m:int4": ("onnxruntime-genai", "onnx", 4_100_000, 2_930_000, 0.89, 11.8, 1.44, 142),
}


def variant(name: str) -> Variant:
    if name == "meadow-7b:f16":
        return Variant(
            id=name,
            alias="meadow-7b",
            format="onnx",
            source="local",
            quantisation="f16",
            parameters=7_240_000_000,
            licence="CC-BY-NC-4.0",
        )
    _, kind, parameters, size, *_ = SIZES[name]
    return Variant(
        id=name,
        alias=name.split(":", maxsplit=1)[0],
        format="gguf" if kind == "gguf" else "onnx",
        source="bundled",
        revision="1",
        quantisation=name.split(":")[1],
        files=(File(path="model.gguf", size=size, sha256="ab" * 32),),
        parameters=parameters,
        licence="Apache-2.0",
    )


def prompts() -> tuple[Prompt, ...]:
    made = []
    for i in range(PROMPTS):
        who, what, when = PEOPLE[i % 6], THINGS[i % 5], DAYS[i % 4]
        note = f"We met about the fair. {who} said the hall is booked. {who} will send {what} by {when}."
        ask = "Give the action items as JSON." if i % 2 else "List the action items."
        record: tuple[dict[str, str | None], ...] = ({"who": who, "what": f"send {what}", "when": when},)
        made.append(
            Prompt(id=f"note-{i + 1:02d}", prompt=f"{note}\n\n{ask}", tags=("notes",), expect=Expect(records=record))
        )
    return tuple(made)


def samples(rng: random.Random) -> Iterable[tuple[Sample, float]]:
    """Samples with the quality of their candidate."""
    i = 0
    for name, (engine, _, _, _, quality, first, each, _) in SIZES.items():
        for concurrency in (1, 4):
            for turn in range(ROUNDS):
                for number, prompt in enumerate(prompts()):
                    tokens = 18 + number % 7 * 4 + (70 if number == 16 and name != "notes-4m:int4" else 0)
                    load = 1 if concurrency == 1 else 2.6
                    to_text = int(first * load * rng.lognormvariate(0, 0.12) * MS)
                    step = int(each * load * rng.lognormvariate(0, 0.06) * MS)
                    sent = 10**12 + i * 10**9
                    stamps = tuple(sent + to_text + k * step for k in range(tokens))
                    failed = name == "notes-4m:int4" and number in {5, 11} and turn == 1
                    yield (
                        Sample(
                            i=i,
                            variant=name,
                            engine=engine,
                            prompt=prompt.id,
                            round=turn,
                            phase="measure",
                            concurrency=concurrency,
                            sent_ns=sent,
                            first_byte_ns=sent + to_text - MS // 4,
                            first_text_ns=None if failed else stamps[0],
                            first_answer_ns=None if failed else stamps[0],
                            last_text_ns=None if failed else stamps[-1],
                            done_ns=stamps[-1],
                            chunk_ns=() if failed else stamps,
                            first_chunk_tokens=None if failed else 1,
                            prompt_tokens=58,
                            output_tokens=None if failed else tokens,
                            token_source="server",
                            finish=None if failed else "stop",
                            error=RequestError(kind="timeout", message="no text within 120 s") if failed else None,
                            text="" if failed else answer(prompt, quality, rng),
                        ),
                        quality,
                    )
                    i += 1


def answer(prompt: Prompt, quality: float, rng: random.Random) -> str:
    record = prompt.expect.records[0] if prompt.expect and prompt.expect.records else {}
    who = record.get("who") if rng.random() < quality else "Mira"
    return f'[{{"who": "{who}", "what": "{record.get("what")}", "when": "{record.get("when")}"}}]'


def figure(values: list[float], share: float | None = None, enough: bool = True) -> Figure:
    """A figure with a made-up interval: the mean, or the quantile ``share``."""
    value = fmean(values) if share is None else quantiles(values, n=100, method="inclusive")[int(share * 100) - 1]
    return Figure(value=value, low=value * 0.955, high=value * 1.05, n=len(values), enough=enough)


def summary(name: str, concurrency: int, own: list[Sample]) -> Summary:
    engine, _, _, size, quality, _, _, memory = SIZES[name]
    good = [s for s in own if s.ok]
    figures = {
        f"{key}_{label}": figure([v for s in good if (v := getattr(s, key)) is not None], share, label != "p99")
        for key in ("ttft", "e2e")
        for label, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("mean", None))
    }
    figures["decode_tps"] = figure([v for s in good if (v := s.decode_tps) is not None])
    figures["throughput"] = figure([concurrency * 0.62 * v for s in good if (v := s.request_tps) is not None])
    figures["quality"] = Figure(value=quality, low=quality - 0.05, high=min(1, quality + 0.045), n=PROMPTS)
    figures["disk"] = Figure(value=size, n=1)
    figures["error_rate"] = Figure(value=1 - len(good) / len(own), n=len(own))
    if engine == "llama.cpp":
        figures["peak_memory"] = Figure(value=memory * 1e6, n=1)
    if name == "notes-4m:int4":
        figures["e2e_p95"] = replace(figures["e2e_p95"], enough=False)
    return Summary(
        variant=variant(name),
        engine=engine,
        concurrency=concurrency,
        status="measured",
        requests=len(own),
        failures=len(own) - len(good),
        output_tokens=sum(s.output_tokens or 0 for s in good),
        figures=figures,
    )


def machine() -> Machine:
    return Machine(
        system="Linux",
        release="6.1.0",
        arch="x86_64",
        cpu="Example CPU 8 @ 2.4 GHz",
        cores=4,
        physical_cores=2,
        memory=16_700_000_000,
        memory_available=11_200_000_000,
        memory_limit=8_000_000_000,
        governor="performance",
        load_average=0.41,
        python="3.11.9",
    )


def choice() -> Choice:
    policy = Policy(limits=(Limit(figure="quality", op=">=", bound=0.6, text="quality >=0.6"),), licence="permissive")
    return Choice(
        policy=policy,
        runs=("20260102-030405-abcd",),
        winner=("notes-4m:q8_0", "llama.cpp"),
        p_best=0.9683,
        sure=True,
        sentence="Run notes-4m:q8_0 on llama.cpp: it has the best quality (0.910) of the 3 candidates that meet the "
        "policy, and is the best of them in 96.8% of the draws.",
        replicates=10_000,
        warnings=("The quality of notes-4m:q8_0 and notes-4m:int4 differs by less than their intervals.",),
        verdicts=(
            Verdict(variant="notes-4m:q8_0", engine="llama.cpp", p_best=0.9683, meets_limits=1.0),
            Verdict(variant="notes-4m:int4", engine="onnxruntime-genai", p_best=0.0317, meets_limits=1.0),
            Verdict(variant="notes-1.5m:q8_0", engine="llama.cpp", p_best=0.0, meets_limits=0.94),
            Verdict(
                variant="notes-0.5m:q8_0",
                engine="llama.cpp",
                rejected=("quality 0.410 is below the 0.6 that the policy requires",),
            ),
            Verdict(
                variant="meadow-7b:f16",
                engine="onnxruntime-genai",
                rejected=("it was not measured: it did not start", "licence CC-BY-NC-4.0 is not permissive"),
            ),
        ),
    )


def build() -> Report:
    rng = random.Random(7)
    made = list(samples(rng))
    candidates = [
        Candidate(
            variant=variant(name),
            engine=row[0],
            engine_version="2026.10" if row[0] == "llama.cpp" else "0.18.0",
            arguments={"threads": 4, "context_length": 1024, "slots": 4},
            status="measured",
            load_ns=int(410 * MS + row[2] / 10),
            load_kind="warm",
        )
        for name, row in SIZES.items()
    ]
    failed = Candidate(
        variant=variant("meadow-7b:f16"),
        engine="onnxruntime-genai",
        engine_version="0.18.0",
        status="failed",
        reason="the process ended with exit code 1 before it was ready: genai_config.json is missing",
    )
    record = RunRecord(
        id="20260102-030405-abcd",
        created="2026-01-02T03:04:05Z",
        finished="2026-01-02T03:06:17Z",
        assay="0.1.0",
        status="complete",
        name="fair notes",
        machine=machine(),
        workload=Workload(
            prompts=prompts(), rounds=ROUNDS, concurrency=(1, 4), decoding=Decoding(max_tokens=128), seed=11
        ),
        candidates=(*candidates, failed),
        selftest=SelfTest(
            loop="uvloop",
            lags=(
                Lag(streams=1, events_per_s=200, events=400, p50=8.1e-5, p99=3.1e-4, worst=7e-4, counts_exact=True),
                Lag(streams=16, events_per_s=200, events=6400, p50=1.9e-4, p99=1.4e-3, worst=4e-3, counts_exact=True),
            ),
        ),
    )
    scores = [
        Score(
            sample=s.i,
            judge="check",
            criterion="records",
            value=float("Mira" not in s.text),
            why="every field is right" if "Mira" not in s.text else "who: expected another name, got Mira",
        )
        for s, _ in made
        if s.ok
    ]
    summaries = [
        summary(name, level, [s for s, _ in made if s.variant == name and s.concurrency == level])
        for name in SIZES
        for level in (1, 4)
    ]
    summaries.append(
        Summary(variant=failed.variant, engine=failed.engine, concurrency=1, status="failed", reason=failed.reason)
    )
    return Report(
        run=RunData(record=record, samples=tuple(s for s, _ in made), scores=tuple(scores)),
        summaries=tuple(summaries),
        choice=choice(),
        licence_classes=LICENCES,
        simple=(
            SimpleRow(
                alias="notes-4m",
                rounds=3,
                variant="notes-4m:q8_0",
                engine="llama.cpp",
                latency_avg=0.03661,
                latency_p95=0.0518,
                tokens_per_sec_avg=2311.4,
                first_token_latency_avg=0.00644,
            ),
            SimpleRow(
                alias="notes-0.5m",
                rounds=3,
                latency_avg=0.0131,
                latency_p95=0.0203,
                tokens_per_sec_avg=6402.0,
                first_token_latency_avg=0.00193,
            ),
            SimpleRow(alias="meadow-7b", rounds=0),
        ),
    )


HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "a | b\n| --- |\n# heading `code` **bold** [link](javascript:alert(1))",
    '=HYPERLINK("http://example.invalid","x")',
    "\u202eright to left\u202c and \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "\U0001f469\u200d\U0001f52c\U0001f1eb\U0001f1ee caf\u00e9 e\u0301",
    "\x1b[31mred\x1b[0m \x07 bell \x00 null",
    "word " * 2500,
    "{{ 7 * 7 }} {% raw %} [bold]markup[/bold] ]]> <!-- &amp; ' \"",
)


def spoil(report: Report) -> Report:
    """The same run with foreign texts wherever foreign texts can stand."""
    record = report.record
    ids = {c.variant.id: f"{HOSTILE[i % 3]} {i}" for i, c in enumerate(record.candidates)}

    def spoilt(v: Variant) -> Variant:
        return replace(v, id=ids[v.id], licence=HOSTILE[3], source=HOSTILE[0], quantisation=HOSTILE[1])

    candidates = tuple(
        replace(c, variant=spoilt(c.variant), reason=c.reason and HOSTILE[0], arguments={"x": HOSTILE[1]})
        for c in record.candidates
    )
    texts = {p.id: HOSTILE[i % len(HOSTILE)] for i, p in enumerate(record.workload.prompts)}
    work = replace(
        record.workload,
        prompts=tuple(
            replace(p, prompt=texts[p.id], system=HOSTILE[8], expect=Expect(answer=HOSTILE[1], any_of=HOSTILE[:5]))
            for p in record.workload.prompts
        ),
    )
    made = tuple(
        replace(
            s,
            variant=ids[s.variant],
            text=HOSTILE[s.i % len(HOSTILE)],
            error=s.error and replace(s.error, message=HOSTILE[s.i % 3]),
        )
        for s in report.run.samples
    )
    scores = tuple(replace(s, criterion=HOSTILE[0], why=HOSTILE[s.sample % len(HOSTILE)]) for s in report.run.scores)
    given = report.choice
    assert given is not None
    return replace(
        report,
        run=replace(
            report.run,
            record=replace(record, candidates=candidates, workload=work, name=HOSTILE[0]),
            samples=made,
            scores=scores,
        ),
        summaries=tuple(replace(s, variant=spoilt(s.variant)) for s in report.summaries),
        choice=replace(
            given,
            sentence=HOSTILE[0],
            warnings=HOSTILE,
            winner=(ids["notes-4m:q8_0"], "llama.cpp"),
            verdicts=tuple(
                replace(v, variant=ids[v.variant], rejected=HOSTILE if v.rejected else ()) for v in given.verdicts
            ),
        ),
        simple=tuple(replace(row, alias=HOSTILE[i]) for i, row in enumerate(report.simple)),
    )


@pytest.fixture(scope="session")
def report() -> Report:
    return build()


@pytest.fixture(scope="session")
def hostile() -> Report:
    return spoil(build())


class Golden:
    """Texts kept beside the tests; ``REPORT_GOLDEN=write`` writes them anew, and the difference wants a look."""

    def check(self, name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if os.environ.get("REPORT_GOLDEN") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def golden() -> Golden:
    return Golden()


@pytest.fixture(scope="session")
def bare() -> Report:
    """A run of which next to nothing is known: no choice, no figures, no scores, no self-test."""
    full = build()
    record = replace(
        full.record,
        selftest=None,
        status="interrupted",
        finished=None,
        name=None,
        machine=Machine(system="Linux", release="6", arch="x86_64", cpu=None, cores=4),
        candidates=tuple(replace(c, load_ns=None, load_kind=None, engine_version=None) for c in full.candidates[:2]),
    )
    return Report(run=RunData(record=record, damaged_lines=1))


def luminance(colour: str) -> float:
    """Relative luminance of ``#rgb`` or ``#rrggbb`` (WCAG 2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.fixture(scope="session")
def contrast() -> Callable[[str, str], float]:
    """Contrast of two colours, 1 to 21 (WCAG 2)."""

    def of(a: str, b: str) -> float:
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    return of
