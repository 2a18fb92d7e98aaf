"""What is ONNX Runtime GenAI's own, on the bundled folder."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from assay import engines
from assay.engines import onnxruntime_genai_model
from assay.engines.onnxruntime_genai_api import (
    PART,
    PART_BYTES,
    Batch,
    GenAIError,
    Library,
    LoadedModel,
    alone,
    part_length,
)
from assay.engines.onnxruntime_genai_batch import TOGETHER, Row, Scheduler, Vocabulary
from assay.engines.onnxruntime_genai_folder import Settings, read_settings
from assay.engines.onnxruntime_genai_graph import on_request
from assay.engines.onnxruntime_genai_tokens import read_tokens
from assay.engines.worker.model import READ, End, Event, Generation, PromptInput, Sampling, Spec
from assay.errors import BadInput, EngineStartFailed
from assay.types import EngineOptions, File, Variant

pytestmark = pytest.mark.engines
Live = Callable[..., None]
GREEDY = Sampling(temperature=0)
SMALL = EngineOptions(context_length=256)


@pytest.fixture(scope="module")
def variant(bundled: dict[str, Variant]) -> Variant:
    found = [variant for variant in bundled.values() if variant.format == "onnx"]
    if not found:
        pytest.skip("no bundled ONNX model in this checkout")
    return found[0]


@pytest.fixture(scope="module")
def settings(variant: Variant) -> Settings:
    return read_settings(Path(variant.path or ""))


@pytest.fixture(scope="module", params=["on_request", "every_place"])
def model(request: pytest.FixtureRequest, variant: Variant, settings: Settings) -> Iterator[LoadedModel]:
    """The folder, loaded in this process; its graph as Assay changes it, and as it is."""
    folder, name = Path(variant.path or ""), settings.graph or ""
    graph = on_request(folder / name, settings.scores) if request.param == "on_request" else None
    loaded = LoadedModel(
        Library(),
        folder,
        {},
        vocabulary=settings.vocabulary,
        scores=settings.scores,
        graph=(name, graph) if graph is not None else None,
    )
    assert loaded.on_request == (request.param == "on_request")
    yield loaded
    loaded.close()


@pytest.fixture
def folder(variant: Variant, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(variant.path or "", tmp_path / "model"))


def decode(model: LoadedModel, settings: Settings, prompts: list[list[int]], tokens: int) -> tuple[Any, list[Any]]:
    """Greedy tokens, (rows, tokens), and the scores before each of them."""
    batch = Batch(model, prompts, pad=settings.pad, room=tokens)
    while batch.fill():
        pass
    made, scores = [], []
    for _ in range(tokens):
        with batch.scores() as seen:
            scores.append(seen.copy())
        made.append(batch.step())
    batch.close()
    return np.array(made).T, scores


def as_text(variant: Variant, settings: Settings, ids: Sequence[int]) -> str:
    """What the engine answers when it makes ``ids``."""
    tokens = read_tokens(Path(variant.path or ""))
    made = itertools.takewhile(lambda token: token not in settings.ends, map(int, ids))
    return b"".join(tokens.bytes_of(token, i == 0) for i, token in enumerate(made)).decode(errors="replace")


def some_ids(length: int, seed: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(3, 900, length)]


def test_padded_batches_decode_what_single_prompts_decode(model: LoadedModel, settings: Settings) -> None:
    prompts = [some_ids(length, length) for length in (3, 31, 64, 90)]
    together, scores = decode(model, settings, prompts, 24)
    for row, prompt in enumerate(prompts):
        alone, own_scores = decode(model, settings, [prompt], 24)
        ended = [i for i, token in enumerate(alone[0]) if token in settings.ends]
        length = ended[0] + 1 if ended else 24
        assert together[row][:length].tolist() == alone[0][:length].tolist()
        assert np.allclose(scores[0][row], own_scores[0][0], atol=1e-3)


@pytest.mark.parametrize("form", ["on_request", "every_place"])
def test_the_output_of_scores_may_have_any_name(
    folder: Path, model: LoadedModel, settings: Settings, form: str
) -> None:
    onnx = pytest.importorskip("onnx")
    config, path = json.loads((folder / "genai_config.json").read_text()), folder / str(settings.graph)
    graph = onnx.load(path)
    (made,) = [node for node in graph.graph.node if list(node.output) == [settings.scores]]
    made.output[0] = graph.graph.output[0].name = "told"
    onnx.save(graph, path)
    config["model"]["decoder"]["outputs"]["logits"] = "told"
    (folder / "genai_config.json").write_text(json.dumps(config))
    renamed = read_settings(folder)
    assert renamed.scores == "told"
    changed = on_request(path, "told") if form == "on_request" else None
    assert (changed is not None) == (form == "on_request")
    loaded = LoadedModel(
        Library(),
        folder,
        {},
        vocabulary=renamed.vocabulary,
        scores="told",
        graph=(path.name, changed) if changed else None,
    )
    prompt = some_ids(20, 1)
    seen = []
    for one in (model, loaded):
        batch = Batch(one, [prompt], pad=settings.pad, room=1, everywhere=True)
        batch.fill()
        with batch.places() as places:
            seen.append(places.copy())
        batch.close()
    loaded.close()
    assert seen[0].shape == (20, settings.vocabulary)
    assert np.allclose(seen[0], seen[1], atol=1e-4)


@pytest.mark.parametrize("length", [PART - 1, PART, PART + 1, 2 * PART + 7])
def test_a_prompt_read_in_parts_gives_the_same_scores(model: LoadedModel, settings: Settings, length: int) -> None:
    """Only a lone prompt is read in parts; two of the same are read at once."""
    prompt = some_ids(length, 1)
    _, in_parts = decode(model, settings, [prompt], 1)
    _, at_once = decode(model, settings, [prompt, prompt], 1)
    assert np.allclose(in_parts[0][0], at_once[0][1], atol=0.05)
    assert in_parts[0][0].argmax() == at_once[0][1].argmax()


@given(
    st.lists(st.sampled_from([0, 7]), min_size=1, max_size=600), st.integers(1, 400), st.sampled_from([1, 32000, 10**6])
)
def test_parts_make_up_the_prompt_and_have_bounded_scores(prompt: list[int], length: int, vocabulary: int) -> None:
    for most in (length, part_length(vocabulary)):
        parts = list(alone(prompt, 0, most))
        assert [token for part in parts for token in part] == prompt
        assert all(1 <= len(part) <= most and (len(part) == 1 or part[-1] != 0) for part in parts)
    assert 1 <= part_length(vocabulary) <= PART
    assert part_length(vocabulary) * 4 * vocabulary <= PART_BYTES


def test_long_prompts_that_come_together_are_answered_as_when_read_whole(
    variant: Variant, model: LoadedModel, settings: Settings, live: Live
) -> None:
    """Alone and in parts by the engine, for together they are too long; whole and in one batch here."""
    prompts = [some_ids(length, length) for length in (TOGETHER // 2 + 400, TOGETHER // 2 + 7, TOGETHER // 2 - 90)]
    expected, _ = decode(model, settings, prompts, 12)
    texts = [as_text(variant, settings, row) for row in expected]

    async def use(client: Any) -> None:
        for _ in range(2):
            answers = await asyncio.gather(*(client.complete(ids, temperature=0, max_tokens=12) for ids in prompts))
            assert [body["choices"][0]["text"] for _, body in answers] == texts

    live(variant, EngineOptions(slots=3), use)


class _Watched:
    """A real batch whose row is cancelled after its second part."""

    def __init__(self, batch: Batch, row: list[Row]) -> None:
        self.batch, self.row, self.read = batch, row, 0
        self.scores, self.places, self.step, self.close = batch.scores, batch.places, batch.step, batch.close

    def fill(self) -> bool:
        more = self.batch.fill()
        self.read += 1
        if self.read == 2:
            self.row[0].cancel()
        return more


def test_a_cancel_within_a_long_prompt_leaves_the_rest_unread(model: LoadedModel, settings: Settings) -> None:
    opened: list[_Watched] = []
    row: list[Row] = []
    heard: queue.Queue[Event] = queue.Queue()

    def open_batch(prompts: Sequence[Sequence[int]], room: int, _everywhere: bool) -> _Watched:
        submitted.wait(20)
        opened.append(_Watched(Batch(model, prompts, pad=settings.pad, room=room), row))
        return opened[-1]

    submitted = threading.Event()
    vocabulary = Vocabulary(size=settings.vocabulary, ends=settings.ends, pad=settings.pad, spell=lambda *_: b"x")
    scheduler = Scheduler(open_batch, vocabulary, 1)
    ids = tuple(some_ids(6 * PART, 5))
    row.append(
        scheduler.submit(
            Generation(prompt=PromptInput(ids=ids, length=len(ids)), max_tokens=2, sampling=GREEDY), heard.put
        )
    )
    submitted.set()
    while (event := heard.get(timeout=60)) is READ:
        pass
    assert event == End(reason="cancelled", cached_tokens=0)
    scheduler.close()
    assert [watched.read for watched in opened] == [2]


def test_a_graph_that_scores_the_last_place_only_is_never_padded(variant: Variant, folder: Path, live: Live) -> None:
    """What a model builder makes when it is asked to leave out scores that nobody reads."""
    try:
        onnx = importlib.import_module("onnx")
    except ImportError:
        pytest.skip("onnx is not installed (extra: compile)")
    graph = onnx.load(folder / "model.onnx", load_external_data=False)
    head = next(node for node in graph.graph.node if "logits" in node.output)
    kept = onnx.helper.make_node("Gather", [head.input[0], "last"], ["kept"], axis=1)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "last"))
    graph.graph.node.insert(list(graph.graph.node).index(head), kept)
    head.input[0] = "kept"
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(graph, folder / "model.onnx")
    prompts = [some_ids(length, length) for length in (80, 33, 50, 64)]
    seen: list[tuple[bool, list[str]]] = []
    echoed: list[tuple[int, dict[str, Any]]] = []

    async def use(client: Any) -> None:
        answers = await asyncio.gather(*(client.complete(ids, temperature=0, max_tokens=12) for ids in prompts))
        status = client.engine.describe(client.endpoint)
        seen.append((status.arguments["lockstep"], [body["choices"][0]["text"] for _, body in answers]))
        echoed.append(await client.complete(prompts[0], max_tokens=0, echo=True, logprobs=0))

    for path in (variant.path, str(folder)):
        live(structs.replace(variant, path=path, files=()), structs.replace(SMALL, slots=4), use)
    assert [lockstep for lockstep, _ in seen] == [True, False]
    assert seen[0][1] == seen[1][1]
    assert [(status, body.get("error", {}).get("param")) for status, body in echoed] == [(200, None), (400, "echo")]


def test_answers_to_prompts_of_unlike_length_run_to_the_end_of_the_context_as_they_do_alone(
    variant: Variant, settings: Settings, live: Live
) -> None:
    prompts = [some_ids(length, length) for length in (120, 33, 90)]
    endless = {"temperature": 0, "logit_bias": {str(token): -100 for token in settings.ends}}
    seen: list[list[Any]] = []

    async def use(client: Any) -> None:
        seen.append(await asyncio.gather(*(client.complete(ids, **endless) for ids in prompts)))
        seen.append([await client.complete(ids, **endless) for ids in prompts])

    live(variant, structs.replace(SMALL, slots=4), use)
    together, alone = ([(body["choices"][0]["text"], body["usage"]) for _, body in bodies] for bodies in seen)
    assert [usage["completion_tokens"] for _, usage in together] == [256 - len(ids) for ids in prompts]
    assert together == alone


def test_a_prompt_that_ends_like_padding_is_read_to_its_end(model: LoadedModel, settings: Settings) -> None:
    """Its last tokens change the scores, and what follows is scored as after the same prompt with one token more."""
    prompt = some_ids(20, 2)
    for pads in (1, 3):
        ending = [*prompt, *[settings.pad] * pads]
        _, scores = decode(model, settings, [ending], 1)
        _, without = decode(model, settings, [prompt], 1)
        assert not np.allclose(scores[0][0], without[0][0], atol=1e-3)
        _, longer = decode(model, settings, [[*ending, 7]], 1)
        batch = Batch(model, [ending], pad=settings.pad, room=2)
        while batch.fill():
            pass
        with batch.scores() as seen:
            seen[0, 7] = np.inf
        assert batch.step() == [7]
        with batch.scores() as seen:
            assert np.allclose(seen[0], longer[0][0], atol=0.05)
        batch.close()


def test_memory_is_held_for_the_tokens_asked_for_only(model: LoadedModel, settings: Settings) -> None:
    batch = Batch(model, [some_ids(5, 3)], pad=settings.pad, room=2)
    assert not batch.fill()
    batch.step()
    batch.step()
    with pytest.raises(GenAIError, match="max_length"):
        batch.step()
    batch.close()


@pytest.mark.parametrize("text", ["Zoë paid 20 €", "日本語 👩‍👩‍👧 ok", "\t two  spaces\r\n", "e\u0301"])
def test_the_bytes_of_tokens_make_up_the_text(model: LoadedModel, variant: Variant, text: str) -> None:
    tokens = read_tokens(Path(variant.path or ""))
    ids = model.encode(text)
    assert b"".join(tokens.bytes_of(token, i == 0) for i, token in enumerate(ids)) == text.encode()


def test_a_seed_gives_the_same_text_in_company(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": "We", "max_tokens": 30, "temperature": 3, "seed": 7}
        _, alone = await client.post("/completions", **asked)
        company = [client.complete("The team met " * i, max_tokens=40, temperature=3) for i in range(1, 5)]
        (_, again), *others = await asyncio.gather(client.post("/completions", **asked), *company)
        assert again["choices"][0]["text"] == alone["choices"][0]["text"]
        assert all(status == 200 for status, _ in others)

    live(variant, structs.replace(SMALL, slots=6), use)


def test_a_late_request_does_not_wait_for_an_earlier_answer(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        wild: dict[str, Any] = {"temperature": 50, "seed": 1}
        early = client.events("/completions", prompt="We", max_tokens=200, **wild)
        await anext(early)
        _, late = await client.complete("You", max_tokens=3, **wild)
        assert late["usage"]["completion_tokens"] == 3
        assert (await client.health())["running"] == 1
        rest = [event async for event in early]
        assert rest[-1] == "[DONE]"

    live(variant, structs.replace(SMALL, slots=2), use)


def test_a_nul_is_refused_since_the_tokenizer_would_cut_there(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        for answer in (client.complete("a\0b", max_tokens=1), client.chat("a\0b", max_tokens=1)):
            status, body = await answer
            assert status == 400
            assert "NUL" in body["error"]["message"]

    live(variant, SMALL, use)


def test_the_folders_own_template_is_rendered(variant: Variant, folder: Path, live: Live) -> None:
    (folder / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}\n"
        "{{ m | tojson }}{% endfor %}{{ style }}"
    )
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"bos_token": {"content": "<|im_start|>"}}))

    async def use(client: Any) -> None:
        expected = '<|im_start|>{"role": "user", "content": "hé"}brief'
        _, chat = await client.chat("hé", max_tokens=4, temperature=0, chat_template_kwargs={"style": "brief"})
        _, bare = await client.complete(expected, max_tokens=4, temperature=0)
        assert chat["usage"] == bare["usage"]
        assert chat["choices"][0]["message"]["content"] == bare["choices"][0]["text"]
        told = {"role": "tool", "tool_call_id": "1", "content": "x"}
        status, body = await client.post("/chat/completions", messages=[told])
        assert (status, body["error"]["code"]) == (400, "chat_template_error")
        assert "no tools" in body["error"]["message"]

    live(structs.replace(variant, path=str(folder), files=()), SMALL, use)


def test_a_folder_without_a_template_serves_completions_only(variant: Variant, folder: Path, live: Live) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)

    async def use(client: Any) -> None:
        status, body = await client.chat("hi")
        assert (status, body["error"]["code"]) == (400, "no_chat_template")
        assert (await client.complete("hi", max_tokens=1))[0] == 200

    live(structs.replace(variant, path=str(folder), files=()), SMALL, use)


def test_a_template_is_found_where_foundrys_folders_have_it(variant: Variant, folder: Path, live: Live) -> None:
    """In the tokenizer's settings; and ``inference_model.json`` lies beside the model."""
    template = folder / "chat_template.jinja"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template.read_text()}))
    (folder / "inference_model.json").write_text(json.dumps({"Name": "notes-4m:1", "PromptTemplate": {}}))
    template.unlink()
    answers: list[str] = []

    async def use(client: Any) -> None:
        _, body = await client.chat("Was a decision made?", max_tokens=20, temperature=0)
        answers.append(body["choices"][0]["message"]["content"])

    live(variant, SMALL, use)
    live(structs.replace(variant, path=str(folder), files=()), SMALL, use)
    assert answers[0] == answers[1]


