"""R-Tuning: teach a model to say when it is unsure, on the questions that it gets wrong by itself.

Paper: Zhang, Diao, Lin, Fung, Lian, Wang, Chen, Ji, Zhang, "R-Tuning: Instructing Large Language Models to Say 'I Don't
Know'", NAACL 2024 (arXiv 2311.09677), sections 3 and 4; code: shizhediao/R-Tuning.

The idea in five lines:
1. Tuning on facts that a model does not hold teaches it to make them up.
2. Ask it the training questions first: what it answers as the data do it knows, the rest it does not.
3. After the data's answer comes a question, whether it is sure of it, and the statement that it is, or is not.
4. Tune on answers and statements together.
5. Asked for an answer and then whether it is sure, the model holds back where it does not know, on new questions too.

What the paper says: as above, likelihood on answer and statement; tuned models are asked the same way, the probability
of "sure" against "unsure" is their certainty; average precision of right answers ranked by confidence, accuracy on the
questions that they answer willingly; against tuning on the same questions and answers alone. What its code does: greedy
answers of 15 tokens up to the first full stop, known when they contain the data's answer; R-Tuning-U instead
calls the half with the lower entropy over 5 sampled answers known. What we do: greedy answers, their first line, known
when the words of the data's answer stand in it in order. In the form of a chat the statement is a turn of its own, so
each question gives two rows: the answer, and the statement after it. Our wording.
Average precision is one number per model; the claim here is per question, so that it can be paired. Left out:
R-Tuning-U, refusals in place of answers, the average of certainty and answer probability.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adhere.core.errors import DataError, ModelError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Sampling, Scores, Trains, replies
from adhere.core.progress import Progress, silent
from adhere.core.proof import Shown
from adhere.core.record import Message, Record, assistant, user
from adhere.models.draws import answering
from adhere.training.schedule import TuneSettings
from adhere.verify.text import words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.adapt import Tuned

CARD = Card(
    summary="Tune a model to say that it is unsure on questions that it gets wrong itself.",
    version="1",
    family="tuning",
    paper="arXiv:2311.09677",
    seed=217,
    needs=("Generates", "Trains"),
    builds_on=("sft",),
    claim="After R-Tuning the surest answers are right more often than after tuning on the answers alone.",
    metric="share of questions on which the side's surest answers, as many as it has right, are the right ones",
)
MADE_BY = "r-tuning@1"
ASK_SURE = "Are you sure that this is right, going by what you know?"
SURE, UNSURE = "I am sure.", "I am unsure."
CAPITALS = (
    "France Paris, Italy Rome, Spain Madrid, Portugal Lisbon, Germany Berlin, Austria Vienna, Hungary Budapest, Poland "
    "Warsaw, Norway Oslo, Sweden Stockholm, Finland Helsinki, Denmark Copenhagen, Greece Athens, Turkey Ankara, Russia "
    "Moscow, Ireland Dublin, Belgium Brussels, Romania Bucharest, Bulgaria Sofia, Croatia Zagreb, Latvia Riga, Estonia "
    "Tallinn, Albania Tirana, Egypt Cairo, Kenya Nairobi, Ghana Accra, Mali Bamako, Niger Niamey, Uganda Kampala, "
    "Zambia Lusaka, Malawi Lilongwe, Togo Lome, Benin Porto-Novo, Angola Luanda, Japan Tokyo, China Beijing, Thailand "
    "Bangkok, Vietnam Hanoi, Laos Vientiane, Nepal Kathmandu, Bhutan Thimphu, Iran Tehran, Iraq Baghdad, Jordan Amman, "
    "Oman Muscat, Canada Ottawa, Cuba Havana, Peru Lima, Chile Santiago, Uruguay Montevideo, Paraguay Asuncion, "
    "Ecuador Quito, Suriname Paramaribo, Fiji Suva, Samoa Apia, Tuvalu Funafuti, Senegal Dakar, Slovenia Ljubljana"
)


@dataclass(frozen=True)
class Settings(TuneSettings):
    """Numbers of asking and training.

    The model's own answers have at most `max_tokens` (15 in the code). Beside them the numbers of every tuning
    (`TuneSettings`).
    """

    max_tokens: int = 24


def knows(answer: str, said: str) -> bool:
    """Whether the words of an answer stand, in order and side by side, in the first line of what was said."""
    first = said.strip().split("\n")[0]
    wanted, found = _plain(answer), _plain(first)
    return bool(wanted) and any(found[at : at + len(wanted)] == wanted for at in range(len(found)))


def _plain(text: str) -> list[str]:
    return [word.lower() for word in words(re.sub(r"(?<=\d),(?=\d{3})", "", text))]


def answers(model: Generates, asked: Sequence[tuple[Message, ...]], max_tokens: int) -> list[str | None]:
    """The model's greedy answers; None where none came."""
    found = replies(model, [Ask(one, Sampling(max_tokens)) for one in asked])
    return [None if one.finish == "error" else one.text.strip() for one in found]


def doubted(question: Sequence[Message], answer: str) -> tuple[Message, ...]:
    """The dialogue up to where the model has to say whether it is sure of its answer."""
    return (*question, assistant(answer), user(ASK_SURE))


def sureness(model: Generates, questions: Sequence[tuple[Message, ...]], said: Sequence[str]) -> list[float]:
    """The probability of saying "sure" rather than "unsure" after each answer."""
    if not isinstance(model, Scores):
        raise ModelError(f"{model.name} gives no log-probabilities", "Use a local model.")
    asked = [doubted(one, answer) for one, answer in zip(questions, said, strict=True)]
    scored = model.score([(one, statement) for one in asked for statement in (SURE, UNSURE)])
    gaps = [scored[at + 1].logprob - scored[at].logprob for at in range(0, len(scored), 2)]
    return [1 / (1 + math.exp(min(gap, 700))) for gap in gaps]


