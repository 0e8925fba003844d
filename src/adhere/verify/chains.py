"""Chains of instructions that depend on each other, drawn by rule, with the true state after each of them.

Four kinds, those of SIFo (Chen et al. 2024, arXiv 2406.19999): changing a text, arithmetic, questions about facts that
are revised on the way, and commands under a rule of who may do what. A step is a function of the state, so that the
answer is known after any of the steps, in whatever order, and with some of them left out.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from adhere.core.errors import VerifierError

WORDS = (
    "lamp", "river", "stone", "paper", "cloud", "garden", "bread", "window", "boat", "winter", "bell", "horse",
    "candle", "forest", "ladder", "pepper", "silver", "ticket", "violin", "hammer",
)  # fmt: skip
MOST_STEPS = 12  # a text that grows by a word each step still finds new ones
NAMES = ("Anna", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo")
TOWNS = ("Oslo", "Lima", "Cairo", "Quito", "Dublin", "Tunis", "Riga", "Kyoto")


@dataclass(frozen=True)
class State:
    """What a chain works on: words in a line or a box, a number, who has what, and what was answered last."""

    words: tuple[str, ...] = ()
    number: int = 0
    held: tuple[tuple[str, str], ...] = ()
    named: str = ""


@dataclass(frozen=True)
class Step:
    """An instruction in words, and what it makes of a state."""

    said: str
    apply: Callable[[State], State]


@dataclass(frozen=True)
class Drawn:
    """A chain: its kind, the state that it begins with, and its steps."""

    kind: str
    begun: State
    steps: tuple[Step, ...]

    def after(self, steps: Sequence[Step]) -> State:
        """The state after these steps."""
        return functools.reduce(lambda state, step: step.apply(state), steps, self.begun)

    def answer(self, steps: Sequence[Step]) -> str:
        """The right answer after these steps; empty where nothing was asked yet."""
        return KINDS[self.kind].shown(self.after(steps))


@dataclass(frozen=True)
class Kind:
    """How chains of a kind begin, tell their state, go on and answer, and how answers are compared."""

    begin: Callable[[random.Random], State]
    given: Callable[[State], str]
    draw: Callable[[random.Random, State], Step]
    shown: Callable[[State], str]
    task: str


def _draw_text(rng: random.Random, state: State) -> Step:
    old, fresh = rng.choice(state.words), rng.choice([one for one in WORDS if one not in state.words])
    how = rng.choice(("replace", "insert", "delete") if len(state.words) > 3 else ("replace", "insert"))
    said, put = {
        "replace": (f'Replace the word "{old}" by "{fresh}".', (fresh,)),
        "insert": (f'Put the word "{fresh}" before the word "{old}".', (fresh, old)),
        "delete": (f'Delete the word "{old}".', ()),
    }[how]

    def apply(now: State) -> State:
        return replace(now, words=tuple(new for one in now.words for new in (put if one == old else (one,))))

    return Step(f"{said} Write the whole new text.", apply)


def _draw_number(rng: random.Random, state: State) -> Step:
    by, times = rng.randint(2, 9), rng.randint(2, 4)
    how = rng.choice(("add", "multiply", "subtract") if state.number > by else ("add", "multiply"))
    said, factor, more = {
        "add": (f"Add {by} to the number.", 1, by),
        "multiply": (f"Multiply the number by {times}.", times, 0),
        "subtract": (f"Subtract {by} from the number.", 1, -by),
    }[how]
    return Step(said, lambda now: replace(now, number=now.number * factor + more))


def _draw_facts(rng: random.Random, state: State) -> Step:
    """A question first, then revisions of the facts that name the answer before and ask again."""
    who = rng.choice(sorted(name for name, _ in state.held))
    if not state.named:
        return Step(f"In which town does {who} live?", lambda now: replace(now, named=dict(now.held)[who]))
    other = rng.choice([town for town in TOWNS if town not in dict(state.held).values()])

    def apply(now: State) -> State:
        held = {name: other if town == now.named else town for name, town in now.held}
        return replace(now, held=tuple(held.items()), named=held[who])

    said = f"Whoever lives in the town named last moves to {other}. In which town does {who} live now?"
    return Step(said, apply)


def _draw_rules(rng: random.Random, state: State) -> Step:
    who, right = rng.choice(state.held)
    fresh = rng.choice([word for word in WORDS if word not in state.words])
    said = f'{who} tries to add the word "{fresh}". Which words are in the box now?'
    return Step(said, lambda now: replace(now, words=(*now.words, fresh)) if right else now)


def _given_facts(state: State) -> str:
    facts = " ".join(f"{name} lives in {town}." for name, town in state.held)
    return facts + (f" The town named last is {state.named}." if state.named else "")


def _given_rules(state: State) -> str:
    may = " and ".join(name for name, right in state.held if right)
    return f"The box holds: {' '.join(state.words)}. Only {may} may put words into it; anybody else changes nothing."


def _begin_rules(rng: random.Random) -> State:
    held = tuple((name, "may" * (at < 2)) for at, name in enumerate(rng.sample(NAMES, 4)))
    return State(words=(rng.choice(WORDS),), held=held)


KINDS = {
    "text": Kind(
        lambda rng: State(words=tuple(rng.sample(WORDS, rng.randint(4, 6)))),
        lambda state: f"Text: {' '.join(state.words)}", _draw_text, lambda state: " ".join(state.words), "text",
    ),
    "number": Kind(
        lambda rng: State(number=rng.randint(2, 12)),
        lambda state: f"The number is {state.number}.", _draw_number, lambda state: str(state.number), "math",
    ),
    "facts": Kind(
        lambda rng: State(held=tuple(zip(rng.sample(NAMES, 4), rng.sample(TOWNS, 4), strict=True))),
        _given_facts, _draw_facts, lambda state: state.named, "answer",
    ),
    "rules": Kind(_begin_rules, _given_rules, _draw_rules, lambda state: " ".join(state.words), "answer"),
}  # fmt: skip


def drawn(count: int, fewest: int, most: int, seed: int) -> list[Drawn]:
    """`count` chains, of the four kinds in turn; a longer list begins with a shorter one."""
    if not 1 <= fewest <= most <= MOST_STEPS:
        raise VerifierError(
            f"expected 1 <= fewest <= most <= {MOST_STEPS}, found {fewest} and {most}", "For example fewest=3 most=6."
        )
    found = []
    for at in range(count):
        rng, kind = random.Random(f"{seed}/{at}"), tuple(KINDS)[at % len(KINDS)]
        chain = Drawn(kind, KINDS[kind].begin(rng), ())
        for _ in range(rng.randint(fewest, most)):
            step = KINDS[kind].draw(rng, chain.after(chain.steps))
            chain = replace(chain, steps=(*chain.steps, step))
        found.append(chain)
    return found


def options(chain: Drawn, count: int, wrong: int, rng: random.Random) -> list[str]:
    """The right answer after the first `count` steps, then `wrong` (at most three) different wrong ones.

    Wrong is what comes out when one of the steps, drawn at random, is carried out as another one. A step left out would
    be a wrong answer of another kind at each depth: after a single step it is the given text word for word, which is
    never among the wrong ones.
    """
    steps = chain.steps[:count]
    right = chain.answer(steps)
    taken = [right, chain.answer(())]
    while len(taken) < wrong + 2:
        at = rng.randrange(count)
        other = KINDS[chain.kind].draw(rng, chain.after(steps[:at]))
        answer = chain.answer((*steps[:at], other, *steps[at + 1 :]))
        taken += [answer] if answer and answer not in taken else []
    return [right, *taken[2:]]
