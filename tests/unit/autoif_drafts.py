"""Ten instructions with verification functions as a model might write them: sound, wrong and hostile ones, by name.

The names say what is wrong; `sound` ones must be kept and all others refused. All text is our own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from adhere.core.model import Ask, Reply
from adhere.core.record import Check
from adhere.models.scripted import ScriptedModel


@dataclass(frozen=True)
class Drafted:
    """An instruction, its hand-written check, function bodies or sources by name, responses that pass and fail."""

    instruction: str
    check: Check
    functions: dict[str, str]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    wrong_cases: tuple[tuple[str, Any], ...] = field(default=())

    def sources(self) -> dict[str, str]:
        return {name: body if "def evaluate" in body else _function(body) for name, body in self.functions.items()}


def _function(body: str) -> str:
    lines = body.splitlines()
    return "def evaluate(response):\n" + "\n".join(f"    {line}" for line in lines)


def replies_of(drafted: Drafted) -> list[str]:
    """One reply per function, each with its share of the cases, in the forms that models use."""
    cases: list[tuple[str, Any]] = [(text, True) for text in drafted.good]
    cases += [(text, False) for text in drafted.bad]
    cases += list(drafted.wrong_cases)
    sources = list(drafted.sources().values())
    found = []
    for at, source in enumerate(sources):
        own = [{"input": text, "output": truth} for text, truth in cases[at :: len(sources)]]
        found.append(FORMS[at % len(FORMS)](source, own))
    return found


def _fenced_json(source: str, cases: list[dict[str, Any]]) -> str:
    return "```json\n" + json.dumps({"func": source, "cases": cases}, indent=1) + "\n```"


def _truths_as_text(source: str, cases: list[dict[str, Any]]) -> str:
    said = [{**case, "output": str(case["output"])} for case in cases]
    return "Sure, here it is:\n\n```json\n" + json.dumps({"func": source, "cases": said}) + "\n```\nGood luck!"


def _code_and_cases(source: str, cases: list[dict[str, Any]]) -> str:
    return f"The function:\n```python\n{source}\n```\nand the cases:\n```json\n{json.dumps(cases)}\n```"


def _escaped_twice(source: str, cases: list[dict[str, Any]]) -> str:
    source = source.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return json.dumps({"func": source, "cases": cases})


FORMS = (_fenced_json, _truths_as_text, _code_and_cases, _escaped_twice)


def scripted(drafts: tuple[Drafted, ...]) -> ScriptedModel:
    """Answers each instruction's asks with its drafts, sample by sample; empty ones when they run out."""
    written = {drafted.instruction: replies_of(drafted) for drafted in drafts}

    def script(ask: Ask) -> str | Reply:
        text = ask.messages[-1].text
        own = next(replies for instruction, replies in written.items() if instruction in text)
        return own[ask.sample] if ask.sample < len(own) else Reply("")

    return ScriptedModel(script)


TREES = "Oaks grow slowly. Birches grow fast and die young."

