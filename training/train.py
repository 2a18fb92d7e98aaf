"""Train one of the bundled models from scratch on generated notes.

    python -m training.train notes-4m --steps 6000 --out build/notes-4m

The rate warms up, stays, and falls to nothing over the last `COOL_SHARE` of the steps; all of it goes by steps, so a
run is a function of its seed and its arguments. `--resume` takes up the last checkpoint in the folder. Each rank is a
process of one thread with its share of every batch: on a busy machine that is faster than threads that wait for each
other within every operation.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn import functional
from torch.utils.data import DataLoader

from training.model import SIZES, NotesModel
from training.muon import Muon, all_reduce
from training.notes import TASKS
from training.plan import Plan
from training.rows import Batch, TrainingBatches, held_out_batches
from training.tokenizer import END, END_OF_TEXT, load_tokenizer

WARMUP_STEPS = 100
COOL_SHARE = 0.4
LOG_EVERY = 50
WATCH_EVERY = 250
WATCH_NOTES = 96


@dataclass(frozen=True)
class Launch:
    """How a run is carried out, which makes no difference to what it gives."""

    folder: Path
    port: int
    resume: bool
    compiled: bool


def rate(step: int, steps: int) -> float:
    """The share of the peak rate at this step: warm-up, plateau, straight line to zero."""
    cool = COOL_SHARE * steps
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / cool)


def build_optimisers(model: NotesModel, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    matrices = [w for name, w in model.named_parameters() if w.ndim == 2 and "embed" not in name]
    rest = [w for name, w in model.named_parameters() if w.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=plan.muon_lr),
        torch.optim.AdamW(rest, lr=plan.adam_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


@torch.no_grad()  # type: ignore[untyped-decorator]
def exact_match(model: NotesModel, batches: list[Batch]) -> dict[str, float]:
    """The share of answers whose every token is the likeliest one: what greedy decoding would give."""
    right: dict[str, list[bool]] = {task: [] for task in TASKS}
    for batch in batches:
        best = model.logits(model.hidden(batch.ids, batch.positions, batch.mask())).argmax(-1)
        wrong = (best != batch.targets) & (batch.targets >= 0)
        for row, tasks in enumerate(batch.tasks):
            for number, task in enumerate(tasks, start=1):
                right[task].append(not bool(wrong[row][batch.branch[row] == number].any()))
    return {task: sum(found) / len(found) for task, found in right.items() if found}


class Run:
    """One training run and its folder."""

    def __init__(self, plan: Plan, folder: Path, rank: int, compiled: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.plan, self.folder, self.rank = plan, folder, rank
        torch.manual_seed(plan.seed)
        self.tokenizer = load_tokenizer()
        self.model = NotesModel(SIZES[plan.size], self.tokenizer.get_vocab_size())
        self.optimisers = build_optimisers(self.model, plan)
        self.start = 0
        self.hidden = torch.compile(self.model.hidden, dynamic=False) if compiled else self.model.hidden

    def resume(self) -> None:
        """Take up the last checkpoint."""
        state = torch.load(self.folder / "checkpoint.pt", weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.start = int(state["step"])

    def save(self, step: int) -> None:
        """Write the checkpoint, and the weights in the layout of transformers."""
        state = {
            "step": step,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        torch.save(state, self.folder / "checkpoint.tmp")
        (self.folder / "checkpoint.tmp").replace(self.folder / "checkpoint.pt")
        write_checkpoint(self.model, self.tokenizer, self.folder / "hf")

    def log(self, **figures: Any) -> None:
        """Append one line to the log, on the first rank."""
        if self.rank != 0:
            return
        line = json.dumps(figures)
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def learn(self, batch: Batch, step: int) -> float:
        """Take one step; gives this rank's mean cross entropy of the answer tokens."""
        plan = self.plan
        for optimiser, peak in zip(self.optimisers, (plan.muon_lr, plan.adam_lr), strict=True):
            optimiser.param_groups[0]["lr"] = peak * rate(step, plan.steps)
        hidden = self.hidden(batch.ids, batch.positions, batch.mask()).flatten(0, 1)
        chosen = (batch.targets >= 0).flatten().nonzero().squeeze(1)
        losses = functional.cross_entropy(
            self.model.logits(hidden[chosen]), batch.targets.flatten()[chosen], reduction="none"
        )
        weights = batch.weights.flatten()[chosen]
        loss = (losses * weights).sum() / weights.sum()
        (loss / plan.ranks).backward()
        all_reduce([weight.grad for weight in self.model.parameters() if weight.grad is not None])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return float(loss)

    def train(self) -> None:
        """Train to the last step; the first rank logs, watches and saves."""
        plan = self.plan
        steps, rows = range(self.start, plan.steps), range(self.rank, plan.rows, plan.ranks)
        data = TrainingBatches(self.tokenizer, plan, steps, rows)
        loader = DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=8)
        watch = held_out_batches(self.tokenizer, plan.seed, WATCH_NOTES, 16)
        self.log(start=self.start, plan=asdict(plan), parameters=sum(w.numel() for w in self.model.parameters()))
        began = time.monotonic()
        losses: list[float] = []
        for step, batch in zip(steps, loader, strict=True):
            losses.append(self.learn(batch, step))
            done = step + 1
            if done % LOG_EVERY == 0:
                self.log(
                    step=done,
                    loss=round(sum(losses) / len(losses), 4),
                    rate=round(rate(step, plan.steps), 4),
                    seconds=round(time.monotonic() - began, 1),
                )
                losses = []
            if self.rank == 0 and (done % WATCH_EVERY == 0 or done == plan.steps):
                found = exact_match(self.model, watch)
                self.log(step=done, exact={task: round(value, 3) for task, value in found.items()})
                self.save(done)


