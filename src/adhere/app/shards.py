"""`--shard-rows R`: files that do not fit in memory, worked through in shards of R rows by any number of workers.

The driver cuts the file as it reads it, hands out shards, journals which are finished, and at the end joins their
outputs in order, a block at a time. What it keeps in memory is one line for each finished shard. How many workers there
are changes nothing but the time; where the cuts are is part of the plan.

```
runs/2026-11-20-synth-3fa9c1/
├── run.json, journal.jsonl     the plan, and one line for each finished shard
├── shards/000000/              a run of its own: run.json, journal.jsonl, out/
└── out/                        rows.jsonl, dropped.jsonl, rejected.jsonl: all shards, joined
```
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from adhere.app.accounts import Account, Bill, beside_plan, chosen_price, read_bill, write_bill
from adhere.app.asking import open_generator
from adhere.app.display import TerminalProgress, say
from adhere.app.output import TOLD, beside, check_file, print_json, tell_rejected, write_lines
from adhere.app.session import MODEL_INPUTS, begin_run, model_inputs, model_of, plan_of, released, working
from adhere.app.shard import (
    COUNTED,
    DROPPED,
    OUTPUTS,
    REJECTED,
    ROWS,
    Counted,
    ShardDone,
    Sharded,
    ShardJob,
    work_shard,
)
from adhere.app.steps import Delivery, method_with
from adhere.core.errors import EXIT_FINE, EXIT_NOT_MET, DataError, SettingsError, StoreError
from adhere.core.executor import Executor, OneProcess
from adhere.core.model import Generates
from adhere.data.pieces import cut
from adhere.data.read import ROW_FORMS, RejectedRow
from adhere.evals.judging import FloorSample, Judging, Tally, nothing_good
from adhere.methods.catalogue import entries, entry
from adhere.models.budget import Spent
from adhere.models.distributed import Opening, anywhere
from adhere.store.files import explained, file_hash
from adhere.store.run import Plan, Run, is_finished, read_about

BLOCK = 1 << 20
_BESIDE = "source"  # in run.json: where the rows were read from, as an absolute path


class Job(msgspec.Struct, frozen=True):
    """A sharded run at work: its folder, plan, rows, where they go, and the model of synth."""

    run: Run
    how: Sharded
    source: Path
    delivery: Delivery
    model: Generates | None


# -- begin ----------------------------------------------------------------------------------------------------------


def begin(verb: str, source: Path | None, settings: Any, options: Mapping[str, Any], executor: Executor | None) -> int:
    """`adhere synth`, `select` or `verify` with `--shard-rows`. `settings` are the method's, or how to judge.

    Raises `SettingsError` for a method that looks at more than one record at a time, and for rows that cannot be read
    a second time.
    """
    if source is None or str(source) == "-":
        raise SettingsError("--shard-rows needs a file of rows", "A shard that is done again reads its rows again.")
    if options.get("budget") or options.get("dry_run"):
        raise SettingsError("a budget or a dry run goes without --shard-rows", "Limit the rows with: --limit N")
    method = _sharded_method(options["method"], verb) if verb != "verify" else ""
    if not source.is_file():
        raise DataError(f"no file at {source}", "Check the path.")
    values = msgspec.to_builtins(settings) if verb == "verify" else dataclasses.asdict(settings)
    how = Sharded(method, values, options.get("seed", 0), options["limit"], options["shard_rows"])
    model = open_generator(options["model_name"]) if verb == "synth" else None
    inputs = {} if model is None else model_inputs(options["model_name"], model)
    plan = Plan(verb, msgspec.to_builtins(how), {**inputs, "rows": file_hash(source)})
    output: Path | None = options["output"]
    delivery = Delivery(None if output is None else str(output), str(Path.cwd()))
    price = chosen_price(options["prices"], "", options["model_name"], model.name) if model is not None else None
    notes = {"delivery": msgspec.to_builtins(delivery), _BESIDE: str(source.absolute()), **beside_plan(price)}
    run = begin_run(options["runs_folder"], plan, {}, notes)
    job = Job(run, how, source, delivery, model)
    return _work(job, options["as_json"], not options.get("no_cache"), executor or OneProcess())


def _sharded_method(name: str, verb: str) -> str:
    """The method's name; a `SettingsError` where it needs to see all records."""
    found = entry(name, verb)
    if found.card.per_record:
        return found.name
    known = [one.name for one in entries() if one.arrow == verb and one.card.per_record]
    raise SettingsError(
        f"{found.name} looks at all records together, and cannot work on a file in shards",
        f"Methods that can: {', '.join(known)}. Without --shard-rows, {found.name} takes the whole file at once.",
    )


