"""Drawing instances of tasks with one right answer, and the steps of sums and chains."""

from __future__ import annotations

import random
import reprlib
from collections.abc import Callable, Sequence
from typing import Any

from adhere.core.errors import VerifierError
from adhere.verify import formal

_MOST_STEPS = 50
_LARGEST = 10**12
_LETTERS = "abcdefghkmnprstuwxz"
_ITEM_LIST = """
apple arrow badge barrel bottle bucket candle carpet chalk cradle curtain daisy drawer drum engine fable feather
flute garden goblet hammer harbour helmet island jacket kettle ladder lantern lemon magnet meadow mirror needle
nutmeg orchard paddle parrot pepper pillow quilt rabbit ribbon saddle scarf shovel spoon table thimble tunnel
umbrella valley violin wagon walnut window yarn
"""
_ITEMS = tuple(_ITEM_LIST.split())
_LIKED = ("a delight", "charming", "better than I had hoped", "a pleasure", "wonderful", "worth every minute")
_DISLIKED = ("a let-down", "dreadful", "worse than I had feared", "a waste of time", "dull", "far too expensive")
_RATED = ("The meal was", "The journey was", "I found the play", "The hotel turned out to be", "The lessons were")
_ANIMALS = ("heron", "badger", "lizard", "salmon", "beetle", "otter", "falcon", "donkey", "lobster", "hedgehog")
_PLANTS = ("fern", "willow", "clover", "cactus", "thistle", "birch", "tulip", "bamboo", "lavender", "poppy")
_ASKED = ("Is the shop open on Monday", "Does the train stop here", "Can the cat swim", "Will it snow in the hills")
_TOLD = ("The shop is open on Monday", "The train stops here", "The cat can swim", "It will snow in the hills")
_NEUTRAL = (("foo", "bar"), ("blue", "green"), ("left", "right"), ("north", "south"), ("zig", "zag"), ("tea", "salt"))

_TOPICS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "opinion": (("the opinion is positive", "positive"), ("the opinion is negative", "negative")),
    "parity": (("the number is even", "even"), ("the number is odd", "odd")),
    "nature": (("it is an animal", "animal"), ("it is a plant", "plant")),
    "mood": (("it is a question", "question"), ("it is a statement", "statement")),
}

_OPERATIONS: dict[str, tuple[Callable[[int, int], int], str]] = {
    "add": (lambda value, by: value + by, "add {n}"),
    "subtract": (lambda value, by: value - by, "subtract {n}"),
    "multiply": (lambda value, by: value * by, "multiply by {n}"),
}


def _string(rng: random.Random, letters: str, low: int, high: int) -> str:
    return "".join(rng.choice(letters) for _ in range(rng.randint(low, high)))


def draw_rule(rng: random.Random, letters: str = _LETTERS) -> tuple[str, str]:
    """A rewriting rule: one to three letters become up to three others."""
    find = _string(rng, letters, 1, 3)
    while True:
        put = _string(rng, letters, 0 if len(find) > 1 else 1, 3)
        if put != find:
            return find, put


def draw_string(rng: random.Random, find: str, occurs: bool, letters: str = _LETTERS) -> str:
    """A string of 5 to 14 letters in which `find` occurs, once to three times if chance adds none, or does not."""
    while True:
        string = _string(rng, letters, 5, 11)
        for _ in range(rng.randint(1, 3) if occurs else 0):
            at = rng.randint(0, len(string))
            string = string[:at] + find + string[at:]
        if (find in string) == occurs:
            return string[:14] if find in string[:14] or not occurs else string


def draw_rewriting(rng: random.Random) -> dict[str, Any]:
    """One rule and a string, which in a quarter of the cases the rule does not fit."""
    find, put = draw_rule(rng)
    return {"find": find, "put": put, "string": draw_string(rng, find, rng.random() >= 0.25)}


def draw_rules(rng: random.Random) -> dict[str, Any]:
    """Two to four rules over few letters, so that one feeds the next, and a string."""
    letters = "".join(rng.sample(_LETTERS, 4))
    while True:
        rules = [draw_rule(rng, letters) for _ in range(rng.randint(2, 4))]
        string = _string(rng, letters, 5, 9)
        if all(formal.rewritten_in_order(string, rules[: at + 1]) for at in range(len(rules))):
            return {"rules": [list(rule) for rule in rules], "string": string}


def draw_membership(rng: random.Random, pattern: str | None = None) -> dict[str, Any]:
    """A pattern (a new one unless given) and a string of it or, as often, a near one that is not."""
    while True:
        chosen = pattern or formal.random_pattern(rng)
        found = formal.language(chosen)
        wanted = rng.random() < 0.5
        for _ in range(12):
            length = rng.randint(1, 10)
            string = found.sample(rng, length) if wanted else found.outside(rng, length, "ab")
            if string:
                return {"pattern": chosen, "string": string}
        if pattern:  # it holds all strings, or none of these lengths: what it has must do
            return {"pattern": chosen, "string": _string(rng, "ab", 1, 10)}


def draw_generate(rng: random.Random) -> dict[str, Any]:
    """A pattern and a length that some of its strings have."""
    while True:
        pattern = formal.random_pattern(rng)
        found = formal.language(pattern)
        lengths = [length for length in range(2, 13) if found.has_length(length)]
        if lengths:
            return {"pattern": pattern, "length": rng.choice(lengths)}


