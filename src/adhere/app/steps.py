"""`adhere synth` and `adhere evaluate`: one method over sealed inputs, in a run folder.

`out/` holds what went in (`seeds.jsonl`, or `data` with the suffix of the user's file) and what came out: `rows.jsonl`
and `dropped.jsonl` of synth; `replies.jsonl`, `report.json` and `report.txt` of evaluate. `bill.json` has what it cost.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from adhere.app.accounts import Account, Bill, beside_plan, chosen_price, read_bill, write_bill
from adhere.app.asking import Watched
from adhere.app.bounds import check_settings
from adhere.app.caching import is_worth_caching, through_cache
from adhere.app.display import TerminalProgress, one_line, say
from adhere.app.output import check_file, encoded, print_json, tell_outcome, write_lines, write_rows
from adhere.app.session import (
    MODEL_INPUTS,
    begin_run,
    model_inputs,
    model_of,
    plan_of,
    read_rows,
    released,
    sealed_input,
    sealed_seeds,
    verb_of,
    working,
)
from adhere.core.cleaning import clean
from adhere.core.errors import EXIT_FINE, DataError, SettingsError, StoreError
from adhere.core.executor import Executor
from adhere.core.model import Generates
from adhere.core.record import Record
from adhere.core.settings import fill
from adhere.core.step import Dropped, divided
from adhere.methods.calling import SIGNATURES, refuse_unmet
from adhere.methods.catalogue import entry, load
from adhere.store.files import explained, file_hash
from adhere.store.run import Plan, Run, is_finished

VERBS = ("synth", "evaluate")
T = TypeVar("T")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a plan: which method, its settings as resolved, what decides the draws, how many, how much."""

    method: str
    settings: dict[str, Any]
    seed: int
    limit: int | None
    budget: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """Where the user wants the rows: `output` as it was written, seen from the folder `place`; None is stdout.

    It is kept in `run.json` beside the plan, since it changes no result.
    """

    output: str | None
    place: str

    @property
    def path(self) -> Path | None:
        """The file, as short as it was written where that still means the same."""
        if self.output is None:
            return None
        return Path(self.output) if Path.cwd() == Path(self.place) else Path(self.place) / self.output


def method_with(name: str, arrow: str, values: Mapping[str, Any], where: str) -> tuple[ModuleType, Any]:
    """The module of a method and its settings, refused where they make no sense."""
    module = load(entry(name, arrow))
    if arrow == "synth":
        refuse_unmet(module, arrow, SIGNATURES[arrow])
    settings = fill(module.Settings, values, where)
    check_settings(settings, where)
    return module, settings


# -- begin ----------------------------------------------------------------------------------------------------


def begin_synth(settings: Any, records: Sequence[Record], model: Generates, options: Mapping[str, Any]) -> int:
    """`adhere synth`: seal the records, make rows of them, and hand these over."""
    return _begin("synth", settings, model, options, {"seeds.jsonl": b"".join(encoded(records))})


def begin_evaluate(settings: Any, model: Generates, options: Mapping[str, Any]) -> int:
    """`adhere evaluate`: seal the data file, where there is one, grade the model on it, and tell the report."""
    given: Path | None = options["data"]
    if given is None:
        return _begin("evaluate", settings, model, options, {})
    try:
        content = given.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {given}: {error.strerror}", "Check the path given with --data.") from None
    suffix = given.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", given.suffix) else ""
    return _begin("evaluate", settings, model, options, {f"data{suffix}": content})


