"""What each verb does. Functions return the exit code; errors are raised as `AdhereError`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.core.errors import EXIT_FINE, EXIT_NOT_MET, DataError, StoreError
from adhere.core.record import Record
from adhere.core.settings import fill, parse_assignments
from adhere.core.step import Dropped, divided


def list_command(arrow: str | None, as_json: bool) -> int:
    """All methods; with `--json` one array."""
    from adhere.core.errors import SettingsError, did_you_mean
    from adhere.core.method import ARROWS
    from adhere.methods.catalogue import entries

    if arrow is not None and arrow not in ARROWS:
        raise SettingsError(f"no arrow {arrow!r}", did_you_mean(arrow, ARROWS))
    found = [one for one in entries() if arrow in (None, one.arrow)]
    if as_json:
        rows = [{"name": one.name, "arrow": one.arrow, "seed": one.card.seed, "paper": one.card.paper} for one in found]
        _print_json(rows)
        return EXIT_FINE
    for one in found:
        print(f"{one.arrow:9} {one.name:20} {one.card.summary}")
    return EXIT_FINE


def show_command(method: str) -> int:
    """A method's docstring, settings and path."""
    from adhere.methods.catalogue import entry, load, settings_of

    found = entry(method)
    print(f"{found.arrow} {found.name} (version {found.card.version})\n\n{found.idea}\n\nSettings")
    module = load(found)
    print(f"  {(module.Settings.__doc__ or '').strip()}")
    for name, kind, default in settings_of(module):
        print(f"  {name} = {default!r}   ({kind})")
    print(f"\nFile  {found.path}")
    return EXIT_FINE


def runs_command(output: Path, as_json: bool) -> int:
    """All runs of a folder, newest last, with their state."""
    from adhere.store.run import find_runs, is_finished, read_about

    rows = []
    for folder in find_runs(output):
        about = read_about(folder)
        state = "finished" if is_finished(folder) else "unfinished"
        rows.append({"folder": str(folder), "verb": about["plan"]["verb"], "state": state, "created": about["created"]})
    if as_json:
        _print_json(rows)
    for row in [] if as_json else rows:
        print(f"{row['state']:11} {row['created']:26} {row['folder']}")
    if not rows:
        print(f"No runs in {output}.", file=sys.stderr)
    return EXIT_FINE


def report_command(folder: Path | None, output: Path) -> int:
    """Write report.html of a run again."""
    from adhere.app.report import write_report
    from adhere.app.summary import read_summary

    chosen = folder or _newest(output, finished=True)
    path = chosen / "report.html"
    write_report(read_summary(chosen / "summary.json"), path)
    print(path)
    return EXIT_FINE


def verify_command(source: Path, output: Path | None) -> int:
    """Verdicts for records with replies and checks; 1 when a check failed."""
    from adhere.verify.catalogue import ALL_TYPES
    from adhere.verify.score import ConstraintVerifier

    verifier = ConstraintVerifier(ALL_TYPES)
    lines = []
    counts = {True: 0, False: 0, None: 0}
    for record in _read(source, None):
        verdict = verifier.verify(record, record.reply or "")
        outcome = verdict.passed if record.checks else None
        counts[outcome] += 1
        lines.append(msgspec.json.encode({"id": record.id, **msgspec.to_builtins(verdict), "passed": outcome}) + b"\n")
    _write_lines(output, lines)
    print(f"{counts[True]} passed, {counts[False]} failed, {counts[None]} not judged", file=sys.stderr)
    return EXIT_NOT_MET if counts[False] else EXIT_FINE


def select_command(method: str, source: Path, assignments: Sequence[str], seed: int, output: Path | None) -> int:
    """Run a select method over a file of records."""
    from adhere.app.display import TerminalProgress
    from adhere.methods.catalogue import entry, load

    module = load(entry(method, "select"))
    settings = fill(module.Settings, parse_assignments(assignments), "the command line")
    with TerminalProgress() as progress:
        kept, dropped = divided(module.select(_read(source, None), settings, seed, progress))
    return _write_outcome(output, kept, dropped)


