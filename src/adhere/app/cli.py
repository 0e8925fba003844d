"""The command line: verb, then method, then files, then `key=value` settings.

Data goes to stdout, talk and progress to stderr. Everything heavy is imported inside a command, so that
`adhere --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from adhere import __version__
from adhere.core.errors import EXIT_INTERRUPTED, EXIT_NOT_MET, AdhereError, SettingsError, did_you_mean

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


def model_option(command: Any) -> Any:
    """`--model`, the same everywhere."""
    return click.option(
        "--model",
        "model_name",
        default=DEFAULT_MODEL,
        show_default=True,
        metavar="MODEL",
        help="smollm2-135m, a folder, FILE.gguf, http://HOST/v1#NAME, or scripted.",
    )(command)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adhere")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def app(debug: bool) -> None:
    """Make models follow instructions, and prove it."""


@app.command()
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@model_option
@click.option("--seeds", "seeds_file", type=click.Path(path_type=Path), help="Your own instructions instead of ours.")
@click.option("--recipe", type=click.Path(path_type=Path), help="A TOML file of settings.")
@click.option(
    "--held-out", "held_out", type=click.Path(path_type=Path), multiple=True, help="Prompts never to train on."
)
@click.option("--rounds", type=click.IntRange(1, 20), help="Go on from the kept model so many times.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--limit", type=click.IntRange(1), help="At most so many composed prompts.")
@click.option("--budget", metavar="AMOUNT", help="Stop cleanly at 200k tokens, 15m, ...")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--dry-run", is_flag=True, help="Print the plan and its estimate, and stop.")
@click.option("--json", "as_json", is_flag=True, help="End stdout with one JSON object.")
def improve(**options: Any) -> None:
    """Synthesise, verify, select, tune and evaluate; keep the model only if it is better.

    Settings are STAGE.KEY=VALUE: synth.count=300 tune.epochs=1 evaluate.seeds=5.
    """
    from adhere.app.commands import improve_command

    sys.exit(improve_command(**options))


@app.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("runs"), help="Where runs are kept.")
@click.option("--json", "as_json", is_flag=True)
def resume(folder: Path | None, output: Path, as_json: bool) -> None:
    """Go on with a run that was stopped; without FOLDER, the newest unfinished one."""
    from adhere.app.commands import resume_command

    sys.exit(resume_command(folder, output, as_json))


@app.command()
@click.argument("method")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@model_option
@click.option("--data", type=click.Path(path_type=Path), help="The benchmark's file, where it has one.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--limit", type=click.IntRange(1), help="Only the first so many prompts.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write each reply with its verdicts here (JSONL)."
)
@click.option("--json", "as_json", is_flag=True)
def evaluate(**options: Any) -> None:
    """Evaluate a model: METHOD is ifeval or heldout."""
    from adhere.app.commands import evaluate_command

    sys.exit(evaluate_command(**options))


@app.command()
@click.argument("method")
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@model_option
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--limit", type=click.IntRange(1), help="Only the first so many input records.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Rows to this file; dropped rows beside it.")
def synth(**options: Any) -> None:
    """Make records: METHOD, then a file of instructions (ours when left out)."""
    from adhere.app.commands import synth_command

    sys.exit(synth_command(**options))


@app.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Verdicts to this file instead of stdout.")
def verify(source: Path, output: Path | None) -> None:
    """Run the checks that the records of SOURCE carry; exit status 1 when one fails."""
    from adhere.app.commands import verify_command

    sys.exit(verify_command(source, output))


@app.command()
@click.argument("method")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Rows to this file; dropped rows beside it.")
def select(**options: Any) -> None:
    """Choose records: METHOD, then a file of records with replies."""
    from adhere.app.commands import select_command

    sys.exit(select_command(**options))


@app.command()
@click.argument("method")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@model_option
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder for the tuned model.")
def tune(**options: Any) -> None:
    """Tune a model on records: METHOD is sft or dpo."""
    from adhere.app.commands import tune_command

    sys.exit(tune_command(**options))


@app.command("list")
@click.option("--arrow", help="Only one arrow: synth, select, tune, ...")
@click.option("--json", "as_json", is_flag=True)
def list_methods(arrow: str | None, as_json: bool) -> None:
    """List the methods."""
    from adhere.app.commands import list_command

    sys.exit(list_command(arrow, as_json))


@app.command()
@click.argument("method")
def show(method: str) -> None:
    """Show a method: its idea, its settings and where it is."""
    from adhere.app.commands import show_command

    sys.exit(show_command(method))


@app.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("runs"), help="Where runs are kept.")
@click.option("--json", "as_json", is_flag=True)
def runs(output: Path, as_json: bool) -> None:
    """List the runs, newest last."""
    from adhere.app.commands import runs_command

    sys.exit(runs_command(output, as_json))


@app.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("runs"), help="Where runs are kept.")
def report(folder: Path | None, output: Path) -> None:
    """Make a run's report.html again from its folder."""
    from adhere.app.commands import report_command

    sys.exit(report_command(folder, output))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; errors become two lines on stderr and an exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        app.main(args=words, prog_name="adhere", standalone_mode=False)
    except AdhereError as error:
        if "--debug" in words:
            raise
        _complain(error)
        sys.exit(error.code)
    except click.ClickException as error:
        _complain(SettingsError(error.format_message(), _usage_hint(error)))
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        print("Interrupted. What is finished is kept; go on with: adhere resume", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of stdout went away
        sys.stderr.close()
        sys.exit(EXIT_NOT_MET)
    return 0


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See: {context.command_path} --help" if context else "See: adhere --help"


def _complain(error: AdhereError) -> None:
    from adhere.app.display import print_error

    print_error(error)