def _begin(verb: str, settings: Any, model: Generates, options: Mapping[str, Any], sealed: Mapping[str, bytes]) -> int:
    """Make the run folder and work. A folder in which nothing was asked yet goes away with a refused input."""
    output: Path | None = options["output"]
    step = Step(
        entry(options["method"], verb).name,
        dataclasses.asdict(settings),
        options["seed"],
        options["limit"],
        options["budget"] or "",
    )
    price = chosen_price(options["prices"], step.budget, options["model_name"], model.name)
    inputs = model_inputs(options["model_name"], model)
    inputs |= {Path(name).stem: hashlib.sha256(content).hexdigest() for name, content in sealed.items()}
    delivery = Delivery(None if output is None else str(output), str(Path.cwd()))
    run = begin_run(
        options["runs_folder"],
        Plan(verb, msgspec.to_builtins(step), inputs),
        {name: [content] for name, content in sealed.items()},
        {"delivery": msgspec.to_builtins(delivery), **beside_plan(price)},
    )
    try:
        return _work(run, step, delivery, model, options["as_json"], not options["no_cache"])
    except (SettingsError, DataError) as error:
        if options.get("data") is not None:  # the user knows the file by its own name
            copy = _sealed(run.folder, "data")
            error.message = error.message.replace(str(copy), str(options["data"]))
        if not run.has_asked:
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


# -- go on ----------------------------------------------------------------------------------------------------


def go_on(folder: Path, as_json: bool, use_cache: bool, executor: Executor | None = None) -> int:
    """`adhere resume` for these verbs: walk the path again, asking only for what is missing."""
    verb = verb_of(folder)
    roles = {"seeds"} if verb == "synth" else set()
    plan = plan_of(folder, verb, _step_of, MODEL_INPUTS | roles)
    model = model_of(plan, executor)
    for role in ("seeds", "data"):
        if role in plan.inputs and file_hash(_sealed(folder, role)) != plan.inputs[role]:
            raise StoreError(
                f"{_sealed(folder, role)} is not what this run began with",
                "Bring the old file back, or delete the folder and start again.",
            )
    run = Run.open(folder)
    with released(run):
        delivery = _delivery_of(run)
        check_file(delivery.path)
    return _work(run, _step_of(plan), delivery, model, as_json, use_cache)


def _step_of(plan: Plan) -> Step:
    """The settings of a plan, whose method and values are known here."""
    step = msgspec.convert(plan.settings, Step)
    method_with(step.method, plan.verb, step.settings, "the run's plan")
    return step


def _delivery_of(run: Run) -> Delivery:
    try:
        return msgspec.convert(run.about.get("delivery"), Delivery)
    except msgspec.ValidationError as error:
        raise StoreError(
            f"{run.folder / 'run.json'} does not say where its rows go: {error}", "Delete the folder and start again."
        ) from None


def _sealed(folder: Path, role: str) -> Path:
    found = sorted((folder / "out").glob(f"{role}*"))
    return sealed_input(folder, found[0].name if found else role, role)


# -- work -----------------------------------------------------------------------------------------------------


def _work(run: Run, step: Step, delivery: Delivery, model: Generates, as_json: bool, use_cache: bool) -> int:
    with released(run):
        account = Account(run, step.budget)
    work = _synthesise if run.plan.verb == "synth" else _evaluate
    with through_cache(account.metered(model), use_cache and is_worth_caching(model)) as asked:
        return work(account, step, delivery.path, Watched(account.remembered(asked)), as_json)


def _synthesise(account: Account, step: Step, output: Path | None, model: Watched, as_json: bool) -> int:
    run = account.run
    module, settings = method_with(step.method, "synth", step.settings, "the run's plan")
    with working(run):
        out = run.folder / "out"
        if run.is_sealed("rows.jsonl") and run.is_sealed("dropped.jsonl"):  # cut short while handing over
            kept, dropped = read_rows(out / "rows.jsonl", Record), read_rows(out / "dropped.jsonl", Dropped)
        else:
            with account.at("synth"), TerminalProgress() as progress:
                kept, dropped = divided(module.synth(sealed_seeds(run.folder), model, settings, step.seed, progress))
            model.refuse_silence()
            model.tell()
            run.seal("rows.jsonl", encoded(kept))
            run.seal("dropped.jsonl", encoded(dropped))
        if output is not None:
            write_rows(output, kept, dropped)
        bill = _billed(account, step, len(kept))
        run.finish()
    if output is None:
        write_rows(None, kept, dropped)
    if as_json:
        print_json(_counts(kept, dropped, output, bill))
    return tell_outcome(output, kept, dropped, False, run.folder / "out" / "dropped.jsonl")


