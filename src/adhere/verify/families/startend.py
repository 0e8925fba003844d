"""Constraint family `startend`: a given ending, and the whole reply in quotation marks."""

from __future__ import annotations

import random
import re

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, passed
from adhere.verify.rewriting import append_sentence

_ENDINGS = (
    "Let me know how it goes.",
    "That is everything I have for now.",
    "Now it is your turn.",
    "Thank you for reading to the end.",
    "What do you think?",
    "Is there something else you would like to know?",
    "I hope this makes sense.",
    "And that is the whole story.",
    "See you next time!",
    "Take care of yourself.",
    "Good luck with it!",
    "Let me know what you decide.",
    "Would you like to hear more?",
    "Enjoy every minute of it.",
    "You can do this.",
    "Please ask if anything is unclear.",
    "The rest is up to you.",
    "I look forward to your reply.",
    "Nothing more needs to be said.",
    "Have a wonderful day!",
    "Stay curious.",
    "That is my final answer.",
    "Do you agree?",
    "Keep going and do not give up.",
    "This is where my answer ends.",
    "Best wishes from all of us.",
    "Until we meet again.",
    "Which part did you like best?",
    "Remember to have fun.",
    "Peace and quiet at last.",
)


def _verify_ending(params: Params, reply: str) -> Verdict:
    phrase = params["end_phrase"].strip()
    if not phrase:
        raise VerifierError("startend:end_checker: end_phrase is blank", "Give the words that the reply must end with.")
    ending = reply.strip().strip('"')
    if ending.lower().endswith(phrase.lower()):
        stop = reply.rfind(ending) + len(ending) if ending else len(reply)
        return passed(f"ends with {phrase!r}", ((max(stop - len(phrase), 0), stop),))
    if phrase.lower() in ending.lower():
        return failed(f"{phrase!r} is there, but text follows it", 0.5)
    return failed(f"does not end with {phrase!r}; it ends with {ending[-40:]!r}")


def _repair_ending(params: Params, reply: str) -> str:
    phrase = params["end_phrase"].strip()
    body = reply.strip()
    at = body.lower().rfind(phrase.lower())
    if at >= 0 and len(body) - at - len(phrase) <= 3:  # only a closing mark or two follow
        return body[: at + len(phrase)]
    return append_sentence(body, phrase)


_END = ConstraintType(
    id="startend:end_checker",
    family="startend",
    parameters={"end_phrase": str},
    phrasings=(
        'End your answer with exactly this sentence: "{phrase}"',
        "Finish with the words {phrase}",
        'The last words must be "{phrase}" and nothing may come after them.',
        "Your answer should close with this exact phrase: {phrase}",
        'Make sure that the very last thing you write is "{phrase}"',
        'Please conclude with "{phrase}" as your final words.',
        "Stop after writing: {phrase}",
        'Wrap up by saying "{phrase}" and add nothing more.',
        "The final line has to read exactly as follows: {phrase}",
        'Let "{phrase}" be the end of what you write.',
        'I want it to end on these words: "{phrase}"',
        "Nothing should follow the closing phrase, which is: {phrase}",
        'Always sign off with the exact sentence "{phrase}"',
        "Close the text with this phrase, letter for letter: {phrase}",
        'Could you end with "{phrase}" and stop there?',
        'When everything else is said, write "{phrase}" and nothing more.',
    ),
    heldout_phrasings=(
        "There is one fixed way to end this, and it is: {phrase}",
        'When you are done, sign off with "{phrase}" word for word.',
        'Ending required: "{phrase}"',
        'How should it end? With "{phrase}" and not a character beyond that.',
    ),
    verify=_verify_ending,
    draw=lambda rng, drawing: {"end_phrase": rng.choice(_ENDINGS)},
    repair=_repair_ending,
    words=lambda params: {"phrase": params["end_phrase"].strip()},
    examples=(
        Example(
            {"end_phrase": "That is all."},
            "Boil the pasta and drain it. That is all.",
            ("Boil the pasta. That is all. Enjoy!", "Boil the pasta. That is all", "That is all. Boil the pasta."),
        ),
    ),
)


def _verify_quotation(params: Params, reply: str) -> Verdict:
    text = reply.strip()
    opens, closes = text.startswith('"'), text.endswith('"')
    if len(text) > 1 and opens and closes:
        return passed("wrapped in double quotation marks")
    missing = [name for name, there in (("opening", opens), ("closing", closes and len(text) > 1)) if not there]
    return failed(f"no {' and no '.join(missing)} double quotation mark", 0.5 if len(missing) == 1 else 0.0)


def _repair_quotation(params: Params, reply: str) -> str | None:
    inner = reply.strip().strip('"“”„«»').strip()
    if not inner:
        return None
    for mark in '"“”„':  # quotations within a quotation take single marks
        inner = inner.replace(mark, "'")
    # A bullet is one only at the start of its line.
    return f'"\n{inner}"' if re.match(r"\*[^*]|-", inner) else f'"{inner}"'


def _draw_quotation(rng: random.Random, drawing: Drawing) -> dict[str, object]:
    return {}


_QUOTATION = ConstraintType(
    id="startend:quotation",
    family="startend",
    parameters={},
    phrasings=(
        "Put your whole answer in double quotation marks.",
        'Wrap the entire answer in double quotes, like "this".',
        'Start with a " and finish with a ".',
        "Your answer should begin and end with a double quotation mark.",
        "Make sure that everything you write stands between two double quotes.",
        "Please enclose all of your text in double quotation marks.",
        'The first and the last character must both be ".',
        "Double quotes go around the complete reply.",
        "Write the answer as one long quotation, with a double quote at the front and another at the back.",
        'Quote the full reply, from its first word to its last, with " marks.',
        "I need all of it inside double quotation marks, with nothing left outside.",
        "Open the answer by a double quotation mark and close it by another one.",
        'Format: "your complete answer here", including the quotation marks.',
        "Surround everything with a pair of double quotes.",
        "Could you put the full answer between double quotes?",
        'Quotation marks (") at both ends of the answer, please.',
    ),
    heldout_phrasings=(
        'Imagine that a newspaper quotes you: the text you give opens and closes with a ".',
        'No character may come before the opening " or after the closing " of your response.',
        "Treat what you say as a quotation, with double quotes on both ends.",
        "Could the full text be given between double quotation marks?",
    ),
    verify=_verify_quotation,
    draw=_draw_quotation,
    repair=_repair_quotation,
    words=lambda params: {},
    examples=(
        Example(
            {},
            '"Rain is water that falls from clouds."',
            ("“Rain is water.”", '"Rain" is water.', "'Rain is water.'", '"'),
        ),
    ),
)

TYPES: tuple[ConstraintType, ...] = (_END, _QUOTATION)
