"""The byte-level BPE tokenizer of the bundled models, trained on generated text.

    python -m training.tokenizer

It splits text before merging exactly as Qwen2 does, so that llama.cpp's `qwen2` pre-tokenizer gives the same ids. The
tokenizer of the shipped models is kept beside this file.
"""

from __future__ import annotations

import random
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.notes import TASKS, NoteWriter, Split, prompt_text

VOCABULARY = 1024
SEED = 20
TOKENIZER_FILE = Path(__file__).with_name("tokenizer.json")
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'"
    " + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
USER_OPENING = f"{START}user\n"
ASSISTANT_OPENING = f"{END}\n{START}assistant\n"


def train_tokenizer(seed: int, notes: int = 6000) -> Tokenizer:
    """Train the tokenizer on generated training notes and answers."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 3,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    writer = NoteWriter(random.Random(f"tokenizer:{seed}"), Split.TRAIN)

    def texts() -> list[str]:
        found = ["user", "assistant", "system"] * 50
        for _ in range(notes):
            note = writer.note()
            exercises = [writer.exercise(note, task) for task in TASKS]
            found += [prompt_text(note, exercise) for exercise in exercises[:2]]
            found += [exercise.answer for exercise in exercises]
        return found

    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (END_OF_TEXT, START, END)])
    return tokenizer


def load_tokenizer() -> Tokenizer:
    """The tokenizer of the shipped models."""
    return Tokenizer.from_file(str(TOKENIZER_FILE))


if __name__ == "__main__":
    train_tokenizer(SEED).save(str(TOKENIZER_FILE))
