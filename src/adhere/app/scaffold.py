"""`adhere new`: the file of a method and its test, which keep the contract from the first minute."""

from __future__ import annotations

import re
from pathlib import Path

from adhere.app.display import say
from adhere.app.output import print_json
from adhere.core.errors import EXIT_FINE, SettingsError, did_you_mean
from adhere.core.method import ARROWS
from adhere.methods.catalogue import entries
from adhere.store.files import write_atomically

_BODIES = {
    "synth": '''def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """The rows made of `records`: here each instruction with one reply of the model."""
    asks = [Ask(record.prompt, Sampling(settings.max_tokens, seed=seed)) for record in records]
    for position, reply in model.generate(asks):
        progress("synth", position + 1, len(asks))
        made = records[position].derive(MADE_BY)
        yield made.with_reply(reply.text) if reply.text.strip() else Dropped(made, "empty: no reply")
''',
    "select": '''def select(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """The rows worth training on: here those whose reply is not longer than `max_tokens` words."""
    for record in records:
        words = len((record.reply or "").split())
        yield record if 0 < words <= settings.max_tokens else Dropped(record, f"length: {words} words")
''',
    "steer": '''def steer(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Steered:
    """The model that answers in another way: here with replies of at most `max_tokens` tokens."""

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        shorter = [
            replace(ask, sampling=replace(ask.sampling, max_tokens=min(ask.sampling.max_tokens, settings.max_tokens)))
            for ask in asks
        ]
        yield from model.generate(shorter)

    return Steered(model, MADE_BY, [asdict(settings), seed], answer)
''',
    "tune": '''def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on the replies of `records`: here by their likelihood."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_records
    from adhere.training.losses import Nll

    encoded = encode_records(records, ChatTokenizer(model.weights), settings.max_length)
    return adapt(model, Objective("{name}", encoded, Nll(), settings.schedule(seed)), place, progress, should_stop)
''',
    "reward": '''def reward(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Rewarded:
    """A verifier learnt from `records`: here one that knows the mean length of their replies."""
    lengths = [len(record.reply.split()) for record in records if record.reply]
    return Rewarded(sum(lengths) / len(lengths) if lengths else float(settings.max_tokens))


class Rewarded(msgspec.Struct, frozen=True):
    """Passes replies that are not longer than twice the mean."""

    mean: float

    def verify(self, record: Record, reply: str) -> Verdict:
        """The verdict on a reply, with the number of words as the reason."""
        words = len(reply.split())
        passed = 0 < words <= 2 * self.mean
        return Verdict(passed, float(passed), f"{words} words, the mean is {self.mean:.0f}")
''',
}
_FAMILY = {
    "synth": "generation", "select": "selection", "steer": "decoding", "tune": "tuning", "reward": "rewards",
}  # fmt: skip
_NEEDS = {
    "synth": """from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Sampling
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.core.step import Dropped
""",
    "select": """from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adhere.core.method import Card
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.core.step import Dropped
""",
    "steer": """from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from msgspec.structs import replace

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.models.steered import Steered
""",
    "tune": """from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adhere.core.method import Card
from adhere.core.model import Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.training.schedule import TuneSettings

if TYPE_CHECKING:
    from adhere.training.adapt import Tuned
""",
    "reward": """from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from adhere.core.method import Card
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.core.verifier import Verdict
""",
}
_METHOD = '''"""{title}: say here in one line what it does.

Paper: authors, title, venue, and its arXiv number on the card.

The idea in five lines:
1. ...

What the paper says: ... What its released code does: ... What we do: ... Left out: ...
"""

from __future__ import annotations

{needs}
CARD = Card(
    summary="Say in one sentence what {name} does.",
    version="1",
    family="{family}",
{capability})
{made_by}

@dataclass(frozen=True)
class Settings{base}:
    """`max_tokens` is ... (say of each setting what it is, and where the paper has its value)."""

    max_tokens: int = 256


{body}'''
_TEST = '''"""{name} keeps the contract, and does what its paper says."""

from adhere.methods.{arrow} import {stem}
from adhere.methods.contract import check_method


def test_it_keeps_the_contract() -> None:
    check_method({stem})
'''


def new_command(arrow: str, name: str, into: Path, as_json: bool = False) -> int:
    """Write `src/adhere/methods/ARROW/NAME.py` and `tests/contract/test_NAME.py` below `into`; refuses what exists."""
    if arrow not in _BODIES:
        known = [one for one in ARROWS if one in _BODIES]
        raise SettingsError(f"no template for the arrow {arrow!r}", did_you_mean(arrow, known))
    stem = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,40}", stem):
        raise SettingsError(f"expected a name like my-idea, found {name!r}", "Lower-case letters, digits and hyphens.")
    if any(one.name == stem.replace("_", "-") for one in entries()):
        raise SettingsError(f"there is a method called {name} already", f"See: adhere show {name}")
    folder = into / "src" / "adhere" / "methods" / arrow
    if not folder.is_dir():
        raise SettingsError(f"{into} is no checkout of adhere: no {folder}", "Go there, or name it with --into.")
    method, test = folder / f"{stem}.py", into / "tests" / "contract" / f"test_{stem}.py"
    for path, text in ((method, _method(arrow, stem)), (test, _TEST.format(name=stem, arrow=arrow, stem=stem))):
        if path.exists():
            raise SettingsError(f"{path} exists", "Choose another name.")
        write_atomically(path, [text.encode()])
    if as_json:
        print_json({"method": str(method), "test": str(test)})
    else:
        print(method, test, sep="\n")
    say(f"Now write the idea, then: pytest {test}   and, once it states a claim: adhere prove {stem.replace('_', '-')}")
    return EXIT_FINE


def _method(arrow: str, stem: str) -> str:
    name = stem.replace("_", "-")
    capability = {"synth": "Generates", "steer": "Generates", "tune": "Trains"}.get(arrow)
    return _METHOD.format(
        title=name.replace("-", " ").capitalize(),
        name=name,
        needs=_NEEDS[arrow],
        family=_FAMILY[arrow],
        base="(TuneSettings)" if arrow == "tune" else "",
        capability=f'    needs=("{capability}",),\n' if capability else "",
        made_by=f'MADE_BY = f"{name}@{{CARD.version}}"\n' if arrow in ("synth", "steer") else "",
        body=_BODIES[arrow].replace("{name}", name),
    )
