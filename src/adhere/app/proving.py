"""`adhere prove`: run the experiment that a method states, in a run folder, and keep what came out of it.

The folder holds `proof.json` and `report.html`. With `--keep` the proof is stored beside the methods too, where
`adhere list` reads it and the catalogue is made from it: that is for those who work on the methods themselves.

A proof is a job (`proved_in_a_folder`), which `--workers` and `--ray` give to others as a whole: a worker works in a
run folder of its own, and what it found is brought here where the machine is another one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from adhere.app.asking import open_generator
from adhere.app.caching import through_cache
from adhere.app.display import TerminalProgress, say
from adhere.app.output import check_folder, print_json
from adhere.app.proof_page import write_proof_page
from adhere.app.session import MODEL_INPUTS, begin_run, model_inputs, model_of, plan_of, working
from adhere.app.workers import executor_for
from adhere.core.errors import EXIT_FINE, EXIT_NOT_MET, AdhereError, SettingsError
from adhere.core.executor import OneProcess, in_order
from adhere.core.model import Generates, Trains
from adhere.core.progress import Progress, silent
from adhere.core.proof import Proof
from adhere.core.record import Record
from adhere.evals.lab import SEEDS, Lab, Trained, Tuner
from adhere.methods.catalogue import Entry, entries, entry, load
from adhere.methods.proofs import fingerprint, has_experiment, read_proof, status_of, write_proof
from adhere.models.distributed import Opening, anywhere, opened
from adhere.store.run import Plan, Run

TUNER = "sft"


def shared_tuning(progress: Progress = silent) -> Tuner:
    """The tuning that proofs and comparisons share: `sft` with its default settings.

    The model it gives goes through the call cache and the ledger of the one it was made from.
    """
    module = load(entry(TUNER, "tune"))

    def tuned(model: Trains, records: Sequence[Record], place: Path, seed: int) -> Trained:
        return module.tune(model, records, place, module.Settings(), seed, progress)  # type: ignore[no-any-return]

    return tuned


class ProofJob(msgspec.Struct, frozen=True):
    """A proof to make: of which method, on which model (`spec` as a person named it), with which seeds, where."""

    method: str
    spec: str
    opening: Opening
    seeds: tuple[int, ...]
    runs: str
    use_cache: bool


class Made(msgspec.Struct, frozen=True):
    """A proof, and the run folder that it was made in; or what ended its experiment."""

    proof: Proof | None
    folder: str = ""
    trouble: str = ""
    hint: str = ""
    code: int = 0


def prove_command(names: Sequence[str], choose: str | None, **options: Any) -> int:
    """Prove the methods named, or those that `choose` says: `all` with an experiment, or `stale`.

    An experiment that ends with an error is told and costs the others nothing; the exit status is then that of the last
    such error.
    """
    chosen = _chosen(names, choose)
    check_folder(options["runs_folder"], "--runs")
    spec, runs = options["model_name"], str(options["runs_folder"].absolute())
    opening = Opening(anywhere(spec), open_generator(spec).fingerprint)
    seeds = SEEDS if options["seeds"] is None else tuple(range(options["seeds"]))
    jobs = [ProofJob(one.name, spec, opening, seeds, runs, not options["no_cache"]) for one in chosen]
    outcomes: list[Proof] = []
    failed: dict[str, Made] = {}
    with executor_for(options["workers"], options["ray"]) as executor:
        made = (executor or OneProcess()).run(proved_in_a_folder, jobs, named=lambda job: f"the proof of {job.method}")
        for found, one in zip(chosen, in_order(made), strict=True):
            if one.proof is None:
                failed[found.name] = one
                say(f"{found.name} ended with an error: {one.trouble}")
                if one.hint:
                    say(one.hint)
            else:
                _bring_here(one.proof, Path(one.folder), found, options["keep"])
                outcomes.append(one.proof)
    if options["as_json"] and outcomes:
        print_json(outcomes if choose or len(chosen) > 1 else outcomes[0])
    if failed:
        last = next(reversed(failed.values()))
        if len(chosen) == 1:
            raise AdhereError(last.trouble, last.hint, last.code)
        raise AdhereError(
            f"{len(failed)} of {len(chosen)} experiments ended with an error: {', '.join(failed)}",
            "What ended each is said above; the others are proved, in their run folders.", last.code,
        )  # fmt: skip
    return EXIT_FINE if all(one.holds for one in outcomes) else EXIT_NOT_MET


def proved_in_a_folder(job: ProofJob) -> Iterator[Made]:
    """The proof of a job, made in a run folder of its own; what a worker does."""
    found, model = entry(job.method), opened(job.opening)
    settings = {"method": found.name, "code": fingerprint(found), "seeds": list(job.seeds)}
    try:
        run = begin_run(Path(job.runs), Plan("prove", settings, model_inputs(job.spec, model)), {})
        yield Made(_work(run, found, model, use_cache=job.use_cache), str(run.folder))
    except AdhereError as error:
        yield Made(None, trouble=error.message, hint=error.hint, code=error.code)


def _bring_here(proof: Proof, folder: Path, found: Entry, keep: bool) -> None:
    """Say what came out, store it where it is to be kept, and write what a worker of another machine left there."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        write_proof(proof, folder / "proof.json")
        write_proof_page(proof, found, folder / "report.html")
    if keep:
        write_proof(proof)
    say(f"{found.name} {proof.verdict}")
    say(f"Report: {folder / 'report.html'}")


