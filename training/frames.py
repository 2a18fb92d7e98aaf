"""The sentence frames of the note generator, and which of them occur in held-out notes only."""

from __future__ import annotations

from dataclasses import dataclass

from training import grammar
from training.grammar import Grammar


@dataclass(frozen=True)
class Frames:
    """Frames seen in training, frames that only held-out notes use, and grammars that compose more for training."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    grammars: tuple[Grammar, ...] = ()


DATED = Frames(
    train=(
        "{who} will {what} by {when}.",
        "{who} is to {what} by {when}.",
        "{who} will {what} before {when}.",
        "{who} agreed to {what} by {when}.",
        "{who} promised to {what} before {when}.",
        "by {when}, {who} will {what}.",
        "{who} has to {what}, due {when}.",
        "{who} has until {when} to {what}.",
        "action for {who}: {what} by {when}.",
        "{who}: {what}, due {when}.",
        "{who} offered to {what} no later than {when}.",
        "it is up to {who} to {what} before {when}.",
        "before {when}, {who} must {what}.",
        "{who} takes it on to {what}; this is due {when}.",
        "we asked {who} to {what} by {when}.",
        "{who} must {what} and has time until {when}.",
    ),
    held_out=(
        "{who} is going to {what} by {when}.",
        "we count on {who} to {what} before {when}.",
        "{who} said yes when asked to {what} by {when}.",
        "until {when}, {who} has time to {what}.",
    ),
    grammars=grammar.DATED,
)

UNDATED = Frames(
    train=(
        "{who} will {what}.",
        "{who} is to {what}.",
        "{who} agreed to {what}.",
        "{who} promised to {what}, no date given.",
        "Action for {who}: {what}.",
        "{who} offered to {what}.",
        "It is up to {who} to {what}.",
        "We asked {who} to {what}.",
        "{who} must {what} some time.",
        "{who} has to {what}; the date is open.",
    ),
    held_out=(
        "{who} is going to {what}.",
        "We count on {who} to {what}.",
        "{who} said yes when asked to {what}.",
    ),
    grammars=grammar.UNDATED,
)

DECIDED = Frames(
    train=(
        "It was decided to {matter}.",
        "The group decided to {matter}.",
        "We voted to {matter}.",
        "Decision: {matter}.",
        "After a vote it was agreed to {matter}.",
        "All were in favour, so we will {matter}.",
        "We decided to {matter}.",
        "The decision was made to {matter}.",
    ),
    held_out=(
        "In the end everyone decided to {matter}.",
        "A vote was held and we agreed to {matter}.",
    ),
    grammars=grammar.DECIDED,
)

UNDECIDED = Frames(
    train=(
        "No decision was made on whether to {matter}.",
        "We discussed whether to {matter} but left it open.",
        "The proposal to {matter} was put off.",
        "There was no majority to {matter}.",
        "The question whether to {matter} stays open.",
        "Some want to {matter}, but nothing was decided.",
        "We will talk again about whether to {matter}.",
        "The idea to {matter} was only discussed.",
    ),
    held_out=(
        "We could not agree on whether to {matter}.",
        "The vote to {matter} was put off.",
    ),
    grammars=grammar.UNDECIDED,
)

FILLERS = Frames(
    train=(
        "{name} was absent.",
        "{name} was late.",
        "{name} thanked {other} for the {thing}.",
        "{name} asked about the {thing}.",
        "{name} and {other} talked about the {thing}.",
        "{name} said that the {thing} is fine.",
        "{name} was not happy with the {thing}.",
        "The {thing} was praised.",
        "The {thing} cost more than expected.",
        "There was coffee and cake.",
        "The room was cold.",
        "The meeting began ten minutes late.",
        "The last meeting was on {date}.",
        "{name} will be away until {date}.",
        "{name} spoke about the {topic} meeting.",
        "Nobody had seen the {thing}.",
        "The {thing} arrived on {date}.",
        "{name} joined by phone.",
        "{name} left early.",
        "We heard from {name} about the {thing}.",
        "{name} has been back since {date}.",
        "The {thing} is no longer needed.",
    ),
    held_out=(
        "{name} liked the {thing}.",
        "{name} told {other} about the {thing}.",
        "The {thing} is old.",
        "It was raining.",
        "{name} was ill.",
    ),
    grammars=grammar.FILLERS,
)

OPENINGS = Frames(
    train=(
        "Notes of the {topic} meeting.",
        "Notes of the {topic} meeting, {date}.",
        "The {topic} meeting was short.",
        "Minutes of the {topic} meeting, {date}.",
        "This was the {topic} meeting.",
        "Minutes: {topic} meeting.",
        "We held the {topic} meeting on {date}.",
        "The {topic} meeting took an hour.",
    ),
    held_out=(
        "These are the notes of the {topic} meeting.",
        "The {topic} meeting took place on {date}.",
    ),
    grammars=grammar.OPENINGS,
)

MONTH_DATES = Frames(
    train=("the end of {month}", "the start of {month}", "early {month}", "late {month}"),
    held_out=("the middle of {month}", "mid {month}"),
    grammars=grammar.MONTH_DATES,
)

LOOSE_DATES = Frames(
    train=(
        "tomorrow",
        "noon",
        "tonight",
        "next week",
        "next month",
        "the end of the week",
        "the end of the month",
        "the end of the year",
        "the next meeting",
        "the holidays",
    ),
    held_out=("the weekend", "the start of the week", "next year"),
    grammars=grammar.LOOSE_DATES,
)

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "list": (
        "List the action items.",
        "What are the action items? List them.",
        "Write the action items as a list.",
        "List who has to do what, and by when.",
    ),
    "json": (
        "Give the action items as JSON.",
        "Return the action items as JSON with who, what and when.",
        "Write the action items as JSON.",
        "Extract who, what and when as JSON.",
    ),
    "summary": (
        "Summarise the note in one sentence.",
        "Give a summary in one sentence.",
        "Sum it up in one sentence.",
        "What happened? Answer in one sentence.",
    ),
    "decision": (
        "Was a decision made?",
        "Did they decide anything?",
        "Say whether a decision was made.",
        "Was anything decided?",
    ),
}