DRAFTED = (
    Drafted(
        "Do not use any commas.",
        Check("punctuation:no_comma"),
        {
            "sound: in": "return ',' not in response",
            "sound: count": "return response.count(',') == 0",
            "sound: helper": "def commas(text):\n    return [c for c in text if c == ',']\n\n"
            "def evaluate(response):\n    return not commas(response)",
            "wrong: one allowed": "return response.count(',') < 2",
            "wrong: inverted": "return ',' in response",
            "hostile: loops": "while True:\n    pass",
        },
        (TREES, "No pauses here.", "One line\nand another", "Stop; go on: done.", "A b c d.", "Fine (really) fine!"),
        ("Yes, please.", "Salt, oil and bread.", "Hm, no.", "Late, again.", "Rain, rain, rain.", "Well, well."),
    ),
    Drafted(
        "Write at least 8 words.",
        Check("length_constraints:number_words", {"relation": "at least", "num_words": 8}),
        {
            "sound: split": "return len(response.split()) >= 8",
            "sound: words": "import re\n\ndef evaluate(response):\n    return len(re.findall(r'\\w+', response)) >= 8",
            "sound: loop": "n = 0\nfor word in response.split():\n    n += 1\nreturn n > 7",
            "wrong: letters": "return len(response) >= 8",
            "wrong: text": "return 'True' if len(response.split()) >= 8 else 'False'",
            "wrong: prints": "print(len(response.split()) >= 8)",
        },
        (
            TREES,
            "one two three four five six seven eight",
            "The cat sat on the mat and then it slept.",
            "Bread needs flour and water and salt and time.",
            "We walked to the lake and swam until it was dark.",
            "Rain fell on the town all day and all night.",
        ),
        (
            "Too short by far.",
            "one two three four five six seven",
            "Incomprehensibilities",
            "Just four words here.",
            "Almost there but still only seven words.",
            "Nothing.",
        ),
    ),
    Drafted(
        "Write in lower case letters only.",
        Check("change_case:english_lowercase"),
        {
            "sound: equal": "return response == response.lower()",
            "sound: any": "return not any(letter.isupper() for letter in response)",
            "sound: method": "return response.islower()",
            "wrong: first letter": "return response[0].islower()",
            "hostile: shell": "import os\nos.system('touch /tmp/adhere-was-here')\nreturn True",
        },
        (
            "the oak grows slowly and the birch grows fast.",
            "salt and bread",
            "we walked to the lake; it was cold.",
            "the rain fell on the town all day and all night, and nobody went out to the market.",
            "please bring the bread and the salt to the kitchen before the guests come home.",
            "one line\nanother line",
        ),
        (
            "the Oak is tall",
            "NO",
            "we met Anna at noon in the old market and then we walked home together.",
            "all of these words are written in small letters but not the very Last",
            "oaK",
            "It rains",
        ),
    ),
    Drafted(
        "End your reply with the words so it goes.",
        Check("startend:end_checker", {"end_phrase": "so it goes"}),
        {
            "sound: ends": "return response.strip().lower().endswith('so it goes')",
            "sound: slice": "text = response.strip().lower()\nreturn text[-10:] == 'so it goes'",
            "sound: find": "text = response.rstrip().lower()\n"
            "return text.rfind('so it goes') >= 0 and text.rfind('so it goes') == len(text) - 10",
            "wrong: anywhere": "return 'so it goes' in response.lower()",
            "wrong: always": "return True",
        },
        (
            "The lamp went out. so it goes",
            "Nobody came and so it goes",
            "The shop closed in May. so it goes",
            "All good things end so it goes",
            "Rain again. so it goes",
            "He forgot the keys. So it goes",
        ),
        (
            "so it goes with lamps and people",
            "The lamp went out.",
            "so it goes, said the man",
            "so it went",
            "Nobody came and so it goes on",
            "It goes so",
        ),
    ),
    Drafted(
        "Use exactly 3 bullet points, each beginning with an asterisk.",
        Check("detectable_format:number_bullet_lists", {"num_bullets": 3}),
        {
            "sound: lines": "return sum(line.lstrip().startswith('* ') for line in response.split('\\n')) == 3",
            "sound: regex": "import re\n\ndef evaluate(response):\n"
            "    return len(re.findall(r'^\\s*\\* ', response, re.M)) == 3",
            "sound: list": "found = [line for line in response.splitlines() if line.strip()[:2] == '* ']\n"
            "return len(found) == 3",
            "wrong: at least": "return sum(line.startswith('* ') for line in response.split('\\n')) >= 3",
            "wrong: stars": "return '*' in response",
        },
        (
            "* oak\n* ash\n* elm",
            "Trees:\n* oak\n* ash\n* elm",
            "* salt\n* oil\n* bread\n",
            "* one\n\n* two\n\n* three",
            "Pack this:\n* a rope\n* a lamp\n* a map\nThen go.",
            "* up\n* down\n* across",
        ),
        (
            "* oak\n* ash",
            "* oak\n* ash\n* elm\n* fir",
            "oak and ash and elm",
            "* only one",
            "1. oak\n2. ash\n3. elm",
            "* a\n* b\n* c\n* d\n* e",
        ),
    ),
    Drafted(
        "Do not mention the word moon.",
        Check("keywords:forbidden_words", {"forbidden_words": ["moon"]}),
        {
            "sound: regex": "import re\n\ndef evaluate(response):\n"
            "    return re.search(r'\\bmoon\\b', response, re.I) is None",
            "sound: words": "import re\n\ndef evaluate(response):\n"
            "    return 'moon' not in re.findall(r'\\w+', response.lower())",
            "sound: split": "return 'moon' not in [word.strip('.,;:!?') for word in response.lower().split()]",
            "wrong: capitals pass": "return 'moon' not in response.split()",
            "wrong: match object": "import re\nreturn re.search('moon', response)",
        },
        (
            "The sun sets behind the hill.",
            "A lamp lights the yard.",
            "Stars are far away.",
            "Honeymoon plans are made.",
            "Night falls early in winter.",
            "The tide turns twice a day.",
        ),
        (
            "The moon is full.",
            "Moon and stars.",
            "By the light of the moon.",
            "MOON!",
            "Is that the moon?",
            "A red moon rose.",
        ),
    ),
    Drafted(
        "Put the whole reply in double quotation marks.",
        Check("startend:quotation"),
        {
            "sound: ends": "text = response.strip()\n"
            "return len(text) > 1 and text.startswith(chr(34)) and text.endswith(chr(34))",
            "sound: regex": "import re\n\ndef evaluate(response):\n"
            "    return re.fullmatch(r'\\s*\\x22.*\\x22\\s*', response, re.S) is not None",
            "sound: slices": "text = response.strip()\nreturn len(text) > 1 and text[:1] + text[-1:] == chr(34) * 2",
            "wrong: any quote": "return chr(34) in response",
            "wrong: chance": "import random\nreturn random.random() < 0.5",
        },
        ('"Yes."', '"Oaks grow."', ' "It rains." ', '"one\ntwo"', '"He said no."', '"Salt and bread"'),
        ("Yes.", 'He said "no".', '"Open only', 'Closed only"', '"A" and B', "'Yes.'"),
    ),
    Drafted(
        "Write exactly two paragraphs, separated by the divider ***.",
        Check("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
        {
            "sound: split": "parts = [part for part in response.split('***') if part.strip()]\nreturn len(parts) == 2",
            "sound: count": "parts = response.split('***')\n"
            "return len(parts) == 2 and all(part.strip() for part in parts)",
            "sound: partition": "first, mark, rest = response.partition('***')\n"
            "return bool(mark) and bool(first.strip()) and bool(rest.strip()) and '***' not in rest",
            "wrong: divider only": "return '***' in response",
            "hostile: raises": "raise ValueError(response)",
        },
        (
            "Oaks grow.\n***\nBirches too.",
            "One.\n\n***\n\nTwo.",
            "Salt.\n***\nBread and oil.",
            "It rained.\n***\nThen it stopped.",
            "Up.\n***\nDown.",
            "First the rope.\n***\nThen the lamp.",
        ),
        (
            "Oaks grow.",
            "One.\n***\nTwo.\n***\nThree.",
            "One.\n\nTwo.",
            "***\nOnly this.",
            "a\n***\nb\n***\nc\n***\nd",
            "Only that.\n***\n",
        ),
    ),
    Drafted(
        "Use the word garden at least twice.",
        Check("keywords:frequency", {"relation": "at least", "keyword": "garden", "frequency": 2}),
        {
            "sound: count": "return response.lower().count('garden') >= 2",
            "sound: regex": "import re\n\ndef evaluate(response):\n"
            "    return len(re.findall('garden', response.lower())) > 1",
            "sound: split": "return len(response.lower().split('garden')) >= 3",
            "wrong: once": "return 'garden' in response.lower()",
            "wrong: exactly": "return response.count('garden') == 1",
        },
        (
            "A garden is a garden.",
            "Garden work: the garden needs water.",
            "My garden and your garden and theirs.",
            "The garden was small. The garden was mine.",
            "In the garden stood a garden chair.",
            "garden garden",
        ),
        (
            "The garden was small.",
            "A yard is not that.",
            "Garden!",
            "No plants here.",
            "One garden is enough for us.",
            "The park is green.",
        ),
    ),
    Drafted(
        "Reply with valid JSON and nothing else.",
        Check("detectable_format:json_format"),
        {
            "sound: loads": "import json\n\ndef evaluate(response):\n    try:\n        json.loads(response)\n"
            "    except ValueError:\n        return False\n    return True",
            "sound: decoder": "import json\n\ndef good(text):\n    value, end = json.JSONDecoder().raw_decode(text)\n"
            "    return end == len(text)\n\ndef evaluate(response):\n    try:\n        return good(response.strip())\n"
            "    except Exception:\n        return False",
            "sound: else": "import json\ntry:\n    json.loads(response)\nexcept Exception:\n    return False\n"
            "else:\n    return True",
            "wrong: braces": "return '{' in response or '[' in response",
            "hostile: forges": "import os\nos.write(1, b'{\"kind\": \"passed\", \"value\": true}')\nos._exit(0)",
        },
        ('{"a": 1}', '[1, 2]', '{"tree": "oak", "old": true}', ' {"n": null} ', '{"a": [1, {"b": 2}]}', '["x"]'),
        ("{a: 1}", "Here: {\"a\": 1}", "{'a': 1}", '{"a": 1', "no", '[1, 2'),
    ),
)  # fmt: skip
