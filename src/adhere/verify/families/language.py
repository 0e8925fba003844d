"""IFEval's language constraint: the whole reply in one given language.

The faithful reading counts a reply without letters as followed and gives capitals to the detector as they are, which
it has hardly seen and often takes for German. The mended one fails a reply without letters, and lowers the letters of
a reply that has no small ones before it asks.
"""

from __future__ import annotations

import random
from typing import Any

from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, passed
from adhere.verify.languages import LANGUAGE_NAMES
from adhere.verify.text import language_of

# What a small model trained mostly on English has seen most of; the others are drawn only where the instruction asks.
_NEARER = ("de", "it", "pt")
_SHARE_DRAWN = 0.05
_NOT_IN_IFEVAL = ("en", "es", "fr", "ja", "pl", "uk")
# What langdetect 1.0.9 can answer; a test compares.
_CODES = (
    "af ar bg bn ca cs cy da de el en es et fa fi fr gu he hi hr hu id it ja kn ko lt lv mk ml mr ne nl no pa pl pt ro "
    "ru sk sl so sq sv sw ta te th tl tr uk ur vi zh-cn zh-tw"
)
_FOR_DRAWING = tuple(code for code in LANGUAGE_NAMES if code not in _NOT_IN_IFEVAL)


def _verify(params: Params, reply: str) -> Verdict:
    found = language_of(reply)
    return _judged(params, found) if found else passed("no letters to tell a language from", vacuous=True)


def _mended(params: Params, reply: str) -> Verdict:
    found = language_of(reply.lower() if reply.isupper() else reply)
    return _judged(params, found) if found else failed("no letters to tell a language from")


def _judged(params: Params, found: str) -> Verdict:
    said = f"the reply is {_name(found)}, wanted {_name(params['language'])}"
    return passed(said) if found == params["language"] else failed(said)


def _name(code: str) -> str:
    return LANGUAGE_NAMES.get(code, f"language {code!r}")


def _draw(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    asked = [code for code in _FOR_DRAWING if LANGUAGE_NAMES[code].lower() in drawing.instruction.lower()]
    if asked:
        return {"language": rng.choice(asked)}
    if rng.random() >= _SHARE_DRAWN:
        return None
    return {"language": rng.choice(_NEARER if rng.random() < 0.8 else _FOR_DRAWING)}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="language:response_language",
        family="language",
        parameters={"language": str},
        phrasings=(
            "Write your entire response in {language}.",
            "Your answer should be in {language} only.",
            "Answer in {language}.",
            "Make sure the whole reply is in {language}, with no other language used.",
            "Please respond in the {language} language.",
            "Use {language} for everything you write.",
            "Only {language} is allowed in your response.",
            "The response must be written completely in {language}.",
            "Reply in {language} from beginning to end.",
            "Give me the answer in {language}.",
            "Do not use any language other than {language}.",
            "I need this in {language}.",
            "Language of the reply: {language}.",
            "Could you answer in {language}?",
            "The answer should be given in {language}.",
            "If you were about to answer in another language, switch to {language}.",
            "{language} only, please.",
        ),
        heldout_phrasings=(
            "My readers understand nothing but {language}, so keep to it from start to finish.",
            "Each sentence you write should be a {language} one.",
            "It has to be {language} throughout, not a word of anything else.",
            "Pretend that you are talking to someone who only speaks {language}.",
        ),
        verify=_verify,
        mended=_mended,
        allowed={"language": tuple(_CODES.split())},
        rank=0,
        excludes=frozenset(
            (
                "keywords",
                "change_case",
                "lipogram",
                "detectable_format:multiple_sections",
                "startend:end_checker",
                "opening:first_word",
                "opening:first_phrase",
                "opening:first_sentence_question",
            )
        ),
        draw=_draw,
        words=lambda params: {"language": _name(params["language"])},
        examples=(
            Example(
                {"language": "de"},
                "Der Zug fährt jeden Morgen um acht Uhr ab, und die Reise dauert ungefähr zwei Stunden.",
                (
                    "The train leaves every morning at eight, and the journey takes about two hours.",
                    "De trein vertrekt elke ochtend om acht uur en de reis duurt ongeveer twee uur.",
                ),
            ),
            Example(
                {"language": "it"},
                "Il treno parte ogni mattina alle otto e il viaggio dura circa due ore.",
                (
                    "El tren sale cada mañana a las ocho y el viaje dura unas dos horas.",
                    "The train leaves every morning at eight and the journey takes about two hours.",
                ),
            ),
        ),
    ),
)
