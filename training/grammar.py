"""Grammars that compose training sentences from parts, so that a model learns to read frames that it has not seen.

A grammar is a row of slots; a sentence takes one part from each. `{new}` stands for a word blended at random.
"""

from __future__ import annotations

Grammar = tuple[tuple[str, ...], ...]

_DOES = (
    *("will", "is to", "agreed to", "promised to", "must", "has to", "offered to", "needs to", "wants to", "should"),
    *("volunteered to", "was asked to", "was told to", "plans to", "intends to", "is expected to", "is ready to"),
    *("was chosen to", "has promised to", "is due to", "hopes to", "can", "is happy to", "has agreed to", "{new} to"),
    *("is willing to", "is asked to", "gladly agreed to", "is {new} to", "was {new} and agreed to", "{new} will"),
    *("did not mind when told to", "was quick to say that he will", "nodded and will", "said that she will"),
)
_WE = ("we ", "the group ", "they ", "the members ")
_ASK = (
    "asked",
    "told",
    "want",
    "expect",
    "trust",
    "chose",
    "urged",
    "need",
    "{new}",
    "rely on",
    "{new} on",
    "wait for",
)
_IT = ("it is up to", "it is on", "it is for", "it is the task of", "it falls to", "it was left to", "it is {new} of")
_TASK = ("task", "to do", "next step", "duty", "job", "open point", "{new}")
_BEFORE = ("by", "before", "no later than", "not after", "on or before", "at the latest by", "up to")
_TAIL = (
    *(" by {when}.", " before {when}.", " no later than {when}.", ", due {when}.", "; the deadline is {when}."),
    *(" and has until {when}.", "; this must be done by {when}.", " (by {when}).", ", and that before {when}."),
    *(" on or before {when}.", "; {when} is the deadline.", " and has {new} until {when}.", "; due date {when}."),
)
_NO_DATE = (".", ".", ".", "; no date was set.", ", date open.", "; when is not clear.", "; the date comes later.")


def _doing(tail: tuple[str, ...]) -> tuple[Grammar, ...]:
    return (
        (("{who} ",), _DOES, (" {what}",), tail),
        (("{who} ",), _DOES, (" {what}",), tail),
        (_WE, _ASK, (" {who} to {what}",), tail),
        (_IT, (" {who} to {what}",), tail),
        (_TASK, (" of {who}: ", " for {who}: "), ("{what}",), tail),
    )


DATED = (
    *_doing(_TAIL),
    (_BEFORE, (" {when}, ", " {when} "), ("{who} ",), _DOES, (" {what}.",)),
    (_BEFORE, (" {when}, ",), _WE, _ASK, (" {who} to {what}.",)),
    (("{who} has ",), ("until", "up to", "time until", "{new} until", "only until"), (" {when} to {what}.",)),
    (("{when} is ",), ("the deadline", "the last day", "the {new}"), (" for {who} to {what}.",)),
    (
        ("until {when} ", "up to {when} "),
        ("{who} can", "{who} will have to", "{who} may", "{who} {new} to"),
        (" {what}.",),
    ),
)
UNDATED = _doing(_NO_DATE)
DECIDED: tuple[Grammar, ...] = (
    (
        ("", "", "finally, ", "at last, ", "after some talk, ", "after a {new}, ", "after lunch, "),
        ("we ", "the group ", "the members ", "the meeting ", "they all ", "the majority ", "all of us "),
        ("decided", "voted", "agreed", "chose", "resolved", "made the decision"),
        (" to {matter}.",),
    ),
    (("it was ", "it has been "), ("decided", "agreed", "resolved", "settled"), (" to {matter}.",)),
    (("decision taken: ", "result: ", "decided: ", "agreed: ", "vote passed: "), ("{matter}.",)),
    (("the vote ", "the motion ", "the proposal "), ("to {matter} ",), ("passed.", "was accepted.", "was won.")),
    (
        ("there was a vote", "we took a vote", "hands went up", "all said yes"),
        (" and ", ", so "),
        ("we will {matter}.",),
    ),
)
UNDECIDED: tuple[Grammar, ...] = (
    (
        ("the plan ", "the idea ", "the motion ", "the proposal ", "the wish ", "the vote "),
        ("to {matter} ",),
        (
            *("was rejected.", "was not accepted.", "needs more time.", "was postponed.", "was withdrawn."),
            *("found no support.", "is still open.", "will be discussed again.", "did not pass.", "failed."),
            *("was cancelled.", "was moved to the next meeting.", "has to wait."),
        ),
    ),
    (("it is ", "it remains ", "it is still "), ("open", "unclear", "undecided"), (" whether to {matter}.",)),
    (
        ("we ", "the group ", "the members "),
        ("talked about", "argued about", "were not sure", "wondered", "disagreed on", "did not vote on", "will see"),
        (" whether to {matter}.",),
    ),
    (("nobody ", "hardly anybody ", "only a few "), ("wanted", "voted", "was ready", "agreed"), (" to {matter}.",)),
)
FILLERS: tuple[Grammar, ...] = (
    (
        ("{name} ",),
        (
            *("saw", "praised", "showed", "found", "complained about", "mentioned", "described", "explained", "missed"),
            *("forgot", "hated", "{new}", "{new}", "did not {new}", "was {new} about", "has already seen", "spoke of"),
        ),
        (" the {thing}.",),
    ),
    (("{name} ",), ("asked", "thanked", "{new}", "showed", "wrote to", "informed"), (" {other} about the {thing}.",)),
    (
        ("the {thing} ",),
        ("is ", "was ", "looks ", "seems "),
        ("new.", "ready.", "late.", "good.", "expensive.", "{new}.", "{new}.", "gone."),
    ),
    (("{name} ",), ("was ", "is ", "looked "), ("tired.", "busy.", "on holiday.", "away.", "{new}.", "in {new}.")),
    (("it was ",), ("cold.", "late.", "sunny.", "warm.", "{new}.", "{new}.", "noisy.")),
)
OPENINGS: tuple[Grammar, ...] = (
    (
        ("here are the notes of", "report of", "summary of", "record of", "short notes on", "notes from", "{new} of"),
        (" the {topic} meeting",),
        (".", ", {date}.", " on {date}.", " of {date}."),
    ),
    (
        ("the {topic} meeting ",),
        (
            "began late.",
            "was long.",
            "was held on {date}.",
            "ended early.",
            "went well.",
            "was {new}.",
            "was on {date}.",
        ),
    ),
)
MONTH_DATES: tuple[Grammar, ...] = (
    (("the {new} of ", "{new} ", "the first week of ", "the last day of ", "the {new} week of "), ("{month}",)),
)
LOOSE_DATES: tuple[Grammar, ...] = (
    (("the {new}", "the {new} of the week", "next {new}", "the next {new}", "the {new} of the year", "{new}"),),
)
