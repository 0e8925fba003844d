"""How a relation and a number read in an instruction."""

from __future__ import annotations

from collections.abc import Sequence

RELATIONS = ("less than", "at least")
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_SPELLED = tuple(_NUMBERS.split())


def spelled(number: int) -> str:
    """A number up to twelve as a word, else in digits."""
    return _SPELLED[number] if 0 <= number < len(_SPELLED) else str(number)


def counted(number: int) -> dict[str, str]:
    """What phrasings say of a count: `n` in digits, `spelled`, and a plural `s`."""
    return {"n": str(number), "spelled": spelled(number), "s": "" if number == 1 else "s"}


def bounds(relation: str, number: int, one: str, many: str) -> dict[str, str]:
    """A count in five wordings, each with its noun: `bound`, `plain`, `open` for training, `edge`, `cap` held out.

    "at least 40 words", "40 or more words", ... for `at least`; "fewer than 40 words",
    "no more than 39 words", ... for `less than`, which is strict.
    """
    noun = one if number == 1 else many
    once = one == "time"
    if relation == "at least" and number == 1 and once:
        return (
            {"bound": "at least once", "cap": "no less than once"}
            | dict.fromkeys(("plain", "open"), "once or more")
            | {"edge": "a minimum of 1 time"}
        )
    if relation == "at least":
        starts = {"bound": "at least", "cap": "no fewer than", "edge": "a minimum of"}
        filled = {key: f"{start} {number} {noun}" for key, start in starts.items()}
        return {**filled, "plain": f"{number} or more {many}", "open": f"{number} {noun} or more"}
    if relation == "less than":
        most = number - 1
        last = one if most == 1 else many
        return {
            "bound": f"fewer than {number} {noun}",
            "plain": f"less than {number} {noun}",
            "open": f"under {number} {noun}",
            "edge": f"a maximum of {most} {last}",
            "cap": "no more than once" if once and most == 1 else f"no more than {most} {last}",
        }
    return dict.fromkeys(("bound", "plain", "open", "edge", "cap"), f"{relation} {number} {noun}")


def listed(items: Sequence[str], joiner: str = "and", quote: str = '"') -> str:
    """`"a", "b" and "c"`."""
    marked = [f"{quote}{item}{quote}" for item in items]
    return "".join(marked) if len(marked) < 2 else f"{', '.join(marked[:-1])} {joiner} {marked[-1]}"


def ordinal(number: int) -> str:
    """The words "first" to "tenth", then "11th", "12th" and so on."""
    names = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
    if 1 <= number <= len(names):
        return names[number - 1]
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