def synth_command(**options: Any) -> int:
    """Run a synth method over seeds."""
    from adhere.app.display import TerminalProgress
    from adhere.data.seeds import shipped_seeds
    from adhere.methods.catalogue import entry, load
    from adhere.models.resolve import open_model

    module = load(entry(options["method"], "synth"))
    source, assignments = _source_or_assignment(options["source"], options["assignments"])
    settings = fill(module.Settings, parse_assignments(assignments), "the command line")
    records = _read(source, options["limit"]) if source else shipped_seeds()[: options["limit"]]
    model = open_model(options["model_name"])
    with TerminalProgress() as progress:
        kept, dropped = divided(module.synth(records, model, settings, options["seed"], progress))
    return _write_outcome(options["output"], kept, dropped)


def tune_command(**options: Any) -> int:
    """Run a tune method and leave the tuned model in a folder."""
    from adhere.app.display import TerminalProgress
    from adhere.methods.catalogue import entry, load
    from adhere.models.resolve import open_model

    module = load(entry(options["method"], "tune"))
    settings = fill(module.Settings, parse_assignments(options["assignments"]), "the command line")
    records = _read(options["source"], None)
    model = open_model(options["model_name"])
    with TerminalProgress() as progress:
        tuned = module.tune(model, records, options["output"], settings, options["seed"], progress)
    print(tuned.folder)
    return EXIT_FINE


def evaluate_command(**options: Any) -> int:
    """Run an evaluate method and print its report."""
    from adhere.app.display import TerminalProgress
    from adhere.methods.catalogue import entry, load
    from adhere.models.resolve import open_model

    module = load(entry(options["method"], "evaluate"))
    settings = fill(module.Settings, parse_assignments(options["assignments"]), "the command line")
    model = open_model(options["model_name"])
    with TerminalProgress() as progress:
        report = module.evaluate(model, settings, options["data"], options["seed"], options["limit"], progress)
    if options["output"]:
        _write_lines(options["output"], [msgspec.json.encode(row) + b"\n" for row in report.rows])
    if options["as_json"]:
        _print_json(report.as_json())
    else:
        print(report.in_words())
    return EXIT_FINE


def improve_command(**options: Any) -> int:
    """The main job; see `adhere.app.improve`."""
    from adhere.app.improve import begin

    return begin(**options)


def resume_command(folder: Path | None, output: Path, as_json: bool) -> int:
    """Go on with a stopped run."""
    from adhere.app.improve import go_on

    return go_on(folder or _newest(output, finished=False), as_json)


def _newest(output: Path, finished: bool) -> Path:
    from adhere.store.run import find_runs, is_finished

    found = [folder for folder in find_runs(output) if is_finished(folder) == finished]
    if not found:
        state = "finished" if finished else "unfinished"
        raise StoreError(
            f"no {state} run in {output}", "See the runs with: adhere runs   (-o FOLDER for another place)"
        )
    return found[-1]


def _read(source: Path, limit: int | None) -> list[Record]:
    from adhere.data.read import read_records

    result = read_records(source, limit)
    for row in result.rejected[:5]:
        print(f"{source}:{row.line}: set aside: {row.reason}", file=sys.stderr)
    if len(result.rejected) > 5:
        print(f"{source}: {len(result.rejected) - 5} further rows set aside", file=sys.stderr)
    return list(result.records)


def _source_or_assignment(source: Path | None, assignments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """A first word like `count=3` is a setting, not a file."""
    if source is not None and "=" in str(source) and not source.exists():
        return None, [str(source), *assignments]
    return source, list(assignments)


def _write_outcome(output: Path | None, kept: Sequence[Record], dropped: Sequence[Dropped]) -> int:
    from adhere.store.files import write_atomically

    _write_lines(output, [msgspec.json.encode(record) + b"\n" for record in kept])
    if output is not None:
        beside = output.with_name(output.stem + ".dropped.jsonl")
        write_atomically(beside, (msgspec.json.encode(row) + b"\n" for row in dropped))
    print(f"{len(kept)} rows kept, {len(dropped)} dropped", file=sys.stderr)
    if not kept:
        raise DataError("no row was kept", "Look at the reasons: run with -o FILE and read FILE.dropped.jsonl.")
    return EXIT_FINE


def _write_lines(output: Path | None, lines: Sequence[bytes]) -> None:
    from adhere.store.files import write_atomically

    if output is None:
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()
    else:
        write_atomically(output, lines)


def _print_json(value: Any) -> None:
    print(msgspec.json.encode(value).decode())
