"""The text and the questions that an original and its products are held against, where nobody brings others."""

from __future__ import annotations

from importlib import resources

from assay.types import Prompt

SEPARATOR = "%%"
QUESTIONS = (
    "Explain in two sentences why the sky is blue.",
    "Write a short, polite reply to a guest who asks whether breakfast is included.",
    "List five things that every kitchen should have.",
    "What is 17 times 6? Show how you got there.",
    'Turn this into JSON with the keys "name" and "age": Ruth is 34 years old.',
    "Summarise in one sentence: The bridge was closed in May, repaired over the summer, and opened again in October.",
    "Write a Python function that tells whether a word reads the same in both directions.",
    "What is the difference between weather and climate?",
    "Translate into German: The train to the coast leaves at nine.",
    "Give three reasons for and three against working from home.",
    "Which is heavier, a kilogram of iron or a kilogram of feathers? Explain.",
    "Write a poem of four lines about a lighthouse.",
    "Correct the mistakes: Him and me was going to the libary yesterday.",
    "How does a bicycle stay upright?",
    "Name the months that have 30 days.",
    "Write an SQL query that counts the orders of each customer.",
    "¿Qué se necesita para hacer pan en casa?",
    "A shop sells pens in packs of eight. How many packs do I need for 50 pens?",
    "Write the first paragraph of a story that begins in an empty railway station.",
    "Is this sentence friendly or unfriendly: I would have expected more of you. Answer with one word.",
)


def default_text() -> tuple[str, ...]:
    """Twenty passages of about 60 tokens each: prose, letters, code, JSON, lists and tables, German and Spanish."""
    text = resources.files("assay.compile").joinpath("passages.txt").read_text(encoding="utf-8")
    return tuple(passage.strip("\n") for passage in text.split(SEPARATOR))


def default_questions() -> tuple[Prompt, ...]:
    """Twenty questions without checks."""
    return tuple(Prompt(id=f"q{i:02}", prompt=text) for i, text in enumerate(QUESTIONS, start=1))