def write_checkpoint(model: NotesModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write `model.safetensors`, `config.json` and `tokenizer.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: weight.contiguous() for name, weight in model.state_dict().items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = tokenizer.get_vocab()
    config = model.size.config(len(ids), ids[END], ids[END_OF_TEXT])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def work(rank: int, plan: Plan, launch: Launch) -> None:
    """One rank: a process of one thread."""
    torch.set_num_threads(1)
    store = dist.TCPStore("127.0.0.1", launch.port, plan.ranks, is_master=rank == 0)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=plan.ranks)
    run = Run(plan, launch.folder, rank, launch.compiled)
    if launch.resume:
        run.resume()
    run.train()
    dist.destroy_process_group()


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description="Train one bundled model from scratch.")
    parser.add_argument("size", choices=sorted(SIZES))
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--rows", type=int, default=12, help="rows of a batch, over all ranks")
    parser.add_argument("--ranks", type=int, default=1, help="processes that share each batch")
    parser.add_argument("--length", type=int, default=384)
    parser.add_argument("--novel-from", type=int, default=0, help="the step from which words are blended")
    parser.add_argument("--rich-from", type=int, default=0, help="the step from which sentences are composed")
    parser.add_argument("--ask-from", type=int, default=0, help="the step from which most branches are questions")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=4e-3)
    parser.add_argument("--port", type=int, default=29520)
    parser.add_argument("--compile", action="store_true", help="compile the model; needs a C++ compiler")
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    plan = Plan(
        size=given.size,
        steps=given.steps,
        seed=given.seed,
        rows=given.rows,
        ranks=given.ranks,
        length=given.length,
        novel_from=given.novel_from,
        rich_from=given.rich_from,
        ask_from=given.ask_from,
        muon_lr=given.muon_lr,
        adam_lr=given.adam_lr,
    )
    mp.spawn(work, (plan, Launch(given.out, given.port, given.resume, given.compile)), nprocs=plan.ranks)


if __name__ == "__main__":
    main()