def _chosen(names: Sequence[str], choose: str | None) -> list[Entry]:
    if bool(names) == bool(choose):
        raise SettingsError("expected methods to prove, or --all, or --stale", "For example: adhere prove best-of-n")
    if choose:
        found = [one for one in entries() if has_experiment(one)]
        return [one for one in found if choose == "all" or status_of(one, read_proof(one.name)) in ("stale", "runs")]
    chosen = [entry(name) for name in names]
    for one in chosen:
        if not has_experiment(one):
            raise SettingsError(f"{one.name} states no claim that could be proved", f"It is a sketch: {one.path}")
    return chosen


def go_on(folder: Path, as_json: bool, use_cache: bool) -> int:
    """`adhere resume` of a proof: walk it again, asking only for what is missing."""
    plan = plan_of(folder, "prove", lambda one: entry(one.settings["method"]), MODEL_INPUTS)
    found = entry(plan.settings["method"])
    if plan.settings["code"] != fingerprint(found):
        raise SettingsError(
            f"{found.name} has changed since this proof began", f"Begin anew: adhere prove {found.name}"
        )
    proof = _work(Run.open(folder), found, model_of(plan), use_cache=use_cache)
    _bring_here(proof, folder, found, keep=False)
    if as_json:
        print_json(proof)
    return EXIT_FINE if proof.holds else EXIT_NOT_MET


def _work(run: Run, found: Entry, model: Generates, *, use_cache: bool) -> Proof:
    say(f"{found.name}: {found.card.claim}")
    run.stage = "prove"
    with working(run), TerminalProgress() as progress, through_cache(model, use_cache) as asked:
        place, seeds = run.folder / "models", run.plan.settings["seeds"]
        lab = Lab(run.remember(asked), place, tuner=shared_tuning(progress), seeds=seeds, progress=progress)
        proof = proved(load(found), lab, found)
    write_proof(proof, run.folder / "proof.json")
    write_proof_page(proof, found, run.folder / "report.html")
    run.finish()
    forget_models(run)
    return proof


def forget_models(run: Run) -> None:
    """Take away the models that were tuned on the way, 0.8 GB each for the embedded one: what was found is written."""
    shutil.rmtree(run.folder / "models", ignore_errors=True)


def proved(module: ModuleType, lab: Lab, found: Entry) -> Proof:
    """The proof of a method, marked with the code that it was made by."""
    proof: Proof = module.prove(lab)
    return msgspec.structs.replace(proof, fingerprint=fingerprint(found))
