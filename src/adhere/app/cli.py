"""The command line: verb, then method, then files, then `key=value` settings.

Data goes to stdout, talk and progress to stderr. Everything heavy is imported inside a command, so that
`adhere --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from adhere import __version__
from adhere.core.errors import (
    EXIT_INTERRUPTED,
    EXIT_NOT_MET,
    EXIT_USAGE,
    AdhereError,
    SettingsError,
    StoreError,
    did_you_mean,
)

RESUMABLE = (["improve"], ["synth"], ["evaluate"], ["prove"], ["compare"], ["resume"])
DEFAULT_MODEL = "smollm2-135m"


class Verbs(click.Group):
    """A group that answers an unknown verb with the nearest ones."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is our error with a suggestion."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise SettingsError(f"no verb {args[0]!r}", did_you_mean(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


def _option(*names: str, **details: Any) -> Callable[[Any], Any]:
    return click.option(*names, **details)


FILE = click.Path(path_type=Path)
# Options that several verbs share. `-o` stands for what a verb writes: rows, a model, or the folder of its runs.
model_option = _option(
    "--model",
    "model_name",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="MODEL",
    help="smollm2-135m, a folder, FILE.gguf, hub:OWNER/NAME, http://HOST/v1#NAME, replay:FILE or scripted; a local one "
    "takes an adapter: MODEL+adapter:FOLDER.",
)
seed_option = _option("--seed", type=int, default=0, show_default=True, help="Decides everything that is drawn.")
cache_option = _option("--no-cache", is_flag=True, help="Ask anew what earlier runs have asked already.")
budget_option = _option("--budget", metavar="AMOUNT", help="Stop cleanly before 200k tokens, 15m, 2.50 USD, ...")
prices_option = _option(
    "--prices",
    type=click.Path(path_type=Path),
    envvar="ADHERE_PRICES",
    metavar="FILE",
    help="What models cost (TOML), for budgets and reports in money.",
)
dry_option = _option("--dry-run", is_flag=True, help="Print the plan and its estimate, and stop.")
workers_option = _option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes that share the work; the results are the same."
)
ray_option = _option("--ray", metavar="ADDRESS", help="Let a Ray cluster do it: local, auto or HOST:PORT.")
shard_option = _option(
    "--shard-rows", type=click.IntRange(1), metavar="R", help="Work through FILE in shards of R rows, for large files."
)
limit_option = _option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N rows or prompts.")
json_option = _option("--json", "as_json", is_flag=True, help="End stdout with one line of JSON.")
_RUNS: dict[str, Any] = {"type": FILE, "default": Path("runs"), "show_default": True, "help": "Where runs are kept."}
runs_option = _option("-o", "--runs", "--output", "runs_folder", **_RUNS)
# Where -o is the file that the rows go to.
only_runs_option = _option("--runs", "runs_folder", **_RUNS)
rows_option = _option("-o", "--output", type=FILE, help="Rows to this file; dropped rows beside it.")
settings_argument = click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adhere")
@click.option("--debug", is_flag=True, help="Show the traceback of an error. May stand anywhere.")
def app(debug: bool) -> None:
    """Make models follow instructions, and prove it.

    The main job is `adhere improve`. Data goes to stdout, everything else to stderr. Exit status: 0 fine, 1 a
    check or claim is not met, 2 usage, 3 environment, 130 interrupted.
    """


@app.command()
@settings_argument
@model_option
@click.option("--seeds", "seeds_file", type=FILE, metavar="FILE", help="Your own instructions instead of ours.")
@click.option("--recipe", type=FILE, metavar="FILE", help="A TOML file of settings; what is given here wins.")
@click.option("--held-out", type=FILE, multiple=True, metavar="FILE", help="Prompts never to train on.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Go on from the kept model so many times.")
@click.option("--seed", type=int, help="Decides everything that is drawn.  [default: the recipe's, else 0]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N composed prompts.")
@budget_option
@prices_option
@runs_option
@dry_option
@workers_option
@ray_option
@cache_option
@json_option
def improve(**options: Any) -> None:
    """Synthesise, verify, select, tune and evaluate; keep the model only if it is better.

    Settings are STAGE.KEY=VALUE: synth.count=300 tune.epochs=1 evaluate.seeds=5.
    """
    from adhere.app.commands import improve_command

    sys.exit(improve_command(**options))


@app.command()
@click.argument("folder", type=FILE, required=False)
@runs_option
@workers_option
@ray_option
@click.option("--trust", is_flag=True, help="Go on with a folder that was made elsewhere, moved or changed.")
@cache_option
@json_option
def resume(folder: Path | None, runs_folder: Path, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Go on with a stopped run of any verb; without FOLDER, the newest unfinished one."""
    from adhere.app.commands import resume_command

    shared = options["workers"], options["ray"]
    sys.exit(resume_command(folder, runs_folder, as_json, not no_cache, shared, options["trust"]))


@app.command()
@click.argument("method")
@settings_argument
@model_option
@click.option("--data", type=FILE, metavar="FILE", help="The benchmark's file, where it has one.")
@seed_option
@limit_option
@click.option("-o", "--output", type=FILE, help="Write each reply with its verdicts here (JSONL).")
@only_runs_option
@budget_option
@prices_option
@dry_option
@workers_option
@ray_option
@cache_option
@json_option
def evaluate(**options: Any) -> None:
    """Evaluate a model: METHOD is ifeval, heldout or another of `adhere list --arrow evaluate`."""
    from adhere.app.commands import evaluate_command

    sys.exit(evaluate_command(**options))


@app.command()
@click.argument("method")
@click.argument("source", type=FILE, required=False)
@settings_argument
@model_option
@seed_option
@limit_option
@rows_option
@only_runs_option
@budget_option
@prices_option
@dry_option
@workers_option
@ray_option
@shard_option
@cache_option
@json_option
def synth(**options: Any) -> None:
    """Make records: METHOD, then a file of instructions (ours if left out)."""
    from adhere.app.commands import synth_command

    sys.exit(synth_command(**options))


@app.command()
@click.argument("sources", type=FILE, nargs=-1, metavar="FILE | ifeval PROMPTS RESPONSES")
@click.option("--floor", is_flag=True, help="The best constant answers on FILE (or on heldout) and their scores.")
@click.option("--audit", is_flag=True, help="Faults of the prompts and checks in FILE; exit status 1 where any.")
@click.option(
    "--register",
    type=click.Choice(["faithful", "repaired"]),
    default="faithful",
    show_default=True,
    help="As published, or with the loopholes of the published checks closed.",
)
@click.option("--given-only", is_flag=True, help="Judge given checks alone; find none in the words of a prompt.")
@click.option("--rows", type=FILE, metavar="FILE", help="With ifeval: verdicts per prompt to this file (JSONL).")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes to use.  [default: all cores]")
@ray_option
@shard_option
@limit_option
@only_runs_option
@click.option("-o", "--output", type=FILE, help="Verdicts to this file instead of stdout.")
@json_option
def verify(**options: Any) -> None:
    """Judge replies by running checks; exit status 1 when one fails.

    \b
    adhere verify FILE                          rows of prompt, reply and checks
    adhere verify ifeval PROMPTS RESPONSES      published responses to IFEval's file
    adhere verify --floor FILE                  what a constant answer scores
    adhere verify --audit FILE                  what is wrong with the prompts

    Where a row gives no checks, those that its prompt states are found, and the report says so.
    """
    from adhere.app.verifying import verify_command

    sys.exit(verify_command(**options))


@app.command()
@click.argument("method")
@click.argument("source", type=FILE)
@settings_argument
@model_option
@click.option("--target", type=FILE, metavar="FILE", help="Rows like those wanted, for a method that asks for some.")
@seed_option
@limit_option
@rows_option
@cache_option
@workers_option
@ray_option
@shard_option
@only_runs_option
@json_option
def select(**options: Any) -> None:
    """Choose records: METHOD, then a file of records with replies."""
    from adhere.app.commands import select_command

    sys.exit(select_command(**options))


@app.command()
@click.argument("method")
@click.argument("source", type=FILE)
@settings_argument
@model_option
@seed_option
@limit_option
@click.option("-o", "--output", type=FILE, required=True, help="The folder for the tuned model.")
@json_option
def tune(**options: Any) -> None:
    """Tune a model on records: METHOD is sft, dpo or another of `adhere list --arrow tune`."""
    from adhere.app.commands import tune_command

    sys.exit(tune_command(**options))


@app.command("list")
@click.argument("words", nargs=-1)
@click.option("--arrow", help="Only one arrow: synth, select, steer, tune, reward, evaluate, act.")
@click.option("--status", help="Only one status: sketch, runs, tiny, full, refuted, stale.")
@click.option("--checks", is_flag=True, help="List the constraint types instead.")
@click.option("--family", help="Only one family: generation, tuning, ...; with --checks one of constraint types.")
@json_option
def list_methods(
    words: tuple[str, ...], arrow: str | None, status: str | None, checks: bool, family: str | None, as_json: bool
) -> None:
    """List the methods with their status, those that speak of all WORDS; with --checks the constraint types."""
    if checks:
        from adhere.app.checks import list_checks

        sys.exit(list_checks(family, as_json))
    from adhere.app.catalogue import list_command

    sys.exit(list_command(words, arrow, family, status, as_json))


@app.command()
@click.argument("method")
@json_option
def show(method: str, as_json: bool) -> None:
    """Show a method: its idea, its settings and where it is; or a constraint type, FAMILY:NAME."""
    if ":" in method:
        from adhere.app.checks import show_check

        sys.exit(show_check(method, as_json))
    from adhere.app.catalogue import show_command

    sys.exit(show_command(method, as_json))


@app.command()
@click.argument("methods", nargs=-1, metavar="METHOD...")
@model_option
@click.option("--all", "choose", flag_value="all", help="Every method that states a claim.")
@click.option("--stale", "choose", flag_value="stale", help="Those never proved, or changed since.")
@click.option("--seeds", type=click.IntRange(1, 20), metavar="N", help="Seeds 0 to N-1.  [default: 3]")
@click.option("--keep", is_flag=True, help="Store the proof beside the methods, for the catalogue.")
@only_runs_option
@workers_option
@ray_option
@cache_option
@json_option
def prove(methods: tuple[str, ...], choose: str | None, **options: Any) -> None:
    """Run the experiment behind a method's claim; exit status 1 where the claim does not hold."""
    from adhere.app.proving import prove_command

    sys.exit(prove_command(methods, choose, **options))


@app.command()
@click.argument("methods", nargs=-1, metavar="METHOD...")
@model_option
@click.option("--on", default="seen", show_default=True, help="The benchmark: seen or plain, of the development part.")
@click.option("--budget", metavar="AMOUNT", help="Tokens for each method and seed: 200k tokens.")
@click.option("--seeds", type=click.IntRange(1, 20), default=3, show_default=True, help="Seeds 0 to N-1.")
@limit_option
@only_runs_option
@workers_option
@ray_option
@cache_option
@json_option
def compare(methods: tuple[str, ...], **options: Any) -> None:
    """Compare methods on one model, one benchmark, one budget: a paired table, a page, a verdict in words."""
    from adhere.app.comparing import compare_command

    sys.exit(compare_command(methods, **options))


@app.command()
@click.argument("arrow")
@click.argument("name")
@click.option("--into", type=FILE, default=Path(), metavar="FOLDER", help="The checkout of adhere.  [default: .]")
@json_option
def new(arrow: str, name: str, into: Path, as_json: bool) -> None:
    """Begin a method of your own: its file and its test, which passes the contract."""
    from adhere.app.scaffold import new_command

    sys.exit(new_command(arrow, name, into, as_json))


@app.group(invoke_without_command=True)
@runs_option
@json_option
@click.pass_context
def runs(ctx: click.Context, runs_folder: Path, as_json: bool) -> None:
    """List the runs, newest last; `runs cache` is about the call cache."""
    if ctx.invoked_subcommand is None:
        from adhere.app.commands import runs_command

        sys.exit(runs_command(runs_folder, as_json))


@runs.command("cache")
@click.option("--export", type=FILE, metavar="FILE", help="Write the calls as a replay file.")
@click.option("--import", "source", type=FILE, metavar="FILE", help="Take up the calls of a replay file.")
@click.option("--clear", is_flag=True, help="Forget every call.")
@click.option("--limit", metavar="SIZE", help="How large it may grow: 500MB, 2GB, ...")
@click.option("--run", type=FILE, metavar="FOLDER", help="With --export: only the calls of this run.")
@json_option
def runs_cache(**options: Any) -> None:
    """List the call cache, shared by all runs; or export, import, clear or limit it."""
    from adhere.app.caching import cache_command

    sys.exit(cache_command(**options))


@app.command()
@click.argument("folder", type=FILE, required=False)
@runs_option
@json_option
def report(folder: Path | None, runs_folder: Path, as_json: bool) -> None:
    """Tell what a run found; of `improve`, make report.html again."""
    from adhere.app.commands import report_command

    sys.exit(report_command(folder, runs_folder, as_json))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; errors become two lines on stderr and an exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    words = [word for word in given if word != "--debug"]
    try:
        try:
            app.main(args=words, prog_name="adhere", standalone_mode=False)
        finally:
            sys.stdout.flush()  # a full disk behind stdout is to be noticed here, not after the last line of Python
    except Exception as error:
        if len(words) < len(given):
            raise
        sys.exit(_complain(error, words))
    return 0


def _complain(error: Exception, words: list[str]) -> int:
    """Say what went wrong and give the exit code. What is no error of the user or of the system is raised again."""
    from adhere.app.display import print_error, say

    if isinstance(error, click.Abort):  # which is what click makes of ctrl-c
        is_run = words[:1] in RESUMABLE or any(word.startswith("--shard-rows") for word in words)
        kept = " What is finished is kept; go on with: adhere resume" if is_run else ""
        say(f"Interrupted.{kept}")
        return EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader of stdout went away, as `head` does
        _forget_stdout()
        return EXIT_NOT_MET
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(error.format_message())
        return EXIT_USAGE
    if isinstance(error, click.ClickException):
        error = SettingsError(error.format_message(), _usage_hint(error))
    elif isinstance(error, OSError):
        _forget_stdout()
        what = f"cannot read or write {error.filename or 'standard output'}: {error.strerror or error}"
        error = StoreError(what, "Check the path, the permissions and the space on the disk.")
    if not isinstance(error, AdhereError):
        raise error
    print_error(error)
    return error.code


def _forget_stdout() -> None:
    """Whatever is still in the buffer goes nowhere, so that closing at the end of Python does not fail again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See: {context.command_path} --help" if context else "See: adhere --help"