def _counts(kept: Sequence[object], dropped: Sequence[object], output: Path | None, bill: Bill) -> dict[str, Any]:
    """The documented object of `adhere synth --json`."""
    told = {"kept": len(kept), "dropped": len(dropped), "output": None if output is None else str(output)}
    return {**told, "cost": bill.for_json()}


def _billed(account: Account, step: Step, rows: int) -> Bill:
    """What the run cost, kept in its folder and told on stderr."""
    verb = account.run.plan.verb
    bill = account.bill({verb: step.method}, rows, (verb,))
    write_bill(bill, account.run.folder)
    for line in bill.in_words():
        say(line)
    return bill


def _evaluate(account: Account, step: Step, output: Path | None, model: Watched, as_json: bool) -> int:
    run = account.run
    module, settings = method_with(step.method, "evaluate", step.settings, "the run's plan")
    with working(run):
        data = _sealed(run.folder, "data") if "data" in run.plan.inputs else None
        try:
            with account.at("evaluate"), TerminalProgress() as progress:
                report = module.evaluate(model, settings, data, step.seed, step.limit, progress)
        except DataError:
            model.refuse_silence()  # nothing can be said about a model that said nothing
            raise
        model.refuse_silence()
        model.tell()
        rows = encoded(report.rows)
        run.seal("replies.jsonl", rows)
        run.seal("report.txt", [f"{report.in_words()}\n".encode("utf-8", "replace")])
        run.seal("report.json", [msgspec.json.encode(report.as_json()), b"\n"])
        if output is not None:
            write_lines(output, rows)
        bill = _billed(account, step, 0)
        run.finish()
    if as_json:
        print_json({**report.as_json(), "cost": bill.for_json()})
    else:
        print(report.in_words())
    return EXIT_FINE


# -- what a run found -----------------------------------------------------------------------------------------


def tell_stored(folder: Path, as_json: bool) -> int:
    """`adhere report` for these verbs: the stored report of evaluate, the counts of synth."""
    out = folder / "out"
    if not is_finished(folder):
        raise DataError(f"the run in {folder} has no result yet", f"Go on with it: adhere resume {folder}")
    bill = read_bill(folder)
    if verb_of(folder) == "synth":
        _tell_counts(out, bill, as_json)
    elif as_json:
        print_json({**_stored(out / "report.json", dict[str, Any]), "cost": bill.for_json()})
    else:
        with explained(out / "report.txt"):
            print(clean((out / "report.txt").read_text(encoding="utf-8", errors="replace")).rstrip("\n"))
    for line in [] if as_json else bill.in_words():
        print(clean(line))
    return EXIT_FINE


def _tell_counts(out: Path, bill: Bill, as_json: bool) -> None:
    kept = _lines(out / "rows.jsonl")
    dropped = [_decoded(line, out / "dropped.jsonl", Dropped) for line in _lines(out / "dropped.jsonl")]
    if as_json:
        print_json(_counts(kept, dropped, out / "rows.jsonl", bill))
        return
    print(f"{len(kept)} rows kept, {len(dropped)} dropped: {out / 'rows.jsonl'}")
    for reason, number in Counter(one_line(row.reason, 100) for row in dropped).most_common(8):
        print(f"{number:7} x {reason}")


def _lines(path: Path) -> list[bytes]:
    with explained(path):
        return path.read_bytes().splitlines()


def _stored(path: Path, kind: type[T]) -> T:
    with explained(path):
        return _decoded(path.read_bytes(), path, kind)


def _decoded(data: bytes, path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read: {error}", "The run folder is damaged; run the command again."
        ) from None
