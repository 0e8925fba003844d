"""Our held-out constraint types: four families that IFEval does not have, for measuring generalisation.

`opening` (how the reply begins), `lines` (its layout in lines), `tally` (how often something occurs) and
`lipogram` (what must not occur). They are never drawn for training data; their repairs serve data that a user
asks for by name. A *line* is a part between newlines with something other than white space on it.

Most have one reading, since they were written without the loopholes of older checkers; the repaired register
(`adhere.verify.registers`) adds that a reply without a letter or digit fails them all. Two are mended: a first sentence
that is a question asks something (not "?! No."), and `no_digits` counts the digits of every script, not only 0 to 9.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Example, Params, failed, judged_count, passed
from adhere.verify.families import unseen_phrasings as say
from adhere.verify.pieces import clauses, grouped, statements
from adhere.verify.rewriting import variant
from adhere.verify.spans import Spans, counted_spans, first_spans, lines_with_places, says_something
from adhere.verify.text import sentence_spans
from adhere.verify.wording import counted, spelled

_COUNTS = range(1, 1_000_001)
_MOST_LINES = 60

# What else decides how a reply begins, or how it is laid out in lines.
_AT_THE_START = frozenset(
    (
        "opening",
        "detectable_format:title",
        "detectable_format:multiple_sections",
        "detectable_format:number_bullet_lists",
        "length_constraints:nth_paragraph_first_word",
        "lines:numbered_steps",
    )
)
_LAYOUTS = frozenset(
    (
        "lines",
        "detectable_content",
        "detectable_format:number_bullet_lists",
        "detectable_format:multiple_sections",
        "detectable_format:title",
        "length_constraints:number_paragraphs",
        "length_constraints:nth_paragraph_first_word",
    )
)

# ---------------------------------------------------------------- opening

_FIRST_WORDS = (
    "Today Sometimes Imagine Perhaps Well Many Every Once People Surely First Here Let Nobody Yes Consider When"
)
_GREETINGS = (
    "Hello there,",
    "Good morning,",
    "Here is what I think:",
    "Thank you for asking.",
    "Dear reader,",
    "In short,",
    "Let us begin.",
    "That is a good question.",
    "Without further delay:",
    "As far as I know,",
)
_QUESTIONS = (
    "Where should one begin?",
    "What matters most here?",
    "Have you ever thought about this?",
    "How does one go about it?",
    "What is there to say?",
    "Shall we take a closer look?",
    "Who has not wondered about this?",
    "Is there a simple answer?",
    "What comes to mind first?",
    "Why not look at it step by step?",
    "Would you have guessed it?",
    "What would you say?",
)


def _verify_first_word(params: Params, reply: str) -> Verdict:
    wanted = params["first_word"]
    if not re.fullmatch(r"\w+", wanted):
        raise VerifierError(f"opening:first_word: {wanted!r} is not one word", "Use letters or digits only.")
    found = re.search(r"\w+", reply)
    if found and found.group().lower() == wanted.lower():
        return passed(f"the first word is {wanted!r}", (found.span(),))
    first = found.group()[:60] if found else ""
    return failed(f"the first word is {first!r}, wanted {wanted!r}", spans=(found.span(),) if found else ())


def _verify_question(params: Params, reply: str) -> Verdict:
    start = len(reply) - len(reply.lstrip())
    line = reply[start:].partition("\n")[0].rstrip()
    begin, stop = next(iter(sentence_spans(line)), (0, 0))
    first, spans = line[begin:stop], ((start + begin, start + stop),)
    if first.strip().rstrip("\"'*)”’ ").endswith("?"):
        return passed("the first sentence is a question", spans)
    return failed(f"the first sentence is no question: {first.strip()[:60]!r}", spans=spans)


def _mended_question(params: Params, reply: str) -> Verdict:
    verdict = _verify_question(params, reply)
    if verdict.passed and not says_something(reply, *verdict.spans[0]):
        return failed("the first sentence asks nothing", 0.5, verdict.spans)
    return verdict


def _repair_question(params: Params, reply: str) -> str:
    return f"{variant(reply, _QUESTIONS)} {reply.strip()}"


def _verify_greeting(params: Params, reply: str) -> Verdict:
    phrase = params["phrase"].strip()
    if not phrase:
        raise VerifierError("opening:first_phrase: phrase is blank", "Give the words that the reply must start with.")
    start = len(reply) - len(reply.lstrip())
    if reply.strip().lower().startswith(phrase.lower()):
        return passed(f"starts with {phrase!r}", ((start, start + len(phrase)),))
    return failed(f"does not start with {phrase!r}", 0.5 if phrase.lower() in reply.lower() else 0.0)


_OPENING = (
    ConstraintType(
        id="opening:first_word",
        family="opening",
        parameters={"first_word": str},
        phrasings=say.FIRST_WORD,
        heldout_phrasings=say.FIRST_WORD_HELDOUT,
        verify=_verify_first_word,
        excludes=_AT_THE_START,
        demands=lambda params: (params["first_word"],),
        draw=lambda rng, drawing: {"first_word": rng.choice(_FIRST_WORDS.split())},
        words=lambda params: {"word": params["first_word"]},
        examples=(
            Example(
                {"first_word": "Today"}, "Today we bake bread.", ("We bake bread today.", "Todays bread.", "To day.")
            ),
        ),
    ),
    ConstraintType(
        id="opening:first_sentence_question",
        family="opening",
        parameters={},
        phrasings=say.FIRST_QUESTION,
        heldout_phrasings=say.FIRST_QUESTION_HELDOUT,
        verify=_verify_question,
        mended=_mended_question,
        rank=31,
        excludes=_AT_THE_START,
        draw=lambda rng, drawing: {},
        words=lambda params: {},
        repair=_repair_question,
        examples=(
            Example({}, "Why do we dream? Nobody knows.", ("We dream. Why? Nobody knows.", "Nobody knows\nwhy?")),
        ),
    ),
    ConstraintType(
        id="opening:first_phrase",
        family="opening",
        parameters={"phrase": str},
        phrasings=say.GREETING,
        heldout_phrasings=say.GREETING_HELDOUT,
        verify=_verify_greeting,
        rank=31,
        excludes=_AT_THE_START,
        demands=lambda params: (params["phrase"],),
        draw=lambda rng, drawing: {"phrase": rng.choice(_GREETINGS)},
        repair=lambda params, reply: f"{params['phrase'].strip()} {reply.strip()}",
        words=lambda params: {"phrase": params["phrase"].strip()},
        examples=(
            Example({"phrase": "In short,"}, "In short, it works.", ("It works, in short,", '"In short, it works."')),
        ),
    ),
)

# ---------------------------------------------------------------- lines


def _lines(reply: str) -> list[str]:
    return [line for line in reply.split("\n") if line.strip()]


def _line_spans(reply: str) -> Iterator[tuple[int, int]]:
    return ((start, start + len(line)) for start, line in lines_with_places(reply) if line.strip())


def _verify_line_count(params: Params, reply: str) -> Verdict:
    return judged_count(len(_lines(reply)), "exactly", params["num_lines"], "lines", first_spans(_line_spans(reply)))


def _repair_line_count(params: Params, reply: str) -> str | None:
    count = params["num_lines"]
    for parts in (_lines(reply), statements(reply), clauses(reply)):
        groups = grouped(parts, count) if count <= _MOST_LINES else None
        if groups:
            return "\n".join(" ".join(group) for group in groups)
    return None


_STEP = re.compile(r"\s*(\d{1,4})\.\s+\S")


def _verify_steps(params: Params, reply: str) -> Verdict:
    wanted = params["num_steps"]
    steps = [(span, match) for span in _line_spans(reply) if (match := _STEP.match(reply, *span))]
    found, spans = [int(match.group(1)) for _, match in steps], first_spans(span for span, _ in steps)
    if found == list(range(1, wanted + 1)):
        return passed(f"numbered from 1 to {wanted}", spans)
    if len(found) == wanted:
        return failed(f"{wanted} numbered lines, but not in the order 1 to {wanted}", 0.8, spans)
    return judged_count(len(found), "exactly", wanted, "numbered lines", spans)


def _repair_steps(params: Params, reply: str) -> str | None:
    count = params["num_steps"]
    groups = grouped(statements(reply), count) if count <= _MOST_LINES else None
    return "\n".join(f"{n}. {' '.join(group)}" for n, group in enumerate(groups, 1)) if groups else None


def _verify_short_lines(params: Params, reply: str) -> Verdict:
    most = params["max_words"]
    longest = max((len(line.split()) for line in _lines(reply)), default=0)
    if longest <= most:
        return passed(f"the longest line has {longest} words, at most {most} allowed")
    spans = first_spans(span for span in _line_spans(reply) if len(reply[slice(*span)].split()) > most)
    return failed(f"a line of {longest} words, at most {most} allowed", most / longest, spans, longest - most)


def _repair_short_lines(params: Params, reply: str) -> str | None:
    most = params["max_words"]
    if most < 1:
        return None
    done: list[str] = []
    for line in reply.strip().split("\n"):
        words = line.split()
        done.extend(" ".join(words[at : at + most]) for at in range(0, len(words), most))
        if not words:
            done.append("")
    return "\n".join(done)


_LINES = (
    ConstraintType(
        id="lines:line_count",
        family="lines",
        parameters={"num_lines": int},
        phrasings=say.LINE_COUNT,
        heldout_phrasings=say.LINE_COUNT_HELDOUT,
        verify=_verify_line_count,
        allowed={"num_lines": _COUNTS},
        rank=23,
        excludes=_LAYOUTS,
        least_words=lambda params: 5 * params["num_lines"],
        draw=lambda rng, drawing: {"num_lines": rng.randint(2, 8)},
        repair=_repair_line_count,
        words=lambda params: counted(params["num_lines"]),
        examples=(Example({"num_lines": 2}, "One.\n\nTwo.", ("One. Two.", "One.\nTwo.\nThree.")),),
    ),
    ConstraintType(
        id="lines:numbered_steps",
        family="lines",
        parameters={"num_steps": int},
        phrasings=say.NUMBERED_STEPS,
        heldout_phrasings=say.NUMBERED_STEPS_HELDOUT,
        verify=_verify_steps,
        allowed={"num_steps": _COUNTS},
        rank=24,
        excludes=_LAYOUTS,
        least_words=lambda params: 6 * params["num_steps"],
        draw=lambda rng, drawing: {"num_steps": rng.randint(2, 7)},
        repair=_repair_steps,
        words=lambda params: counted(params["num_steps"]),
        examples=(
            Example(
                {"num_steps": 2},
                "To wash:\n1. Soak it.\n2. Rinse it.",
                ("1. Soak it.", "1. Soak it.\n3. Rinse it.", "1) Soak.\n2) Rinse.", "- Soak.\n- Rinse."),
            ),
        ),
    ),
    ConstraintType(
        id="lines:max_line_length",
        family="lines",
        parameters={"max_words": int},
        phrasings=say.SHORT_LINES,
        heldout_phrasings=say.SHORT_LINES_HELDOUT,
        verify=_verify_short_lines,
        allowed={"max_words": _COUNTS},
        rank=25,
        excludes=_LAYOUTS,
        draw=lambda rng, drawing: {"max_words": rng.choice((8, 10, 12, 15, 20))},
        repair=_repair_short_lines,
        words=lambda params: counted(params["max_words"]),
        examples=(Example({"max_words": 3}, "a b c\n\nd e", ("a b c d", "a\nb c d e")),),
    ),
)

# ---------------------------------------------------------------- tally


def _tally(mark: str, relation: str, thing: str, reply: str, wanted: int) -> Verdict:
    found, spans = counted_spans(re.finditer(mark, reply))
    return judged_count(found, relation, wanted, thing, spans)


_NUMBER = r"\d+(?:[.,]\d+)*"


def _repair_exclamations(params: Params, reply: str) -> str | None:
    """Surplus marks become periods from the end; missing ones replace the periods that end lines or sentences."""
    text, wanted = reply, params["num_exclamations"]
    places = [found.start() for found in re.finditer("!", text)]
    for at in places[wanted:]:
        text = f"{text[:at]}.{text[at + 1 :]}"
    missing = wanted - len(places)
    if missing > 0:
        ends = [found.start() for found in re.finditer(r"(?<=[a-z]{2})\.(?=\s|$)", text)][:missing]
        if len(ends) < missing:
            return None
        for at in ends:
            text = f"{text[:at]}!{text[at + 1 :]}"
    return text


_TALLY = (
    ConstraintType(
        id="tally:question_marks",
        family="tally",
        parameters={"num_questions": int},
        phrasings=say.QUESTION_MARKS,
        heldout_phrasings=say.QUESTION_MARKS_HELDOUT,
        verify=lambda params, reply: _tally(r"\?", "at least", "question marks", reply, params["num_questions"]),
        allowed={"num_questions": _COUNTS},
        draw=lambda rng, drawing: {"num_questions": rng.randint(1, 4)},
        words=lambda params: counted(params["num_questions"]),
        examples=(Example({"num_questions": 2}, "Why? And how?", ("Why? And how.", "Why and how.")),),
    ),
    ConstraintType(
        id="tally:exclamation_marks",
        family="tally",
        parameters={"num_exclamations": int},
        phrasings=say.EXCLAMATION_MARKS,
        heldout_phrasings=say.EXCLAMATION_MARKS_HELDOUT,
        verify=lambda params, reply: _tally("!", "exactly", "exclamation marks", reply, params["num_exclamations"]),
        allowed={"num_exclamations": range(1_000_001)},
        rank=36,
        draw=lambda rng, drawing: {"num_exclamations": rng.randint(1, 4)},
        repair=_repair_exclamations,
        words=lambda params: {
            **counted(params["num_exclamations"]),
            "are": "is" if params["num_exclamations"] == 1 else "are",
        },
        examples=(Example({"num_exclamations": 1}, "Come in! Sit.", ("Come in. Sit.", "Come in! Sit!")),),
    ),
    ConstraintType(
        id="tally:numbers",
        family="tally",
        parameters={"num_numbers": int},
        phrasings=say.NUMBERS,
        heldout_phrasings=say.NUMBERS_HELDOUT,
        verify=lambda params, reply: _tally(_NUMBER, "at least", "numbers", reply, params["num_numbers"]),
        allowed={"num_numbers": _COUNTS},
        draw=lambda rng, drawing: {"num_numbers": rng.randint(1, 5)},
        words=lambda params: counted(params["num_numbers"]),
        examples=(Example({"num_numbers": 2}, "Mix 2,500 g with 3 eggs.", ("Mix 2,500 g with eggs.", "Two and 3.")),),
    ),
)

# ---------------------------------------------------------------- lipogram

_SHORT_FORM = re.compile(
    r"\b[^\W\d_]+(?:n['’]t|['’](?:re|ve|ll|d|m))\b|\b(?:it|that|he|she|there|here|what|who|let|where|how)['’]s\b", re.I
)
_FULL_FORMS = {"can't": "cannot", "won't": "will not", "shan't": "shall not", "let's": "let us", "i'm": "I am"}
_FULL_ENDINGS = (("n't", " not"), ("'re", " are"), ("'ve", " have"), ("'ll", " will"), ("'d", " would"), ("'s", " is"))


def _verify_letter(params: Params, reply: str) -> Verdict:
    letter = params["letter"].lower()
    if not (len(letter) == 1 and "a" <= letter <= "z"):
        raise VerifierError(f"lipogram:avoid_letter: {params['letter']!r} is not a letter", "Use one of a to z.")
    found, spans = counted_spans(re.finditer(letter, reply, re.IGNORECASE | re.ASCII))
    return _none_of(found, spans, f"letter {letter!r}", f"the letter {letter!r} occurs {found} times", reply)


def _none_of(found: int, spans: Spans, thing: str, said: str, reply: str) -> Verdict:
    if found:
        return failed(said, 1.0 / (1 + found), spans, found)
    return passed(f"no {thing}", vacuous=not re.search(r"[^\W\d_]", reply))


def _verify_contractions(params: Params, reply: str) -> Verdict:
    found, spans = counted_spans(_SHORT_FORM.finditer(reply))
    said = f"{found} contractions, the first is {reply[slice(*spans[0])][:60]!r}" if found else ""
    return _none_of(found, spans, "contractions", said, reply)


def _in_full(found: re.Match[str]) -> str:
    word = found.group().replace("’", "'")
    full = _FULL_FORMS.get(word.lower())
    if full is None:
        full = next((word[: -len(end)] + long for end, long in _FULL_ENDINGS if word.lower().endswith(end)), word)
    return full[0].upper() + full[1:] if word[0].isupper() else full


def _verify_digits(params: Params, reply: str) -> Verdict:
    found, spans = counted_spans(re.finditer(r"[0-9]", reply))
    return _none_of(found, spans, "digits", f"{found} digits", reply)


def _mended_digits(params: Params, reply: str) -> Verdict:
    found, spans = counted_spans(re.finditer(r"\d", reply))
    return _none_of(found, spans, "digits", f"{found} digits", reply)


def _repair_digits(params: Params, reply: str) -> str | None:
    plain = re.sub(r"^[^\S\n]*\d{1,3}[.)][^\S\n]+", "", reply, flags=re.MULTILINE)
    written = re.sub(r"(?<![\d.,])\d{1,2}(?![\d.,]*\d)", lambda m: spelled(int(m.group())), plain)
    return None if re.search(r"\d", written) else written


_LIPOGRAM = (
    ConstraintType(
        id="lipogram:avoid_letter",
        family="lipogram",
        parameters={"letter": str},
        phrasings=say.AVOID_LETTER,
        heldout_phrasings=say.AVOID_LETTER_HELDOUT,
        verify=_verify_letter,
        forbids=True,
        draw=lambda rng, drawing: {"letter": rng.choice("qzxjvk")},
        words=lambda params: {"letter": params["letter"]},
        examples=(Example({"letter": "z"}, "A calm day.", ("A lazy day.", "Zoe is calm.")),),
    ),
    ConstraintType(
        id="lipogram:no_contractions",
        family="lipogram",
        parameters={},
        phrasings=say.NO_CONTRACTIONS,
        heldout_phrasings=say.NO_CONTRACTIONS_HELDOUT,
        verify=_verify_contractions,
        rank=8,
        forbids=True,
        draw=lambda rng, drawing: {},
        repair=lambda params, reply: _SHORT_FORM.sub(_in_full, reply),
        words=lambda params: {},
        examples=(Example({}, "It is Anna's and I do not mind.", ("It's Anna's.", "I don’t mind.", "We'll see.")),),
    ),
    ConstraintType(
        id="lipogram:no_digits",
        family="lipogram",
        parameters={},
        phrasings=say.NO_DIGITS,
        heldout_phrasings=say.NO_DIGITS_HELDOUT,
        verify=_verify_digits,
        mended=_mended_digits,
        rank=37,
        excludes=frozenset(("tally:numbers", "lines:numbered_steps", "detectable_format:multiple_sections")),
        forbids=True,
        draw=lambda rng, drawing: {},
        repair=_repair_digits,
        words=lambda params: {},
        examples=(Example({}, "I have seven hats.", ("I have 7 hats.", "1. Hats")),),
    ),
)

TYPES: tuple[ConstraintType, ...] = (*_OPENING, *_LINES, *_TALLY, *_LIPOGRAM)