def rows_of(records: Sequence[Record], said: Sequence[str | None]) -> list[Record]:
    """Two rows for each question that the model answered: the data's answer, and whether it is sure of it."""
    found = []
    for one, own in ((one, own) for one, own in zip(records, said, strict=True) if own is not None):
        is_known = knows(one.reply or "", own)
        plain = one.derive(MADE_BY, checks=(), rejected=None).noted(known=is_known)
        stated = msgspec.structs.replace(plain, messages=doubted(one.prompt, one.reply or ""))
        found += [plain, stated.with_reply(SURE if is_known else UNSURE)]
    return found


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on questions, answers and whether it knew them; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_records
    from adhere.training.losses import Nll

    asked = [one for one in records if one.reply]
    if not asked:
        raise DataError(f"r-tuning needs questions with answers, found none among {len(records)} rows")
    said = answers(answering(model, "r-tuning"), [one.prompt for one in asked], settings.max_tokens)
    rows = rows_of(asked, said)
    progress("tune: known", sum(one.reply == SURE for one in rows), len(asked))
    encoded = encode_records(rows, ChatTokenizer(model.weights), settings.max_length)
    objective = Objective("r-tuning", encoded, Nll(), settings.schedule(seed))
    return adapt(model, objective, place, progress, should_stop)


def questions() -> list[Record]:
    """Questions of the experiment in a fixed order: capitals, and sums and products from easy to out of reach."""
    draw = random.Random("r-tuning/1")
    pairs = [tuple(one.strip().rsplit(" ", 1)) for one in CAPITALS.split(",")]
    found = [(f"What is the capital of {country}? Answer with the city only.", city) for country, city in pairs]
    for at in range(100):
        one, other = (draw.randint(10 ** (at % 4) if at % 4 else 1, 10 ** (at % 4 + 1) - 1) for _ in "ab")
        sign, result = ("+", one + other) if at % 5 else ("*", one * other)
        found.append((f"What is {one} {sign} {other}? Answer with the number only.", str(result)))
    draw.shuffle(found)
    return [Record((user(question),)).with_reply(answer) for question, answer in dict(found).items()]


def average_precision(right: Sequence[bool], confidence: Sequence[float]) -> float:
    """The mean, over the right answers, of the share of right ones among those at least as confidently given."""
    order = sorted(range(len(right)), key=lambda at: -confidence[at])
    precisions, hits = [], 0
    for rank, at in enumerate(order, 1):
        hits += right[at]
        precisions += [hits / rank] if right[at] else []
    return sum(precisions) / len(precisions) if precisions else 0.0


def prove(lab: Lab) -> Proof:
    """Tuning on the answers alone against R-Tuning on the same questions; both asked whether they are sure."""
    from adhere.evals.lab import Outcome
    from adhere.methods.tune import sft

    rows = questions()
    train, test = rows[: lab.count(90)], rows[90 : 90 + lab.count(60)]
    with lab.at("base"):
        plain = lab.tune_each("answers", lambda place, n: sft.tune(lab.trainable, train, place, sft.Settings(), n))
        base = [_examined(one.model, test) for one in plain]
    with lab.at("treated"):
        made = lab.tune_each("r-tuning", lambda place, n: tune(lab.trainable, train, place, Settings(), n))
        treated = [_examined(one.model, test) for one in made]
    before, after = ([one for part in side for one in part] for side in (base, treated))
    asked = test * len(lab.seeds)
    outcome = Outcome(
        [one.fits for one in before],
        [one.fits for one in after],
        [one.id for one in asked],
        ("tuned on the answers", "R-Tuning"),
        unit="questions",
        examples=tuple(
            Shown(row.instruction, one.told, other.told, one.fits, other.fits)
            for row, one, other in zip(asked, before, after, strict=True)
            if one.fits != other.fits
        ),
        numbers={**_numbers("answers", before), **_numbers("r-tuning", after)},
        remark="Capitals, sums and products; questions of the test are of the same kinds as those tuned on.",
    )
    return lab.proof("r-tuning", CARD, outcome)


class Examined(msgspec.Struct, frozen=True):
    """An answer with its statement, whether it is right, how sure the model is, and whether the two go together."""

    told: str
    is_right: bool
    sure: float
    fits: float  # 1.0 where right and among the surest, or wrong and not


def _examined(model: Generates, test: Sequence[Record]) -> list[Examined]:
    asked = [one.prompt for one in test]
    said = [one or "" for one in answers(model, asked, Settings().max_tokens)]
    sure = sureness(model, asked, said)
    right = [knows(one.reply or "", own) for one, own in zip(test, said, strict=True)]
    # As many are called sure as are right, so that to call all sure, or none, gains nothing.
    order = sorted(range(len(right)), key=lambda at: -sure[at])
    surest = frozenset(order[: sum(right)])
    return [
        Examined(f"{own} {SURE if p > 0.5 else UNSURE}", is_right, p, float((at in surest) is is_right))
        for at, (own, p, is_right) in enumerate(zip(said, sure, right, strict=True))
    ]


def _numbers(name: str, found: Sequence[Examined]) -> dict[str, float]:
    willing = [one for one in found if one.sure > 0.5]
    right = [one.is_right for one in found]
    values = {
        "right": sum(right) / len(found),
        "sure": len(willing) / len(found),
        "right where sure": sum(one.is_right for one in willing) / max(len(willing), 1),
        "average precision": average_precision(right, [one.sure for one in found]),
    }
    return {f"{key}, {name}": round(value, 4) for key, value in values.items()}
