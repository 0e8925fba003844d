"""InstructMining: rank rows by a linear rule over plain indicators that was fitted to the loss after tuning.

Paper: Cao, Kang, Wang, Sun, "Instruction Mining: Instruction Data Selection for Tuning Large Language Models" (arXiv
2307.06290), first version of July 2023 and third of 2024, which revised the rule. No code was released.

The idea in five lines:
1. The quality of a set of rows is the loss that a model tuned on it has on a held-out set.
2. Finding that loss means tuning; indicators of the rows are cheap: lengths, reward, perplexity, diversity, wording.
3. Tune on many subsets of mixed quality; fit log loss = c0 + sum of c_i * (mean of indicator i over the subset).
4. The rule needs no tuning any more: rows with the lowest predicted loss are kept.
5. How many to keep is a search of its own, for more rows are not always better.

What the paper says: version 1: log L ~ 1.0694 - 0.1498 rew + 8.257e-5 len - 0.9350 knn6; version 3: log L ~ 0.0274 -
0.0078 rew + 0.4421 und - 0.3212 nat - 0.1520 coh. (Both as others quote them; that
`und` raises the loss is as published, and the constants rank nothing.) There rew is a reward model's score
(oasst-rm-pythia), nat, coh and und are UniEval's answers as a dialogue judge, knn6 the distance to the sixth neighbour
among MiniLM's embeddings, len the tokens of the reply. 129 tunings of LLaMA-7B, least squares.
What we do: `rule` is v3, v1, or coefficients such as "len=0.001 rew=-0.2", which `fit` gives. Indicators, with `prompt`
(length as len: words and marks), `nll` (mean loss of the reply) and `mtld` (lexical diversity), are of the row and the
model given: UniEval's form, P(yes) / (P(yes) + P(no)), is asked of that model in words of ours, and rew is the log odds
of the yes to "is it good?". A row's own numbers in notes["indicators"] (from the paper's judges) go first.
Published coefficients with our indicators are an approximation: refit. `fit` has a ridge on standardised indicators,
because we tune a dozen times, not 129. knn6 needs a model that embeds. The proof fits the rule to the loss on replies
to one half of the held-out prompts and judges it by those to the other half.
Left out: BlendSearch for the number of rows; `limit` and `keep` say it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adhere.core.errors import DataError, SettingsError
from adhere.core.method import Card
from adhere.core.model import Embeds, Scores
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, user
from adhere.core.step import Dropped
from adhere.data.ranking import kept_highest
from adhere.verify.text import words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Keep rows of lowest predicted loss, by a linear rule over indicators fitted to tunings.",
    version="1",
    family="selection",
    paper="arXiv:2307.06290",
    seed=159,
    needs=("Scores",),
    claim="Tuning on the rows that a refitted rule ranks first leaves a lower held-out loss than on as many at random.",
    metric="loss on held-out replies, nats per token",
    relation="lower",
)
RULES: dict[str, dict[str, float]] = {
    "v1": {"rew": -0.1498, "len": 8.257e-5, "knn6": -0.9350},
    "v3": {"rew": -0.0078, "und": 0.4421, "nat": -0.3212, "coh": -0.1520},
}
INDICATORS = ("len", "prompt", "nll", "mtld", "rew", "und", "nat", "coh", "knn6")
ASKED = {
    "rew": "Is this a good and helpful answer to the request?",
    "und": "Is this answer easy to understand?",
    "nat": "Does this answer sound natural, like something that a person would say?",
    "coh": "Does this answer go together with the request?",
}
QUESTION = "Request: {request}\n\nAnswer: {reply}\n\n{question} Reply with Yes or No."
ENOUGH = 24  # held-out replies that the proof wants to fit the rule, and to judge it
FITTED = ("len", "nll", "mtld", "rew", "nat", "coh")
MTLD_SHARE = 0.72  # of different words, where a factor ends (McCarthy and Jarvis 2010)


@dataclass(frozen=True)
class Settings:
    """What is kept.

    `rule` is v1, v3 (of the paper's versions) or coefficients by indicator, "len=0.001 rew=-0.2"; `limit` rows are
    kept, or at 0 the share `keep` (0.025 is the paper's 2,532 of 100,000, section 5).
    """

    rule: str = "v3"
    limit: int = 0
    keep: float = 0.025


def coefficients(rule: str) -> dict[str, float]:
    """The rule by indicator. Raises `SettingsError` for what is none."""
    if rule in RULES:
        return RULES[rule]
    try:
        found = {name: float(value) for name, value in (one.split("=") for one in rule.split())}
    except ValueError:
        found = {}
    if not found or not set(found) <= set(INDICATORS) or not all(map(math.isfinite, found.values())):
        raise SettingsError(
            f"expected rule v1, v3 or coefficients of {', '.join(INDICATORS)}, found {rule!r}", 'rule="len=0.001"'
        )
    return found


def mtld(text: str) -> float:
    """Mean length of runs of words that keep the share of different ones above 0.72, of both directions."""
    said = [one.lower() for one in words(text)]

    def one_way(sequence: Sequence[str]) -> float:
        factors, seen, count = 0.0, set[str](), 0
        for word in sequence:
            seen.add(word)
            count += 1
            if len(seen) / count <= MTLD_SHARE:
                factors, seen, count = factors + 1, set(), 0
        factors += (1 - len(seen) / count) / (1 - MTLD_SHARE) if count else 0.0
        return len(sequence) / factors if factors else float(len(sequence))

    return (one_way(said) + one_way(said[::-1])) / 2


def indicators(rows: Sequence[Record], names: Sequence[str], model: Any) -> list[dict[str, float]]:
    """The named indicators of each row, which has a reply; numbers in notes["indicators"] are taken as they are."""
    found: list[dict[str, float]] = [{name: _noted(row, name) for name in names} for row in rows]
    for name in names:
        open_rows = [at for at in range(len(rows)) if math.isnan(found[at][name])]
        alone = rows if name == "knn6" else [rows[at] for at in open_rows]  # neighbours are sought among all rows
        values = _computed(name, alone, model) if open_rows else []
        for place, at in enumerate(open_rows):
            found[at][name] = values[at if name == "knn6" else place]
    return found


def _noted(row: Record, name: str) -> float:
    told = row.notes.get("indicators")
    value = told.get(name) if isinstance(told, Mapping) else None
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if known and value is not None else math.nan


def _computed(name: str, rows: Sequence[Record], model: Any) -> list[float]:
    if name in ASKED:
        told = [{"request": one.instruction, "reply": one.reply, "question": ASKED[name]} for one in rows]
        asked = [(user(QUESTION.format(**one)),) for one in told]
        said = [model.score([(prompt, word) for prompt in asked]) for word in ("Yes", "No")]
        odds = [yes.logprob - no.logprob for yes, no in zip(*said, strict=True)]
        return odds if name == "rew" else [1 / (1 + math.exp(-max(-700.0, one))) for one in odds]
    if name == "nll":
        return [-one.mean for one in model.score([(row.prompt, row.reply or "") for row in rows])]
    if name == "knn6":
        return _neighbours([f"{one.instruction}\n{one.reply}" for one in rows], model)
    if name == "mtld":
        return [mtld(row.reply or "") for row in rows]
    texts = [row.reply or "" if name == "len" else row.instruction for row in rows]
    return [float(len(re.findall(r"\w+|[^\w\s]", one))) for one in texts]


def _neighbours(texts: Sequence[str], model: Any, nth: int = 6) -> list[float]:
    """Euclidean distance of each text to its sixth neighbour among the others, or to the last where they are fewer."""
    import numpy as np

    if not isinstance(model, Embeds):
        raise SettingsError(f"the indicator knn6 embeds, and {model.name} does not", "rule=v3")
    rows, found = model.embed(texts), list[float]()
    for start in range(0, len(rows), 512):
        near = np.clip(2 - 2 * rows[start : start + 512] @ rows.T, 0, None)
        at = min(nth, len(rows) - 1)  # 0 is the text itself
        found += np.sqrt(np.partition(near, at, axis=1)[:, at]).tolist()
    return found


def fit(means: Sequence[Mapping[str, float]], losses: Sequence[float], ridge: float = 1.0) -> str:
    """A rule, as `Settings.rule` takes it, from the mean indicators of subsets and the losses after tuning on them.

    Least squares of log loss on standardised indicators with a ridge; indicators that do not vary are left out.
    """
    import numpy as np

    if len(means) != len(losses) or len(means) < 3 or not all(loss > 0 for loss in losses):
        raise SettingsError(f"expected three tunings or more with losses above 0, found {len(means)}", "Tune on more.")
    columns = {name: np.array([one[name] for one in means]) for name in means[0]}
    names = [name for name, values in columns.items() if values.std() > 1e-12]
    if not names:
        raise SettingsError("expected subsets that differ in an indicator, found none", "Mix rows of several sources.")
    spread = np.stack([columns[name] / columns[name].std() for name in names], axis=1)
    spread = spread - spread.mean(0)
    wanted = np.log(losses) - np.mean(np.log(losses))
    found = np.linalg.solve(spread.T @ spread + ridge * np.eye(len(names)), spread.T @ wanted)
    return " ".join(f"{name}={value / columns[name].std():.6g}" for name, value in zip(names, found, strict=True))


def select(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent, *, model: Scores
) -> Iterator[Record | Dropped]:
    """The rows of lowest predicted loss, in their order; the others with the reason."""
    rule = coefficients(settings.rule)
    able = [at for at, one in enumerate(records) if (one.reply or "").strip()]
    progress("score", 0, len(records))
    told = indicators([records[at] for at in able], tuple(rule), model) if able else []
    progress("score", len(records), len(records))
    scores: list[float | str] = ["no reply"] * len(records)
    for at, one in zip(able, told, strict=True):
        scores[at] = -sum(weight * one[name] for name, weight in rule.items())
    yield from kept_highest(
        records, scores, settings.limit, settings.keep, "rule: predicted gain below that of those kept"
    )


def prove(lab: Lab) -> Proof:
    """Twelve tunings on mixed subsets fit the rule; then 24 rows by it against 24 at random, on unseen sound replies.

    A third of the candidates has the reply to another instruction, so that there are qualities to tell apart. The
    losses that fit the rule are of replies to other prompts than those that judge it.
    """
    from adhere.core.step import divided
    from adhere.evals.lab import Outcome, by_seed
    from adhere.evals.subsets import drawn, losses, losses_after

    fitting, judging, least = _heldout(lab)
    rows = lab.rows(160, keep=lambda row: row.tokens <= 96 and row.finish == "stop")
    others = [*rows[len(rows) // 2 :], *rows[: len(rows) // 2]]  # far enough to be another prompt's
    candidates = [one if at % 3 else one.with_reply(others[at].reply or "") for at, one in enumerate(rows)]
    swapped = frozenset(candidates[at].id for at in range(0, len(rows), 3))
    half, count = len(candidates) // 2, lab.count(24)
    with lab.at("treated"):
        mixed = {n: _mixture(candidates[:half], swapped, count, n) for n in range(lab.count(12))}
        means = [_means(one, lab.model) for one in mixed.values()]
        fitted = [losses(lab.tuned(one, "mixed", n), fitting) for n, one in mixed.items()]
        rule = fit(means, [sum(one) / len(one) for one in fitted])
        kept, _ = divided(select(candidates[half:], Settings(rule=rule, limit=count), model=lab.model))  # type: ignore[arg-type]
        treated = losses_after(lab, "chosen", lambda _: kept, judging)
    with lab.at("base"):
        random_rows = {n: drawn(candidates[half:], count, n) for n in lab.seeds}
        base = losses_after(lab, "random", lambda n: random_rows[n], judging)
    untuned = losses(lab.model, judging)
    units = [one.instruction for one in judging] * len(lab.seeds)  # replies to one prompt are not independent
    numbers: dict[str, float] = {f"rule {name}": value for name, value in coefficients(rule).items()}
    wrong = sum(one.id in swapped for one in kept)
    numbers |= {"kept": len(kept), "swapped among kept": wrong, "least share followed, held out": least}
    numbers |= {"held-out replies that fit": len(fitting), "held-out replies that judge": len(judging)}
    numbers["not tuned"] = sum(untuned) / len(untuned)
    numbers["words a row, kept"] = _words(kept)
    numbers["words a row, drawn"] = sum(map(_words, random_rows.values())) / len(random_rows)
    numbers |= by_seed([n for n in lab.seeds for _ in judging], base, treated)
    names = ("drawn at random", "ranked by the refitted rule")
    remark = "The model's own replies, a third of them swapped; twelve tunings on other rows fit the rule, not 129."
    outcome = Outcome(base, treated, units, names, unit="held-out prompts", numbers=numbers, remark=remark)
    return lab.proof("instruct-mining", CARD, outcome)


def _words(rows: Sequence[Record]) -> float:
    return sum(len((one.reply or "").split()) for one in rows) / max(1, len(rows))


def _heldout(lab: Lab) -> tuple[list[Record], list[Record], float]:
    """Sound replies to held-out prompts, those that fit the rule and those that judge it: no prompt is in both.

    They follow all their constraints; where that leaves too few on one of the two sides, at least half of them, and
    where that does too, any share. Gives also that least share. Raises `DataError` where a side is empty.
    """
    from adhere.evals.grade import followed, sound
    from adhere.evals.subsets import SHORT

    bench = lab.probe(120)
    graded = lab.grade(lab.model, bench, SHORT, lab.seeds)
    places = {one.id: at for at, one in enumerate(bench.records)}
    whole = [one for one in graded.rows if sound(one) == 1.0]
    found: list[list[Record]] = [[], []]
    least = 1.0
    for least in (1.0, 0.5, 0.0):
        good = graded.rows if lab.smoke else [one for one in whole if (followed(one) or 0.0) >= least]
        found = [[], []]
        for one in good:
            at = places[one.record]
            found[at % 2].append(bench.records[at].with_reply(one.reply))
        if lab.smoke or min(map(len, found)) >= ENOUGH:
            break
    if not all(found):
        raise DataError(f"expected held-out replies to fit and to judge, found {len(found[0])} and {len(found[1])}")
    return found[0], found[1], least


def _mixture(rows: Sequence[Record], swapped: frozenset[str], count: int, seed: int) -> list[Record]:
    """`count` rows by `seed`, of which none, a quarter, a half or three quarters have another instruction's reply."""
    from adhere.evals.subsets import drawn

    wrong = drawn([one for one in rows if one.id in swapped], count * (seed % 4) // 4, seed)
    return [*wrong, *drawn([one for one in rows if one.id not in swapped], count - len(wrong), seed)]


def _means(rows: Sequence[Record], model: Any) -> dict[str, float]:
    told = indicators(rows, FITTED, model)
    return {name: sum(one[name] for one in told) / max(1, len(told)) for name in FITTED}
