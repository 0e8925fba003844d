"""What each verb does. Functions return the exit code; errors are raised as `AdhereError`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
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
    did_you_mean,
)
from adhere.core.record import Record, content_hash
from adhere.core.settings import parse_assignments
from adhere.core.step import divided

if TYPE_CHECKING:
    from adhere.methods.catalogue import Entry


def list_command(arrow: str | None, as_json: bool) -> int:
    """All methods; with `--json` one array."""
    from adhere.core.method import ARROWS
    from adhere.methods.catalogue import entries

    if arrow is not None and arrow not in ARROWS:
        raise SettingsError(f"no arrow {arrow!r}", did_you_mean(arrow, ARROWS))
    found = [one for one in entries() if arrow in (None, one.arrow)]
    if as_json:
        print_json([_listed(one) for one in found])
        return EXIT_FINE
    for one in found:
        print(f"{one.arrow:9} {one.name:20} {one.card.summary}")
    return EXIT_FINE


def _listed(one: Entry) -> dict[str, Any]:
    return {
        "name": one.name,
        "arrow": one.arrow,
        "seed": one.card.seed,
        "paper": one.card.paper,
        "summary": one.card.summary,
    }


def show_command(method: str, as_json: bool) -> int:
    """A method's docstring, settings and path."""
    from adhere.methods.catalogue import entry, load, settings_of

    found = entry(method)
    module = load(found)
    settings = settings_of(module)
    if as_json:
        defaults = {name: default for name, _, default in settings}
        print_json({**_listed(found), "version": found.card.version, "settings": defaults, "path": found.path})
        return EXIT_FINE
    print(f"{found.arrow} {found.name} (version {found.card.version})\n\n{found.idea}\n\nSettings")
    print(f"  {inspect.cleandoc(module.Settings.__doc__ or '').strip()}\n".replace("\n", "\n  ").rstrip() + "\n")
    for name, kind, default in settings:
        print(f"  {name} = {default!r}   ({kind})")
    print(f"\nFile  {found.path}")
    return EXIT_FINE


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
    from adhere.app.report import write_report
    from adhere.app.session import verb_of
    from adhere.app.steps import VERBS, tell_stored
    from adhere.app.summary import read_summary

    chosen = folder or _newest(runs_folder, finished=True)
    if verb_of(chosen) in VERBS:
        return tell_stored(chosen, as_json)
    path = chosen / "report.html"
    write_report(read_summary(chosen / "summary.json"), path)
    if as_json:
        print_json({"report": str(path)})
    else:
        print(path)
    return EXIT_FINE


def select_command(**options: Any) -> int:
    """Run a select method over a file of records."""
    check_file(options["output"])
    module, settings = _method(options["method"], "select", options["assignments"])
    records = _read(options["source"], options["limit"])
    with TerminalProgress() as progress:
        kept, dropped = divided(module.select(records, settings, options["seed"], progress))
    return write_outcome(options["output"], kept, dropped, options["as_json"])


def synth_command(**options: Any) -> int:
    """Run a synth method over seeds, in a run folder; see `adhere.app.steps`."""
    from adhere.app.asking import open_generator
    from adhere.app.steps import begin_synth
    from adhere.data.seeds import shipped_seeds

    check_file(options["output"])
    check_folder(options["runs_folder"], "--runs")
    source, assignments = _source_or_assignment(options["source"], options["assignments"])
    _, settings = _method(options["method"], "synth", assignments)
    records = _read(source, options["limit"]) if source else shipped_seeds()[: options["limit"]]
    return begin_synth(settings, records, open_generator(options["model_name"]), options)


def tune_command(**options: Any) -> int:
    """Run a tune method and leave the tuned model in a folder."""
    from adhere.app.asking import open_generator
    from adhere.app.improve import trainable

    place: Path = options["output"]
    check_folder(place)
    module, settings = _method(options["method"], "tune", options["assignments"])
    records = _read(options["source"], options["limit"])
    model = trainable(open_generator(options["model_name"]), "tune")
    given = [options["method"], settings, options["seed"], model.fingerprint, [record.id for record in records]]
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
    from adhere.store.files import explained, write_atomically

    note = place / "plan.sha256"
    if place.is_dir() and any(place.iterdir()):
        with explained(note):
            found = note.read_text(encoding="utf-8", errors="replace").strip() if note.is_file() else ""
        if found != fingerprint:
            what = "a model tuned from other data or settings" if found else "files that are not of this tuning"
            raise SettingsError(f"{place} holds {what}", "Choose another folder with -o, or remove that one.")
        done = (place / "tuned.json").is_file()
        say(f"{place}: {'already tuned so; nothing to do' if done else 'going on with a tuning that was stopped'}")
    write_atomically(note, [f"{fingerprint}\n".encode()])


def evaluate_command(**options: Any) -> int:
    """Run an evaluate method, in a run folder, and print its report; see `adhere.app.steps`."""
    from adhere.app.asking import open_generator
    from adhere.app.steps import begin_evaluate

    check_file(options["output"])
    check_folder(options["runs_folder"], "--runs")
    _, settings = _method(options["method"], "evaluate", options["assignments"])
    if options["data"] is not None and not options["data"].exists():
        raise DataError(f"no file at {options['data']}", "Check the path given with --data.")
    return begin_evaluate(settings, open_generator(options["model_name"]), options)


def _method(name: str, arrow: str, assignments: Sequence[str]) -> tuple[ModuleType, Any]:
    """The module of a method and its settings, refused where they make no sense."""
    from adhere.app.steps import method_with

    return method_with(name, arrow, parse_assignments(assignments), "the command line")


def improve_command(**options: Any) -> int:
    """The main job; see `adhere.app.improve`."""
    from adhere.app.improve import begin

    return begin(**options)


def resume_command(folder: Path | None, runs_folder: Path, as_json: bool, use_cache: bool) -> int:
    """Go on with a stopped run, by the verb of its plan."""
    from adhere.app import improve, steps
    from adhere.app.session import verb_of

    chosen = folder or _newest(runs_folder, finished=False)
    go_on = steps.go_on if verb_of(chosen) in steps.VERBS else improve.go_on
    return go_on(chosen, as_json, use_cache)


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
