"""Log-probabilities, bias and echo: the worker's side against a scripted engine, the engines' against references."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assay import engines
from assay.compile import read_checkpoint
from assay.compile.gguf_file import write_gguf
from assay.engines.llamacpp_scores import Scores
from assay.engines.onnxruntime_genai_api import PART
from assay.engines.onnxruntime_genai_folder import read_settings
from assay.engines.probe import probe
from assay.engines.worker.logprobs import LEAST, chat_logprobs, completion_logprobs
from assay.engines.worker.model import TokenLogprob
from assay.engines.worker.token_trail import TokenTrail, Told
from assay.types import EngineOptions, ProbeRequest, Scored, Variant
from tests.compile.models import MISSING, SKIP, checkpoint_of

RunScript = Callable[..., None]
Live = Callable[..., None]
REAL = ["notes-4m:q8_0", "notes-4m:onnx-int4"]
IDS = tuple(range(300, 330))
FORCED = 400
SMALL = EngineOptions(context_length=256, slots=2)


def token(data: bytes, logprob: float | None = -1.0, **more: Any) -> TokenLogprob:
    return TokenLogprob(data, logprob, **more)


def pieces(*texts: str | bytes) -> list[tuple[str, int]]:
    return [((text.encode() if isinstance(text, str) else text).hex(), 1) for text in texts]


@given(st.text(alphabet="aé漢🙂", min_size=1), st.data())
def test_every_token_is_told_once_at_the_character_it_begins_in(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(raw) - 1)))))
    parts = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if start < end]
    trail = TokenTrail(tells_end=True)
    trail.add(b"".join(parts), [token(part) for part in parts])
    sent = data.draw(st.integers(0, len(text)))
    told = [*trail.send(text[:sent]), *trail.send(text[sent:]), *trail.end()]
    assert [entry.token.data for entry in told] == parts
    for place, entry in enumerate(told):
        before = b"".join(parts[:place])
        assert entry.offset == len(before.decode("utf-8", "ignore"))


@example([b"\xed", b"\xa0", b"\x00"])
@given(st.lists(st.binary(min_size=1, max_size=3) | st.text("aé漢🙂", min_size=1, max_size=2).map(str.encode)))
def test_places_are_right_among_bytes_that_are_no_text(parts: list[bytes]) -> None:
    trail = TokenTrail(tells_end=True)
    trail.add(b"".join(parts), [token(part) for part in parts])
    text = b"".join(parts).decode(errors="replace")
    told = [*trail.send(text), *trail.end()]
    assert [entry.offset for entry in told] == sorted(entry.offset for entry in told)
    for entry in told:
        try:
            spelt = entry.token.data.decode()
        except UnicodeDecodeError:
            continue
        assert text[entry.offset :].startswith(spelt)


def test_tokens_without_text_come_with_the_next_text_and_the_last_ones_at_the_end() -> None:
    for tells_end in (True, False):
        trail = TokenTrail(tells_end=tells_end)
        trail.add(b"a", [token(b"a"), token(b"", name=b"<x>")])
        assert [entry.token.data for entry in trail.send("a")] == [b"a"]
        trail.add(b"b\xe6", [token(b"b"), token(b"\xe6"), token(b"", name=b"<end>", ends=True)])
        assert [entry.token.name for entry in trail.send("b")] == [b"<x>", b""]
        assert [entry.token.name for entry in trail.end()] == ([b"<end>"] if tells_end else [])


def test_an_echoed_prompt_has_the_special_tokens_that_its_text_has() -> None:
    tokens = [token(b"", None, name=b"<s>"), token(b"hi"), token(b"", name=b"<s>"), token("é".encode())]
    for given_text, text, offsets in [
        ("hi<s>é", "hi<s>é", [0, 0, 2, 5]),
        ("<s>hi<s>é", "<s>hi<s>é", [0, 3, 5, 8]),
        (None, "<s>hi<s>é", [0, 3, 5, 8]),
    ]:
        found, told = TokenTrail(tells_end=True).echo(tokens, given_text)
        assert (found, [entry.offset for entry in told]) == (text, offsets)
    spaced, _ = TokenTrail(tells_end=True).echo([token(b" hi"), token(b" you")], "hi you")
    assert spaced == "hi you"


def test_what_follows_an_echo_is_counted_from_its_end() -> None:
    trail = TokenTrail(tells_end=True)
    assert trail.echo([token(b"a"), token(b"\xc3")], None)[0] == "a\ufffd"
    trail.add(b"b", [token(b"b")])
    trail.add("éx".encode(), [])
    trail.add(b"c", [token(b"c")])
    assert [entry.offset for entry in trail.send("béxc")] == [2, 5]


def test_shapes_of_odd_tokens() -> None:
    told = [
        Told(token(b"\xe6\xbc", -math.inf, top=((b"", -0.5), (b"x", -1.0))), 0),
        Told(token(b"", None, name=b"<s>"), 1),
    ]
    whole = completion_logprobs(told)
    assert whole["tokens"] == ["bytes:\\xe6\\xbc", "<s>"]
    assert whole["token_logprobs"] == [LEAST, None]
    assert whole["top_logprobs"] == [{"": -0.5, "x": -1.0, "bytes:\\xe6\\xbc": LEAST}, None]
    assert whole["text_offset"] == [0, 1]
    first = chat_logprobs(told)["content"][0]
    assert (first["token"], first["bytes"], first["logprob"]) == ("\ufffd", [0xE6, 0xBC], LEAST)
    assert first["top_logprobs"][1] == {"token": "x", "logprob": -1.0, "bytes": [120]}


def test_a_chat_is_told_token_by_token_streamed_and_whole(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat(logprobs=True, top_logprobs=2, n=2)
        events = await client.stream(logprobs=True, top_logprobs=2, n=2)
        for i, choice in enumerate(body["choices"]):
            assert choice["logprobs"]["refusal"] is None
            content = choice["logprobs"]["content"]
            assert "".join(bytes(entry["bytes"]).decode() for entry in content) == choice["message"]["content"]
            assert [entry["logprob"] for entry in content] == [-1 / 8, -2 / 8]
            top = [{"token": f"|{n}|", "logprob": -n / 64, "bytes": list(b"|%d|" % n)} for n in range(2)]
            assert [entry["top_logprobs"] for entry in content] == [top, top]
            chunks = [e["choices"][0] for e in events if e != "[DONE]" and e["choices"][0]["index"] == i]
            told = [chunk["logprobs"] for chunk in chunks if chunk["delta"].get("content")]
            assert [entry for part in told for entry in part["content"]] == content
            assert [chunk["logprobs"] for chunk in chunks if not chunk["delta"].get("content")] == [None, None]
        _, plain = await client.chat()
        assert plain["choices"][0]["logprobs"] is None
        _, none = await client.chat(logprobs=True)
        assert [entry["top_logprobs"] for entry in none["choices"][0]["logprobs"]["content"]] == [[], []]

    with_script(use, pieces=pieces("one", " two", ""), tells=True)


def test_a_completion_is_told_with_places_and_the_end_token(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        _, body = await client.complete(["a", "b"], logprobs=1)
        events = [e async for e in client.events("/completions", prompt=["a", "b"], logprobs=1)]
        for i, choice in enumerate(body["choices"]):
            told = choice["logprobs"]
            assert told["tokens"] == ["é", "bytes:\\xe6", "bytes:\\xbc\\xa2", "!", "<end>"]
            assert told["text_offset"] == [0, 1, 1, 2, 3]
            assert told["token_logprobs"] == [-(n + 1) / 8 for n in range(5)]
            assert told["top_logprobs"][0] == {"|0|": 0.0, "é": -1 / 8}
            chunks = [e["choices"][0] for e in events if e != "[DONE]" and e["choices"][0]["index"] == i]
            for name in told:
                streamed = [value for chunk in chunks for value in (chunk["logprobs"] or {}).get(name, ())]
                assert streamed == told[name]
        _, none = await client.complete("a", logprobs=0)
        assert none["choices"][0]["logprobs"]["top_logprobs"][0] == {"é": -1 / 8}

    with_script(use, pieces=pieces("é", b"\xe6", b"\xbc\xa2", "!", ""), tells=True)


def test_tokens_after_a_stop_string_are_not_told(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        for stream in (False, True):
            if stream:
                events = [e async for e in client.events("/completions", prompt="a", logprobs=0, stop="END!")]
                parts = [e["choices"][0] for e in events if e != "[DONE]"]
                text = "".join(part["text"] for part in parts)
                tokens = [t for part in parts if part["logprobs"] for t in part["logprobs"]["tokens"]]
            else:
                _, body = await client.complete("a", logprobs=0, stop="END!")
                text = body["choices"][0]["text"]
                tokens = body["choices"][0]["logprobs"]["tokens"]
            assert text == "go E N on "
            assert tokens == ["go E", " N", " on E"]

    with_script(use, pieces=pieces("go E", " N", " on E", "N", "D!after", "never"), tells=True)


def test_a_prompt_comes_back_with_its_log_probabilities(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": "héx", "echo": True, "stop": "x"}
        _, body = await client.post("/completions", **asked, logprobs=1, max_tokens=1)
        (choice,) = body["choices"]
        assert choice["text"] == "héxone"
        assert choice["finish_reason"] == "length"
        assert choice["logprobs"]["tokens"] == ["h", "bytes:\\xc3", "bytes:\\xa9", "x", "one"]
        assert choice["logprobs"]["text_offset"] == [0, 1, 1, 2, 3]
        assert choice["logprobs"]["token_logprobs"] == [None, -1 / 8, -2 / 8, -3 / 8, -1 / 8]
        assert choice["logprobs"]["top_logprobs"][0] is None
        assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}
        _, alone = await client.post("/completions", **asked, logprobs=1, max_tokens=0)
        assert alone["choices"][0]["text"] == "héx"
        assert alone["choices"][0]["logprobs"]["tokens"] == ["h", "bytes:\\xc3", "bytes:\\xa9", "x"]
        assert alone["usage"]["completion_tokens"] == 0
        _, plain = await client.post("/completions", **{**asked, "prompt": ["ab", "cd"]}, max_tokens=1, n=2)
        assert [entry["text"] for entry in plain["choices"]] == ["abone", "abone", "cdone", "cdone"]
        assert plain["choices"][0]["logprobs"] is None
        events = [e async for e in client.events("/completions", **asked, logprobs=1, max_tokens=1)]
        parts = [e["choices"][0] for e in events if e != "[DONE]"]
        assert "".join(part["text"] for part in parts) == "héxone"
        streamed = [t for part in parts if part["logprobs"] for t in part["logprobs"]["tokens"]]
        assert streamed == choice["logprobs"]["tokens"]
        full = [97] * 64
        assert (await client.complete(full, echo=True, max_tokens=0))[0] == 200
        assert (await client.complete(full, echo=True, max_tokens=1))[0] == 400

    with_script(use, pieces=pieces("one", " two"), tells=True)


def test_what_the_engine_has_not_is_a_400(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        for param, value in {"logprobs": 1, "echo": True, "logit_bias": {"5": 1}}.items():
            status, body = await client.complete("a", **{param: value})
            assert (status, body["error"]["param"], body["error"]["code"]) == (400, param, "unsupported_parameter")

    with_script(use, pieces=pieces("one"))


def test_progress_moves_while_a_prompt_is_read(with_script: RunScript) -> None:
    """The script tells three parts of the prompt and makes no token; the one after it makes one and ends."""

    async def use(client: Any) -> None:
        assert (await client.health())["progress"] == 0
        request = asyncio.create_task(client.complete("a"))
        health = await client.reached("progress", 3)
        assert (health["progress"], health["running"], health["generated_tokens"]) == (3, 1, 0)
        request.cancel()
        health = await client.settled()
        assert (health["progress"], health["running"]) == (4, 0)

    with_script(use, reads=3, endless=True)


def checked(logprobs: dict[str, Any], count: int) -> None:
    """What is true of any list of log-probabilities."""
    for own, top in zip(logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True):
        if own is None:
            assert top is None
            continue
        values = list(top.values())
        assert count <= len(values) <= count + 1
        assert values[:count] == sorted(values[:count], reverse=True)
        assert own in values
        assert sum(math.exp(value) for value in values) <= 1 + 1e-4
        assert max(values) <= 1e-6


@pytest.mark.engines
@pytest.mark.parametrize("name", REAL)
def test_the_engines_tell_what_their_prober_reads(
    name: str, live: Live, bundled: Mapping[str, Variant], tmp_path: Path
) -> None:
    variant = bundled[name]
    engine = engines.for_variant(variant).name
    (made,) = probe(variant, engine, ProbeRequest(prompts=(IDS,), new_tokens=6), tmp_path).greedy
    whole = (*IDS, *made)
    request = ProbeRequest(sequences=(Scored(ids=whole, positions=tuple(range(len(whole) - 1))),))
    rows = np.load(probe(variant, engine, request, tmp_path / "rows").distributions)
    expected = [float(rows[place, following]) for place, following in enumerate(whole[1:])]

    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": list(IDS), "temperature": 0, "max_tokens": len(made), "logprobs": 5}
        _, body = await client.post("/completions", **asked)
        told = body["choices"][0]["logprobs"]
        checked(told, 5)
        assert told["token_logprobs"] == pytest.approx(expected[len(IDS) - 1 :], abs=0.1)
        assert [max(top, key=top.get) for top in told["top_logprobs"]] == told["tokens"]
        _, echoed = await client.post("/completions", **asked, echo=True)
        again = echoed["choices"][0]["logprobs"]
        checked(again, 5)
        assert again["token_logprobs"][1:] == pytest.approx(expected, abs=0.1)
        assert again["tokens"][len(IDS) :] == told["tokens"]
        best = [max(top.values()) for top in again["top_logprobs"][1:]]
        assert best == pytest.approx(rows.max(axis=1).tolist(), abs=0.1)
        text = echoed["choices"][0]["text"]
        assert text.endswith(body["choices"][0]["text"])
        for spelt, start in zip(again["tokens"], again["text_offset"], strict=True):
            assert spelt.startswith(("bytes:", "<|")) or text[start : start + len(spelt)] == spelt
        _, scored = await client.post("/completions", **{**asked, "max_tokens": 0}, echo=True)
        assert scored["choices"][0]["logprobs"]["token_logprobs"][1:] == pytest.approx(
            again["token_logprobs"][1 : len(IDS)], abs=1e-4
        )

    live(variant, SMALL, use)


@pytest.mark.engines
@pytest.mark.parametrize("name", REAL)
def test_neither_temperature_nor_bias_nor_cuts_change_what_is_told(
    name: str, live: Live, bundled: Mapping[str, Variant]
) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": list(IDS), "max_tokens": 1, "logprobs": 20}
        _, plain = await client.post("/completions", **asked, temperature=0)
        expected = plain["choices"][0]["logprobs"]
        for more in ({"temperature": 50, "seed": 3}, {"temperature": 1, "top_k": 1}, {"min_p": 1, "top_p": 0.1}):
            _, body = await client.post("/completions", **asked, **more)
            told = body["choices"][0]["logprobs"]["top_logprobs"][0]
            common = {key: told[key] for key in expected["top_logprobs"][0]}
            assert common == pytest.approx(expected["top_logprobs"][0], abs=1e-3)
        _, scored = await client.complete([*IDS, FORCED], echo=True, logprobs=0, max_tokens=0)
        its_own = scored["choices"][0]["logprobs"]
        for more in ({"temperature": 0}, {"temperature": 2, "seed": 1}, {"temperature": 0, "presence_penalty": 2}):
            _, body = await client.post("/completions", **asked, **more, logit_bias={str(FORCED): 100})
            told = body["choices"][0]["logprobs"]
            assert told["tokens"] == its_own["tokens"][-1:]
            assert told["token_logprobs"] == pytest.approx(its_own["token_logprobs"][-1:], abs=0.1)
            assert body["choices"][0]["text"] != plain["choices"][0]["text"]
        for bias in ({}, {str(FORCED): -100}, {str(FORCED): 0}):
            _, body = await client.post("/completions", **asked, temperature=0, logit_bias=bias)
            assert body["choices"] == plain["choices"]
        last = [*IDS, FORCED]
        for top in (0, 20):
            _, body = await client.complete(last, echo=True, logprobs=top, max_tokens=1, logit_bias={str(FORCED): 100})
            assert len(body["choices"][0]["logprobs"]["tokens"]) == len(last) + 1

    live(bundled[name], SMALL, use)


@pytest.mark.engines
def test_a_long_prompt_is_scored_in_every_part(live: Live, bundled: Mapping[str, Variant], tmp_path: Path) -> None:
    """Longer than what is read at once, with tokens that are padding elsewhere, here and there and at the end."""
    variant = bundled["notes-4m:onnx-int4"]
    pad = read_settings(Path(variant.path or "")).pad
    ids = tuple(300 + i * 7 % 300 if i % 100 else pad for i in range(2 * PART))
    ids = (*ids[:-2], pad, pad)
    request = ProbeRequest(sequences=(Scored(ids=ids, positions=tuple(range(len(ids) - 1))),))
    rows = np.load(probe(variant, "onnxruntime_genai", request, tmp_path).distributions)
    expected = [float(rows[place, following]) for place, following in enumerate(ids[1:])]

    async def use(client: Any) -> None:
        _, body = await client.complete(list(ids), echo=True, max_tokens=0, logprobs=0)
        told = body["choices"][0]["logprobs"]["token_logprobs"]
        assert len(told) == len(ids)
        # Rounding of int8 activations differs with what is read together; it is the mean that must not.
        differences = np.array(told[1:]) - np.array(expected)
        assert np.abs(differences).mean() < 0.15
        assert abs(differences.mean()) < 0.02

    live(variant, EngineOptions(context_length=1024), use)


@pytest.mark.engines
@pytest.mark.parametrize("name", REAL)
def test_prompts_that_begin_alike_are_scored_as_alone(name: str, live: Live, bundled: Mapping[str, Variant]) -> None:
    prompts = [[*IDS, 310, 320], [*IDS, 311], list(IDS), [*IDS, 310, 330, 340], [305, *IDS]]

    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"echo": True, "max_tokens": 1, "temperature": 0}
        for prompt in prompts:
            _, after_another = await client.complete(prompt, **asked, logprobs=1)
            _, with_others = await client.complete([prompt, *prompts], **asked, logprobs=2)
            found = [body["choices"][0]["logprobs"] for body in (after_another, with_others)]
            assert found[0]["tokens"] == found[1]["tokens"]
            assert len(found[0]["tokens"]) == len(prompt) + 1
            assert found[0]["token_logprobs"][1:] == pytest.approx(found[1]["token_logprobs"][1:], abs=0.1)

    live(bundled[name], SMALL, use)


@pytest.mark.engines
@pytest.mark.parametrize("name", REAL)
def test_a_client_that_leaves_ends_an_echo(name: str, live: Live, bundled: Mapping[str, Variant]) -> None:
    async def use(client: Any) -> None:
        asked = client.complete([[*IDS] * 30] * 24, echo=True, max_tokens=0, logprobs=5)
        request = asyncio.create_task(asked)
        await client.reached("progress")
        request.cancel()
        health = await client.settled()
        assert health["cancelled"] > 0
        assert (await client.complete("We", max_tokens=1))[0] == 200

    live(bundled[name], EngineOptions(context_length=1024), use)


class Listed:
    """A server whose model has these tokens, all as likely as their place in the list says, after any prompt."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self.tokens = tokens
        self.asked = 0

    def handle_completions(self, body: bytes, take: Callable[[bytes], object]) -> None:
        self.asked += 1
        asked = json.loads(body)
        ((token, _),) = asked["logit_bias"]
        entries = [{"id": i, "logprob": -1.0 - i, "bytes": list(data)} for i, data in enumerate(self.tokens)]
        told = None
        if not cut(self.tokens[token]):
            told = {"content": [{**entries[token], "top_logprobs": entries[: asked["n_probs"]]}]}
        take(json.dumps({"choices": [{"logprobs": told}]}).encode())