def started(variant: Variant, options: EngineOptions = SMALL) -> None:
    engine = engines.load("onnxruntime_genai")

    async def go() -> None:
        await engine.stop(await engine.start(variant, options))

    asyncio.run(go())


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "genai_config.json").unlink(), "genai_config.json is missing"),
        (lambda folder: (folder / "genai_config.json").write_text("{"), "genai_config.json cannot be used"),
        (lambda folder: (folder / "genai_config.json").write_text('{"model": {}}'), "genai_config.json cannot be used"),
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx is missing"),
        (lambda folder: (folder / "model.onnx.data").unlink(), "model.onnx.data"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{% if %}"), "template .* cannot be compiled"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("{"), "tokenizer_config.json is not JSON"),
        (lambda folder: cut(folder / "model.onnx", 5000), "cannot load"),
        (lambda folder: cut(folder / "model.onnx.data", 5000), "cannot load"),
    ],
)
def test_a_broken_folder_fails_to_start_and_says_why(
    variant: Variant, folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(folder)
    with pytest.raises(EngineStartFailed, match=words):
        started(structs.replace(variant, path=str(folder), files=()))


def test_files_are_compared_with_the_record(variant: Variant, folder: Path) -> None:
    recorded = structs.replace(variant, path=str(folder))
    assert all(file.sha256 for file in variant.files)
    started(recorded)
    data = folder / "model.onnx.data"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(EngineStartFailed, match=r"model\.onnx\.data has changed"):
        started(recorded)
    cut(data, len(whole) - 1)
    with pytest.raises(EngineStartFailed, match="bytes, but should have"):
        started(recorded)
    data.unlink()
    with pytest.raises(EngineStartFailed, match=r"model\.onnx\.data is missing"):
        started(recorded)


def test_inputs_it_cannot_run_are_refused(variant: Variant, settings: Settings) -> None:
    for wrong, options, words in [
        (variant, EngineOptions(context_length=settings.longest + 1), f"at most {settings.longest}"),
        (structs.replace(variant, path=None), SMALL, "has no path"),
        (variant, EngineOptions(extra={"turbo": "yes"}), "no option 'turbo'"),
        (structs.replace(variant, format="gguf"), SMALL, "is gguf"),
    ]:
        with pytest.raises(BadInput, match=words):
            started(wrong, options)


def test_the_context_is_the_models_own_unless_asked(variant: Variant, settings: Settings, live: Live) -> None:
    async def use(client: Any) -> None:
        assert client.endpoint.context_length == min(settings.longest, 4096)

    live(variant, EngineOptions(), use)


def test_a_file_that_no_record_names_may_lie_there(variant: Variant, folder: Path) -> None:
    (folder / "README.md").write_text("notes")
    files = (File(path="genai_config.json", size=(folder / "genai_config.json").stat().st_size),)
    started(structs.replace(variant, path=str(folder), files=files))


def test_the_parent_needs_neither_the_library_nor_numpy() -> None:
    code = (
        "import sys; from assay import engines; e = engines.load('onnxruntime_genai'); a = e.available(); "
        "print(a.ok, sorted({'onnxruntime_genai', 'onnxruntime', 'numpy', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "True []"


def test_the_library_sends_nothing_home() -> None:
    """Official packages have a telemetry client, which this variable keeps from starting."""
    code = (
        "import os; from assay.engines.onnxruntime_genai_api import Library; Library(); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1"


def test_ids_are_those_of_transformers_for_odd_text(model: LoadedModel, variant: Variant) -> None:
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        pytest.skip("transformers is not installed (extra: train)")
    tokenizer = transformers.AutoTokenizer.from_pretrained(variant.path)
    for text in ("a<|im_end|>b", "  x\n\n\ty", "١٢٣ ½ Ǆ", "\u200b\ufeff", "don't WON'T we'Ll", "🙂" * 5):
        assert list(model.encode(text)) == tokenizer.encode(text, add_special_tokens=False), text


@pytest.mark.parametrize("graph", [None, b"no graph"])
def test_a_model_whose_graph_cannot_be_changed_or_run_so_is_served_as_it_is(
    variant: Variant, monkeypatch: pytest.MonkeyPatch, graph: bytes | None
) -> None:
    spec = Spec(opener="", model="m", variant=variant, options=SMALL)
    own = onnxruntime_genai_model.open_model(spec)
    assert own.arguments["scores_on_request"]
    own.close()
    monkeypatch.setattr(onnxruntime_genai_model, "on_request", lambda *_: graph)
    model = onnxruntime_genai_model.open_model(spec)
    assert not model.arguments["scores_on_request"]
    assert model.features == own.features
    model.close()
