"""One spelling for what people write in many: names of models, tasks and licences."""

from __future__ import annotations

SYNONYMS = {
    "chat": "chat", "chat-completion": "chat", "chat-completions": "chat", "conversational": "chat",
    "embedding": "embeddings", "embeddings": "embeddings", "feature-extraction": "embeddings",
    "summarisation": "summary", "summarization": "summary", "summarise": "summary", "summarize": "summary",
    "summary": "summary", "code": "code", "coding": "code", "code-generation": "code",
}  # fmt: skip


def spelling(text: str) -> str:
    """Lower-case, with hyphens for spaces and underscores: ``Text_Generation`` -> ``text-generation``."""
    return "-".join(text.lower().replace("_", " ").split())


def task_word(text: str) -> str:
    """A task or capability in the one of its usual words that stands for all of them."""
    word = spelling(text)
    return SYNONYMS.get(word, word)