# -- go on ----------------------------------------------------------------------------------------------------------


def is_sharded(folder: Path) -> bool:
    """Whether the run in `folder` is worked through in shards."""
    settings = read_about(folder)["plan"].get("settings")
    return isinstance(settings, dict) and "shard_rows" in settings


def go_on(folder: Path, as_json: bool, use_cache: bool, executor: Executor | None = None) -> int:
    """`adhere resume`: do the shards that are left."""
    verb = read_about(folder)["plan"].get("verb", "")
    plan = plan_of(folder, verb, _how, frozenset({"rows"}) | (MODEL_INPUTS if verb == "synth" else frozenset()))
    model = model_of(plan) if verb == "synth" else None
    run = Run.open(folder)
    with released(run):
        source, delivery = _beside_plan(run)
        check_file(delivery.path)
        if not source.is_file() or file_hash(source) != plan.inputs["rows"]:
            raise StoreError(f"{source} is not what this run began with", "Bring the old file back to that place.")
    return _work(Job(run, _how(plan), source, delivery, model), as_json, use_cache, executor or OneProcess())


def _how(plan: Plan) -> Sharded:
    how = msgspec.convert(plan.settings, Sharded)
    if plan.verb == "verify":
        msgspec.convert(how.settings, Judging)
    else:
        method_with(how.method, plan.verb, how.settings, "the run's plan")
    return how


def _beside_plan(run: Run) -> tuple[Path, Delivery]:
    try:
        return Path(run.about[_BESIDE]), msgspec.convert(run.about.get("delivery"), Delivery)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise StoreError(
            f"{run.folder / 'run.json'} does not say where its rows are: {error}",
            "Delete the folder and start again.",
        ) from None


# -- work -----------------------------------------------------------------------------------------------------------


def _work(job: Job, as_json: bool, use_cache: bool, executor: Executor) -> int:
    run, verb = job.run, job.run.plan.verb
    with working(run):
        done = _finished(run)
        run.stage = verb
        jobs = _jobs(job, frozenset(done), use_cache)
        with TerminalProgress() as progress:
            rows = sum(one.kept + one.dropped for one in done.values())
            for _, one in executor.run(work_shard, jobs, named=_named):
                run.log("done", done=msgspec.to_builtins(one))
                done[one.number] = one
                rows += one.kept + one.dropped
                progress(f"{verb} {job.source.name}", rows)
        shards = [done[number] for number in sorted(done)]
        counted = _sum(run.folder, shards)
        for name in OUTPUTS:
            run.seal(name, _joined(run.folder, name, shards))
        _tell_rejected(job, shards)
        _hand_over(job)
        told = _told(job, shards, counted)
        run.seal("report.json", [msgspec.json.encode(told), b"\n"])
        bill = _billed(job, counted.spent, sum(one.kept for one in shards)) if verb == "synth" else Bill()
        run.finish()
    for one in shards:  # what they held is in out/ now; their journals stay
        shutil.rmtree(_folder(run.folder, one.number) / "out", ignore_errors=True)
    if as_json:
        print_json({**told, "cost": bill.for_json()} if verb == "synth" else told)
    return _verdict(job, counted, told)


def _finished(run: Run) -> dict[int, ShardDone]:
    """Shards that earlier sessions finished; a line that cannot be read is a shard to ask for again."""
    done = {}
    for line in run.logged("done"):
        with contextlib.suppress(msgspec.ValidationError):
            one = msgspec.convert(line.get("done"), ShardDone)
            done[one.number] = one
    return done


def _jobs(job: Job, done: frozenset[int], use_cache: bool) -> Iterator[ShardJob]:
    """The shards that are left, cut as they are asked for."""
    plan, opening = job.run.plan, None
    if job.model is not None:
        opening = Opening(anywhere(plan.inputs["model_name"]), job.model.fingerprint)
    before = job.source.stat()
    for piece in cut(job.source, job.how.shard_rows, job.how.limit):
        if piece.number not in done:
            folder = str(_folder(job.run.folder, piece.number).absolute())
            yield ShardJob(plan, folder, piece, opening, use_cache)
    after = job.source.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise StoreError(f"{job.source} was changed while it was read", "Start a new run with the file as it is now.")


def _folder(run: Path, number: int) -> Path:
    return run / "shards" / f"{number:06d}"


def _named(job: ShardJob) -> str:
    return f"shard {job.piece.number} (lines {job.piece.first} to {job.piece.last})"