def cut(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False


def test_the_tokens_of_a_character_are_found_by_their_bytes() -> None:
    smile = "🙂".encode()
    tokens = [b"a", smile[:1], smile[1:2], smile[2:3], smile[3:], smile[:2], smile[1:3], b""]
    scores = Scores(Listed(tokens), len(tokens), 0, lambda _token: "<s>")
    assert scores.within([0], smile, 3, 4) == (1, 6), "of the two ways (5, 3) is as likely, and comes second"
    assert scores.within([0], smile, 4, 4) == (1, 2, 3)
    assert scores.within([0], b"a" + smile[:2] + smile[2:3] + smile[3:], 4, 4) in {(0, 1, 6), (0, 5, 3)}
    assert scores.within([0], smile, 2, 4) is None


def test_a_token_that_ends_within_a_character_is_scored_while_another_is_sampled() -> None:
    tokens = [b"a", b"\xf0", b"b", b""]
    scores = Scores(Listed(tokens), len(tokens), 0, lambda _token: "<s>")
    assert scores.next([0], 1, 2) == TokenLogprob(b"\xf0", -2.0, ((b"a", -1.0), (b"\xf0", -2.0)))
    assert scores.next([0], 3, 0) == TokenLogprob(b"", -4.0, (), b"<s>")
    assert [told.logprob for told in scores.prompt([1, 0, 3], 0)] == [None, -1.0, -4.0]
    assert [told.data or told.name for told in scores.prompt([3, 1, 0], None)] == [b"<s>", b"\xf0", b"a"]


def test_what_two_prompts_have_in_common_is_asked_for_once() -> None:
    server = Listed([bytes([97 + i]) for i in range(20)])
    scores = Scores(server, 20, 0, lambda _token: "?")
    assert len(list(scores.prompt(list(range(10)), 1))) == 10
    before = server.asked
    told = list(scores.prompt([*range(8), 15, 16], 1))
    assert server.asked - before == 2
    assert [token.data for token in told] == [bytes([97 + i]) for i in (*range(8), 15, 16)]
    assert len(list(scores.prompt(list(range(10)), 2))) == 10
    assert server.asked - before > 10


@pytest.mark.engines
@pytest.mark.skipif(bool(MISSING), reason=SKIP)
def test_tokens_that_end_within_a_character_are_told_as_the_original_scores_them(tmp_path: Path, live: Live) -> None:
    """A random model says many bytes; llama.cpp tells only the last token of those that make a character."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = checkpoint_of(tmp_path / "m", "llama")
    file = tmp_path / "m.gguf"
    write_gguf(read_checkpoint(source), "f32", file, lambda *_told: None)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(source)
    ids_of = {data: number for number, data in spellings(tokenizer).items()}

    def reference(ids: Sequence[int]) -> list[float]:
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        found = torch.log_softmax(logits.double(), -1)
        return [float(found[place, following]) for place, following in enumerate(ids[1:])]

    async def use(client: Any) -> None:
        held = 0
        for seed in range(3):
            asked: dict[str, Any] = {"prompt": list(IDS), "max_tokens": 40, "temperature": 1, "seed": seed}
            wish = {str(ids_of[bytes([byte])]): 6 for byte in b"\xc3\xa9\xe6\xbc\xa2"}
            _, body = await client.post("/completions", **asked, logit_bias=wish, logprobs=2)
            choice = body["choices"][0]
            checked(choice["logprobs"], 2)
            made = [ids_of[bytes_of(spelt)] for spelt in choice["logprobs"]["tokens"]]
            expected = reference([*IDS, *made])[len(IDS) - 1 :]
            assert choice["logprobs"]["token_logprobs"] == pytest.approx(expected, abs=0.02)
            assert b"".join(map(bytes_of, choice["logprobs"]["tokens"])).decode(errors="replace") == choice["text"]
            _, untold = await client.post("/completions", **asked, logit_bias=wish)
            assert untold["choices"][0]["text"] == choice["text"]
            held += sum(spelt.startswith("bytes:") for spelt in choice["logprobs"]["tokens"])
            _, echoed = await client.complete([*IDS, *made], echo=True, logprobs=0, max_tokens=0)
            told = echoed["choices"][0]["logprobs"]["token_logprobs"]
            assert told[1:] == pytest.approx(reference([*IDS, *made]), abs=0.02)
        assert held > 10, "hardly any token of this test is of the kind that it is about"

    variant = Variant(id="m", alias="m", format="gguf", source="here", path=str(file), context_length=256)
    live(variant, SMALL, use)


def bytes_of(spelt: str) -> bytes:
    return (
        bytes.fromhex(spelt.removeprefix("bytes:").replace("\\x", "")) if spelt.startswith("bytes:") else spelt.encode()
    )


def spellings(tokenizer: Any) -> dict[int, bytes]:
    """The bytes of every token of a byte-level vocabulary, by transformers' own table."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}
    plain = {spelt: number for spelt, number in tokenizer.get_vocab().items() if all(c in byte_of for c in spelt)}
    return {number: bytes(byte_of[c] for c in spelt) for spelt, number in plain.items()}
