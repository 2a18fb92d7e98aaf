"""Find models, know that they fit, fetch them, bring your own, try one.

A model is named by an alias (qwen2.5-0.5b), a variant of it (qwen2.5-0.5b:q4_k_m), a repository of the Hub
(hf:owner/name[:quantisation or file][@revision]), or a path.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from assay import app, report
from assay.cli import arguments as flags
from assay.cli import model_run, output
from assay.cli.parser import Parser
from assay.errors import BadInput
from assay.report import models as shown
from assay.report import proofs
from assay.types import Stored


def arguments(parser: Parser) -> None:
    """One sub-command for each thing to do with models."""
    action = parser.actions()
    _list(action("list", "The models that can be named, and which of them fit this machine."))
    _info(action("info", "One model: its variants, what runs here and why, memory, proof."))
    _download(action("download", "Fetch models, verify every file, resume what was cut off."))
    _prefetch(action("prefetch", "Fetch every model that a file names, a line each."))
    _import(action("import", "Take in a model that lies on this machine; linked, not copied."))
    _compile(action("compile", "Turn a checkpoint into variants that run; prove the loss."))
    about = "Chat with a model, or ask it once, through the service where one is up; fetch it where it is not here."
    model_run.run_arguments(action("run", about))
    model_run.load_arguments(action("load", "Have the running service load a model."))
    model_run.unload_arguments(action("unload", "Have the running service take a model down."))


def run(args: argparse.Namespace) -> int:
    """The sub-command's own function."""
    actions = {
        "list": _show_list,
        "info": _show_info,
        "download": _fetch,
        "prefetch": _fetch_named,
        "import": _take_in,
        "compile": _make,
        "run": model_run.run,
        "load": model_run.load,
        "unload": model_run.unload,
    }
    return actions[args.action](args)


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="device, task, alias, provider or licence; ! before the value negates, * at its end matches any ending",
    )
    parser.add_argument("--cached", action="store_true", help="only what is on this machine")
    parser.add_argument("--variants", action="store_true", help="every variant, not only what an alias runs")
    parser.add_argument("--search", metavar="WORDS", help="aliases, tasks, notes and languages that hold these words")
    flags.registry(parser)
    flags.load(parser)


def _info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("-v", "--verbose", action="store_true", help="every variant with the reason for or against it")
    flags.registry(parser)
    flags.load(parser)
    flags.token(parser)


def _download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="MODEL")
    flags.registry(parser)
    flags.load(parser)
    flags.token(parser)


def _prefetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a name a line (# begins a remark), or a models.json"
    )
    flags.load(parser)
    flags.token(parser)


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="?",
        metavar="PATH",
        help="a GGUF file, a folder, ollama:NAME, lmstudio:NAME, foundry:NAME; without it, what could be imported",
    )
    parser.add_argument("--alias", metavar="NAME", help="what it is called here")
    parser.add_argument("--copy", action="store_true", help="copy the files, so that the original may go away")


def _compile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC", help="a safetensors folder, an alias, or hf:owner/name")
    parser.add_argument("--to", choices=("onnx", "gguf"), default="gguf", help="form of the products (default gguf)")
    parser.add_argument(
        "--precision",
        action="append",
        default=[],
        metavar="P",
        help="fp32, fp16, bf16, int8, int4, or a quantisation of GGUF; may be repeated or listed with commas",
    )
    parser.add_argument("--alias", metavar="NAME", help="what the products are called")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="prompts of the proof, with their checks")
    parser.add_argument("--text", type=Path, metavar="FILE", help="text of the proof, for perplexity")
    gate = parser.add_argument_group("gate: what a product may lose (defaults by precision)")
    gate.add_argument("--max-kl", type=float, metavar="NATS", help="mean divergence of the next-token distributions")
    gate.add_argument("--max-perplexity-rise", type=float, metavar="SHARE", help="0.05: five per cent")
    gate.add_argument("--min-agreement", type=float, metavar="SHARE", help="share of equal greedy tokens")
    flags.token(parser)


def _show_list(args: argparse.Namespace) -> int:
    rows = app.list_models(
        filters=args.filter,
        cached=args.cached,
        variants=args.variants,
        search=args.search,
        config=args.config,
        context_length=args.context_length,
        slots=args.slots,
        home=args.home,
        reporter=output.Notes(),
    )
    if args.output == "json":
        output.as_json(rows)
    elif rows:
        output.lines(shown.table(rows, width=output.width()))
    else:
        output.lines(["no model is like that; assay model list without flags shows all"])
    return 0


def _show_info(args: argparse.Namespace) -> int:
    info = app.model_info(
        args.model,
        ask=args.verbose,
        config=args.config,
        context_length=args.context_length,
        slots=args.slots,
        token=args.token,
        home=args.home,
    )
    if args.output == "json":
        output.as_json(info)
    else:
        output.lines(shown.info(info, verbose=args.verbose))
    return 0


def _fetch(args: argparse.Namespace) -> int:
    return _fetched(args, args.models, args.config)


def _fetch_named(args: argparse.Namespace) -> int:
    lists = [path for path in args.files if path.suffix.lower() == ".json"]
    if len(lists) > 1:
        raise BadInput("more than one models.json was given", remedy="fetch one after the other")
    names = [name for path in args.files for name in app.names_in(path)]
    return _fetched(args, list(dict.fromkeys(names)), lists[0] if lists else None)


def _fetched(args: argparse.Namespace, names: list[str], config: Path | None) -> int:
    with report.ProgressReporter() as reporter:
        stored = app.download(
            names,
            config=config,
            context_length=args.context_length,
            slots=args.slots,
            token=args.token,
            home=args.home,
            transfers=reporter,
        )
    return _stored(args, stored)


def _take_in(args: argparse.Namespace) -> int:
    if args.source is None:
        found = app.importable(home=args.home)
        if args.output == "json":
            output.as_json([one._asdict() for one in found])
        else:
            output.lines(shown.importable(found, width=output.width()))
        return 0
    with report.ProgressReporter() as reporter:
        stored = app.import_models(args.source, alias=args.alias, copy=args.copy, home=args.home, reporter=reporter)
    return _stored(args, stored)


def _stored(args: argparse.Namespace, stored: list[Stored]) -> int:
    if args.output == "json":
        output.as_json(stored)
    else:
        output.lines([shown.stored(one) for one in stored])
    return 0


def _make(args: argparse.Namespace) -> int:
    limits = app.Limits(
        max_kl=args.max_kl, max_perplexity_rise=args.max_perplexity_rise, min_agreement=args.min_agreement
    )
    with report.ProgressReporter() as reporter:
        made = app.compile_model(
            args.source,
            to=args.to,
            precisions=[word.strip() for given in args.precision for word in given.split(",") if word.strip()],
            alias=args.alias,
            limits=limits,
            prompts=args.prompts,
            text=args.text,
            token=args.token,
            home=args.home,
            reporter=reporter,
            transfers=reporter,
        )
    refused = [one for one in made if one.stored is None]
    if args.output == "json":
        output.as_json(made)
        return int(bool(refused))
    output.lines(proofs.table([(one.variant, one.proof) for one in made], width=output.width()))
    for one in made:
        output.lines(f"{one.variant.id}: {note}" for note in one.notes)
    for one in refused:
        output.lines([f"{one.variant.id} was refused: {one.refused}", f"  it is kept in {one.aside}"])
    return int(bool(refused))