def _joined(run: Path, name: str, shards: list[ShardDone]) -> Iterator[bytes]:
    """An output of all shards, in order and in blocks. Raises `StoreError` where one is not what its shard sealed."""
    for one in shards:
        path = _folder(run, one.number) / "out" / name
        found = hashlib.sha256()
        with explained(path), path.open("rb") as file:
            while block := file.read(BLOCK):
                found.update(block)
                yield block
        if found.hexdigest() != one.files.get(name):
            raise StoreError(f"{path} is not what its shard sealed", "Delete the folder and start again.")


def _sum(run: Path, shards: list[ShardDone]) -> Counted:
    """What the shards counted, added up one after the other."""
    total, sample = Counted(Spent(), Tally()), FloorSample()
    for one in shards:
        part = msgspec.json.decode(b"".join(_joined(run, COUNTED, [one])), type=Counted)
        total.tally.merge(part.tally)
        sample.merge(part.drawn, part.with_checks)
        for name in Spent.__struct_fields__:
            setattr(total.spent, name, getattr(total.spent, name) + getattr(part.spent, name))
    total.drawn, total.with_checks = tuple(sample.drawn), sample.seen
    return total


# -- what came of it ------------------------------------------------------------------------------------------------


def _hand_over(job: Job) -> None:
    """Copy the rows to where the user wants them, a block at a time."""
    out, output = job.run.folder / "out", job.delivery.path
    aside = beside(output)
    if aside is not None and job.run.plan.verb != "verify":
        write_lines(aside, _blocks(out / DROPPED))
    write_lines(output, _blocks(out / ROWS))


def _blocks(path: Path) -> Iterator[bytes]:
    with explained(path), path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _tell_rejected(job: Job, shards: list[ShardDone]) -> None:
    """Say which rows were set aside, the first few one by one; a `DataError` where no row was good."""
    count = sum(one.rejected for one in shards)
    path = job.run.folder / "out" / REJECTED
    with explained(path), path.open("rb") as file:
        first = [msgspec.json.decode(line, type=RejectedRow) for line, _ in zip(file, range(TOLD), strict=False)]
    if not sum(one.kept + one.dropped for one in shards):
        shutil.rmtree(job.run.folder, ignore_errors=True)  # there is nothing in it
        raise nothing_good(job.source, first, count, ROW_FORMS)
    tell_rejected(job.source, first, count, path)


def _told(job: Job, shards: list[ShardDone], counted: Counted) -> dict[str, Any]:
    """The object of `--json`, which `adhere report` tells again."""
    output = job.delivery.path
    counts = {name: sum(getattr(one, name) for one in shards) for name in ("kept", "dropped", "rejected")}
    told = {**counts, "shards": len(shards), "output": None if output is None else str(output)}
    if job.run.plan.verb != "verify":
        return told
    from adhere.app.verifying import tell_verdicts

    sample = FloorSample()
    sample.merge(counted.drawn, counted.with_checks)
    register = msgspec.convert(job.how.settings, Judging).register
    verdicts = tell_verdicts(counted.tally, sample, register, counts["rejected"])
    return {**verdicts, "shards": told["shards"], "output": told["output"]}


def _billed(job: Job, spent: Spent, rows: int) -> Bill:
    """What all shards cost together, kept in the run's folder and told on stderr."""
    account = Account(job.run)
    account.ledger.stages["synth"] = spent
    bill = account.bill({"synth": job.how.method}, rows, ("synth",))
    write_bill(bill, job.run.folder)
    for line in bill.in_words():
        say(line)
    return bill


def _verdict(job: Job, counted: Counted, told: Mapping[str, Any]) -> int:
    """Say what came out, and give the exit status."""
    if job.run.plan.verb == "verify":
        return EXIT_NOT_MET if counted.tally.failed else EXIT_FINE
    say(f"{told['kept']:,} rows kept, {told['dropped']:,} dropped, in {told['shards']:,} shards")
    if told["kept"]:
        return EXIT_FINE
    raise DataError("no row was kept", f"All reasons are in {job.run.folder / 'out' / DROPPED}.", EXIT_NOT_MET)


def tell_stored(folder: Path, as_json: bool) -> int:
    """`adhere report` for a sharded run: its counts and what it cost."""
    path = folder / "out" / "report.json"
    if not is_finished(folder):
        raise DataError(f"the run in {folder} has no result yet", f"Go on with it: adhere resume {folder}")
    with explained(path):
        told = msgspec.json.decode(path.read_bytes())
    bill = read_bill(folder)
    if as_json:
        print_json({**told, "cost": bill.for_json()} if bill.costs else told)
        return EXIT_FINE
    for name, value in told.items():
        if isinstance(value, int | str):
            print(f"{name.replace('_', ' '):11} {value:,}" if isinstance(value, int) else f"{name:11} {value}")
    for line in bill.in_words():
        print(line)
    return EXIT_FINE
