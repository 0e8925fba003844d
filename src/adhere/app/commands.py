"""What each verb does. Functions return the exit code; errors are raised as `AdhereError`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from adhere.app.display import TerminalProgress, say
from adhere.app.output import (
    check_file,
    check_folder,
    print_json,
    tell_rejected,
    write_outcome,
)
from adhere.core.cleaning import clean
from adhere.core.errors import (
    EXIT_FINE,
    AdhereError,
    DataError,
    SettingsError,
    StoreError,
)
from adhere.core.record import Record, content_hash
from adhere.core.settings import parse_assignments
from adhere.core.step import divided

if TYPE_CHECKING:
    from adhere.core.model import Generates


def runs_command(runs_folder: Path, as_json: bool) -> int:
    """All runs of a folder, newest last, with their state."""
    from adhere.store.run import find_runs

    rows = [_run_row(folder) for folder in find_runs(runs_folder)]
    if as_json:
        print_json(rows)
    for row in [] if as_json else rows:
        print(f"{row['state']:11} {row['verb']:9} {row['created']:26} {row['folder']}")
    if not rows:
        say(f"No runs in {runs_folder}.")
    return EXIT_FINE


def _run_row(folder: Path) -> dict[str, str]:
    """What `adhere runs` tells about a run; a damaged folder is listed as such."""
    from adhere.store.run import is_finished, read_about

    try:
        about = read_about(folder)
        verb, created = str(about["plan"]["verb"]), str(about["created"])
        state = "finished" if is_finished(folder) else "unfinished"
    except (AdhereError, KeyError, TypeError):
        verb, created, state = "", "", "damaged"
    return {"folder": str(folder), "verb": clean(verb), "state": state, "created": clean(created)}


def report_command(folder: Path | None, runs_folder: Path, as_json: bool) -> int:
    """Write report.html of an improve run again; tell what a run of another verb found."""
    from adhere.app import shards
    from adhere.app.comparing import read_comparison
    from adhere.app.comparison_page import write_comparison_page
    from adhere.app.proof_page import write_proof_page
    from adhere.app.report import write_report
    from adhere.app.session import verb_of
    from adhere.app.steps import VERBS, tell_stored
    from adhere.app.summary import read_summary
    from adhere.methods.catalogue import entry
    from adhere.methods.proofs import read_proof_at

    chosen = folder or _newest(runs_folder, finished=True)
    if shards.is_sharded(chosen):
        return shards.tell_stored(chosen, as_json)
    if verb_of(chosen) in VERBS:
        return tell_stored(chosen, as_json)
    path, told = chosen / "report.html", dict[str, Any]()
    if verb_of(chosen) == "compare":
        write_comparison_page(read_comparison(chosen), path)
    elif verb_of(chosen) == "prove":
        proof = read_proof_at(chosen / "proof.json")
        write_proof_page(proof, entry(proof.method), path)
    else:
        summary = read_summary(chosen / "summary.json")
        write_report(summary, path)
        told["cost"] = summary.bill.for_json()
        for line in [] if as_json else summary.bill.in_words():
            say(line)
    if as_json:
        print_json({"report": str(path), **told})
    else:
        print(path)
    return EXIT_FINE


def select_command(**options: Any) -> int:
    """Run a select method over a file of records; a model is opened only for a method that asks for one."""
    from adhere.app.asking import open_generator
    from adhere.app.caching import through_cache
    from adhere.methods.calling import call, refuse_unmet, takes

    check_file(options["output"])
    module, settings = _method(options["method"], "select", options["assignments"])
    if options["shard_rows"] is not None:
        return _in_shards("select", options["source"], settings, options)
    if options["workers"] or options["ray"]:
        raise SettingsError(
            "select shares its work among workers in shards only", "Say how large they are: --shard-rows 10000"
        )
    records = _read(options["source"], options["limit"])
    target = _read(options["target"], None) if options["target"] else None
    with contextlib.ExitStack() as stack:
        offered = {
            "records": records,
            "settings": settings,
            "seed": options["seed"],
            "target": target,
            "progress": stack.enter_context(TerminalProgress()),
            "place": Path(stack.enter_context(tempfile.TemporaryDirectory())),
        }
        refuse_unmet(module, "select", {"model", *(name for name, one in offered.items() if one is not None)})
        if "model" in takes(module, "select"):
            model = open_generator(options["model_name"])
            offered["model"] = stack.enter_context(through_cache(model, not options["no_cache"]))
        kept, dropped = divided(call(module, "select", offered))
    return write_outcome(options["output"], kept, dropped, options["as_json"])


@contextlib.contextmanager
def _shared_model(options: dict[str, Any]) -> Iterator[Generates]:
    """The model, asked through the workers of `--workers` and `--ray` where these are given."""
    from adhere.app.asking import open_generator
    from adhere.app.workers import executor_for
    from adhere.models.distributed import distributed

    name = options["model_name"]
    with executor_for(options["workers"], options["ray"]) as executor:
        yield distributed(open_generator(name), name, executor)


def _in_shards(verb: str, source: Path | None, settings: Any, options: dict[str, Any]) -> int:
    """A verb over a large file; see `adhere.app.shards`."""
    from adhere.app.shards import begin
    from adhere.app.workers import executor_for

    check_folder(options["runs_folder"], "--runs")
    with executor_for(options["workers"], options["ray"]) as executor:
        return begin(verb, source, settings, options, executor)


def synth_command(**options: Any) -> int:
    """Run a synth method over seeds, in a run folder; see `adhere.app.steps`."""
    from adhere.app.steps import begin_synth
    from adhere.data.seeds import shipped_seeds

    check_file(options["output"])
    check_folder(options["runs_folder"], "--runs")
    source, assignments = _source_or_assignment(options["source"], options["assignments"])
    _, settings = _method(options["method"], "synth", assignments)
    if options["shard_rows"] is not None:
        return _in_shards("synth", source, settings, options)
    records = _read(source, options["limit"]) if source else shipped_seeds()[: options["limit"]]
    if options["dry_run"]:
        return _tell_plan("synth", settings, options, records)
    with _shared_model(options) as model:
        return begin_synth(settings, records, model, options)


def tune_command(**options: Any) -> int:
    """Run a tune method and leave the tuned model in a folder."""
    from adhere.app.asking import open_generator
    from adhere.app.improve import trainable
    from adhere.store.files import held

    place: Path = options["output"]
    check_folder(place)
    module, settings = _method(options["method"], "tune", options["assignments"])
    records = _read(options["source"], options["limit"])
    model = trainable(open_generator(options["model_name"]), "tune")
    given = [options["method"], settings, options["seed"], model.fingerprint, [record.id for record in records]]
    _refuse_foreign(place, content_hash(given))  # before the folder is touched, and again when nobody else can
    with held(place):
        _claim(place, content_hash(given))
        with TerminalProgress() as progress:
            tuned = module.tune(model, records, place, settings, options["seed"], progress)
    report = tuned.report
    losses = f", loss {report.losses[0]:.3f} to {report.losses[-1]:.3f}" if report.losses else ""
    say(f"{report.steps} steps{losses}")
    if options["as_json"]:
        counts = {"rows": tuned.counts.rows, "labelled": tuned.counts.labelled, "steps": report.steps}
        print_json({"folder": str(tuned.folder), "files": list(tuned.files), **counts})
    else:
        print(tuned.folder)
    return EXIT_FINE


def _claim(place: Path, fingerprint: str) -> None:
    """Make `place` the folder of one tuning: the same command goes on in it, another one is refused."""
    from adhere.store.files import write_atomically

    if _refuse_foreign(place, fingerprint):
        done = (place / "tuned.json").is_file()
        say(f"{place}: {'already tuned so; nothing to do' if done else 'going on with a tuning that was stopped'}")
    write_atomically(place / "plan.sha256", [f"{fingerprint}\n".encode()])


def _refuse_foreign(place: Path, fingerprint: str) -> bool:
    """Whether this very tuning was begun in `place`; a `SettingsError` where something else is in it."""
    from adhere.store.files import explained

    # What begins with a dot is the lock, or what a killed process left.
    if not place.is_dir() or all(one.name.startswith(".") for one in place.iterdir()):
        return False
    note = place / "plan.sha256"
    with explained(note):
        found = note.read_text(encoding="utf-8", errors="replace").strip() if note.is_file() else ""
    if found != fingerprint:
        what = "a model tuned from other data or settings" if found else "files that are not of this tuning"
        raise SettingsError(f"{place} holds {what}", "Choose another folder with -o, or remove that one.")
    return True


def evaluate_command(**options: Any) -> int:
    """Run an evaluate method, in a run folder, and print its report; see `adhere.app.steps`."""
    from adhere.app.steps import begin_evaluate

    check_file(options["output"])
    check_folder(options["runs_folder"], "--runs")
    _, settings = _method(options["method"], "evaluate", options["assignments"])
    if options["data"] is not None and not options["data"].exists():
        raise DataError(f"no file at {options['data']}", "Check the path given with --data.")
    if options["dry_run"]:
        return _tell_plan("evaluate", settings, options)
    with _shared_model(options) as model:
        return begin_evaluate(settings, model, options)


def _tell_plan(verb: str, settings: Any, options: dict[str, Any], records: Sequence[Record] = ()) -> int:
    """What `--dry-run` prints for synth and evaluate."""
    from adhere.app.accounts import chosen_price
    from adhere.app.estimate import estimate_evaluate, estimate_synth, tell_estimate
    from adhere.methods.catalogue import entry, load

    price = chosen_price(options["prices"], options["budget"] or "", options["model_name"])
    module = load(entry(options["method"], verb))
    if verb == "synth":
        return tell_estimate(estimate_synth(module, settings, records, options, price), options["as_json"])
    return tell_estimate(estimate_evaluate(module, settings, options, price), options["as_json"])


def _method(name: str, arrow: str, assignments: Sequence[str]) -> tuple[ModuleType, Any]:
    """The module of a method and its settings, refused where they make no sense."""
    from adhere.app.steps import method_with

    return method_with(name, arrow, parse_assignments(assignments), "the command line")


def improve_command(**options: Any) -> int:
    """The main job; see `adhere.app.improve`."""
    from adhere.app.improve import begin
    from adhere.app.workers import executor_for

    with executor_for(options.pop("workers"), options.pop("ray")) as executor:
        return begin(executor=executor, **options)


def resume_command(
    folder: Path | None,
    runs_folder: Path,
    as_json: bool,
    use_cache: bool,
    shared: tuple[int | None, str | None] = (None, None),
    trusted: bool = False,
) -> int:
    """Go on with a stopped run, by the verb of its plan. `shared` is `--workers` and `--ray`: who does the work."""
    from adhere.app import shards, steps
    from adhere.app.session import verb_of
    from adhere.app.trust import refuse_strange
    from adhere.app.workers import executor_for

    chosen = folder or _newest(runs_folder, finished=False)
    refuse_strange(chosen, trusted)
    verb = verb_of(chosen)
    with executor_for(*shared) as executor:
        if shards.is_sharded(chosen):
            return shards.go_on(chosen, as_json, use_cache, executor)
        if verb in steps.VERBS:
            return steps.go_on(chosen, as_json, use_cache, executor)
        from adhere.app import comparing, improve, proving  # below these is torch

        if verb == "prove":
            if any(shared):
                say("A proof that was stopped is gone on with in one process.")
            return proving.go_on(chosen, as_json, use_cache)
        if verb == "compare":
            return comparing.go_on(chosen, as_json, use_cache, executor)
        return improve.go_on(chosen, as_json, use_cache, executor)


def _newest(runs_folder: Path, finished: bool) -> Path:
    from adhere.store.run import find_runs, is_finished

    found = [folder for folder in find_runs(runs_folder) if is_finished(folder) == finished]
    if not found:
        state = "finished" if finished else "unfinished"
        raise StoreError(
            f"no {state} run in {runs_folder}", "See the runs with: adhere runs   (-o FOLDER for another place)"
        )
    return found[-1]


def _read(source: Path, limit: int | None) -> list[Record]:
    from adhere.data.read import read_records

    result = read_records(source, limit)
    tell_rejected(source, result.rejected)
    return list(result.records)


def _source_or_assignment(source: Path | None, assignments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """A first word like `count=3` is a setting, not a file."""
    if source is not None and "=" in str(source) and not source.exists():
        return None, [str(source), *assignments]
    return source, list(assignments)