def labels_for(topic: str, style: str, words: tuple[str, str]) -> list[list[str]]:
    """The classes of a topic with label words in a style; `words` are the neutral ones."""
    (first, first_word), (second, second_word) = _TOPICS[topic]
    chosen = {
        "natural": (first_word, second_word),
        "neutral": words,
        "flipped": (second_word, first_word),
    }[style]
    return [[first, chosen[0]], [second, chosen[1]]]


def draw_text(rng: random.Random) -> tuple[str, str, str]:
    """A topic, a text, and the class of the text."""
    topic, first = rng.choice(tuple(_TOPICS)), rng.random() < 0.5
    if topic == "parity":
        text = str(2 * rng.randint(2, 499) + (not first))
    elif topic == "nature":
        text = rng.choice(_ANIMALS if first else _PLANTS)
    elif topic == "mood":  # no mark at the end: it would give the answer away
        text = rng.choice(_ASKED if first else _TOLD)
    else:
        text = f"{rng.choice(_RATED)} {rng.choice(_LIKED if first else _DISLIKED)}."
    return topic, text, _TOPICS[topic][0 if first else 1][0]


def draw_label(rng: random.Random) -> dict[str, Any]:
    """A text to classify, with natural, neutral or flipped label words."""
    topic, text, gold = draw_text(rng)
    style = rng.choice(("natural", "neutral", "flipped"))
    return {"text": text, "labels": labels_for(topic, style, rng.choice(_NEUTRAL)), "gold": gold, "style": style}


def draw_labels_in_all_styles(rng: random.Random) -> list[dict[str, Any]]:
    """The same text three times: with natural, neutral and flipped label words."""
    topic, text, gold = draw_text(rng)
    words = rng.choice(_NEUTRAL)
    return [
        {"text": text, "labels": labels_for(topic, style, words), "gold": gold, "style": style}
        for style in ("natural", "neutral", "flipped")
    ]


def draw_count_items(rng: random.Random) -> dict[str, Any]:
    """A list of words and a letter that one to four of them begin with."""
    letter = rng.choice("bcdhlmprstw")
    starting = [item for item in _ITEMS if item.startswith(letter)]
    others = [item for item in _ITEMS if not item.startswith(letter)]
    items = rng.sample(starting, rng.randint(1, min(4, len(starting)))) + rng.sample(others, rng.randint(3, 7))
    rng.shuffle(items)
    return {"items": items, "letter": letter}


def draw_count_letter(rng: random.Random) -> dict[str, Any]:
    """A string over few letters, and one of them."""
    letters = "".join(rng.sample(_LETTERS, 4))
    string = _string(rng, letters, 6, 16)
    return {"string": string, "letter": rng.choice(string)}


def draw_total(rng: random.Random) -> dict[str, Any]:
    """Two to six numbers below 100."""
    return {"numbers": [rng.randint(2, 99) for _ in range(rng.randint(2, 6))]}


def draw_steps(rng: random.Random) -> dict[str, Any]:
    """A number and two to four operations on it."""
    steps: list[list[Any]] = []
    for _ in range(rng.randint(2, 4)):
        name = rng.choice(tuple(_OPERATIONS))
        steps.append([name, rng.randint(2, 5) if name == "multiply" else rng.randint(2, 30)])
    return {"start": rng.randint(1, 20), "steps": steps}


def draw_chain(rng: random.Random) -> dict[str, Any]:
    """A chain of sums, or of changes to a string, with the result after every step."""
    if rng.random() < 0.5:
        drawn = draw_steps(rng)
        values = stepped(drawn["start"], drawn["steps"])
        said = [_sentence(step) for step in drawn["steps"]]
        said[0] = f"Take the number {drawn['start']} and {said[0][0].lower()}{said[0][1:]}"
        return {"steps": said, "gold": [str(value) for value in values], "task": "math"}
    drawn = draw_rules(rng)
    string, said, gold = drawn["string"], [], []
    for find, put in drawn["rules"]:
        string = formal.rewritten_once(string, (find, put))
        said.append(f'Replace the first "{find}" by "{put}", if there is one.')
        gold.append(string)
    said[0] = f'In the string "{drawn["string"]}", {said[0][0].lower()}{said[0][1:]}'
    return {"steps": said, "gold": gold, "task": "text"}


def stepped(start: int, steps: Sequence[Any]) -> list[int]:
    """The number after each of the steps, which are pairs of an operation and a whole number."""
    if not 1 <= len(steps) <= _MOST_STEPS:
        raise VerifierError(f"expected 1 to {_MOST_STEPS} steps, found {len(steps)}")
    values, value = [], start
    for step in steps:
        name, by = _operation(step)
        value = _OPERATIONS[name][0](value, by)
        values.append(value)
    if abs(start) > _LARGEST:
        raise VerifierError(f"expected a start of at most {_LARGEST}, found a larger one")
    return values


def _operation(step: Any) -> tuple[str, int]:
    if isinstance(step, list | tuple) and len(step) == 2:
        name, by = step
        sound = isinstance(by, int) and not isinstance(by, bool) and abs(by) <= _LARGEST
        if sound and isinstance(name, str) and name in _OPERATIONS:
            return name, by
    raise VerifierError(
        f"expected a step such as ['add', 3], found {reprlib.repr(step)}", f"Operations: {', '.join(_OPERATIONS)}."
    )


def step_words(steps: Sequence[Any]) -> str:
    """The steps in words: "add 3, then multiply by 2"."""
    return ", then ".join(_OPERATIONS[name][1].format(n=by) for name, by in map(_operation, steps))


def _sentence(step: Any) -> str:
    name, by = _operation(step)
    said = _OPERATIONS[name][1].format(n=by)
    return said[0].upper() + said[1:] + "."
