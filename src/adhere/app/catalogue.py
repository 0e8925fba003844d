"""`adhere list` and `adhere show`: the methods, what each claims, and what its proof found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adhere.app.output import print_json
from adhere.core.errors import EXIT_FINE, SettingsError, did_you_mean
from adhere.core.method import ARROWS, FAMILIES
from adhere.core.proof import Proof
from adhere.methods.catalogue import Entry, entries, entry, load, settings_of, settings_said
from adhere.methods.proofs import STATUSES, proof_path, read_proof, status_of

METHODS_INTRO = """# Methods

Made from the code by `python .ci/check_documents.py --write`; do not edit. Each method is one file under one contract:
`adhere show METHOD` prints its idea and settings, `adhere prove METHOD` runs its experiment.

Status: `sketch` has no experiment, `runs` has one that was not run on a real model, `tiny` holds on the embedded 135M
model, `full` at a larger size, `refuted` does not hold there, `stale` was proved with other code.
"""


def list_command(words: Sequence[str], arrow: str | None, family: str | None, status: str | None, as_json: bool) -> int:
    """The methods, or those of an arrow, family or status whose name, summary or docstring holds all `words`."""
    limits = ((arrow, ARROWS, "arrow"), (family, FAMILIES, "family of methods"), (status, STATUSES, "status"))
    for given, known, what in limits:
        if given is not None and given not in known:
            raise SettingsError(f"no {what} {given!r}", did_you_mean(given, known))
    rows = []
    for one in entries():
        proof = read_proof(one.name)
        now = status_of(one, proof)
        said = f"{one.name} {one.arrow} {one.card.summary} {one.idea}".lower()
        is_meant = arrow in (None, one.arrow) and family in (None, one.card.family) and status in (None, now)
        if is_meant and all(word.lower() in said for word in words):
            rows.append((one, now, proof))
    if as_json:
        print_json([listed(*row) for row in rows])
        return EXIT_FINE
    for one, now, proof in rows:
        found = f"  [{effect_in_words(proof)}]" if proof is not None else ""
        print(f"{one.arrow:9} {one.name:28} {now:8} {one.card.summary}{found}")
    return EXIT_FINE


def listed(one: Entry, status: str, proof: Proof | None) -> dict[str, Any]:
    """A method as an object of `adhere list --json`."""
    return {
        "name": one.name,
        "arrow": one.arrow,
        "family": one.card.family,
        "seed": one.card.seed,
        "paper": one.card.paper,
        "status": status,
        "claim": one.card.claim,
        "effect": None if proof is None else proof.interval.difference,
        "interval": None if proof is None else proof.interval.ends,
        "summary": one.card.summary,
    }


def effect_in_words(proof: Proof) -> str:
    """The effect of a proof with its interval: `+0.124 (+0.060 to +0.188)`."""
    found = proof.interval
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def show_command(method: str, as_json: bool) -> int:
    """A method's docstring, settings, proof and path."""
    found = entry(method)
    proof = read_proof(found.name)
    now = status_of(found, proof)
    module = load(found)
    settings = settings_of(module)
    if as_json:
        defaults = {name: default for name, _, default in settings}
        more = {"version": found.card.version, "settings": defaults, "path": found.path, "proof": proof}
        print_json({**listed(found, now, proof), **more})
        return EXIT_FINE
    print(f"{found.arrow} {found.name} (version {found.card.version}, {now})\n\n{found.idea}\n\nSettings")
    print(f"  {settings_said(module)}\n".replace("\n", "\n  ").rstrip() + "\n")
    for name, kind, default in settings:
        print(f"  {name} = {default!r}   ({kind})")
    if found.card.claim:
        print(f"\nClaim\n  {found.card.claim}\n  Measured: {found.card.metric}.")
    if proof is not None:
        print(f"\nProof ({proof.made}, {proof.model}, {proof.interval.n} {proof.unit}, seeds {list(proof.seeds)})")
        for side in (proof.baseline, proof.treated):
            print(f"  {side.value:8.3f}  {side.name} ({side.tokens:,} tokens)")
        print(f"  {proof.verdict}")
        for name, value in proof.numbers.items():
            print(f"  {value:8.3f}  {name}")
        print(f"  {proof.remark}" if proof.remark else "", end="\n" if proof.remark else "")
        print(f"  File  {proof_path(found.name)}")
    print(f"\nFile  {found.path}")
    return EXIT_FINE


def methods_table() -> str:
    """The methods with a proof, one line each, for the README; in the order of the catalogue."""
    lines = [
        "| Method | Arrow | Status | Claim at 135M | Baseline | Treated | Difference (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in entries():
        proof = read_proof(one.name)
        if proof is not None:
            lines.append(
                f"| [`{one.name}`](docs/methods.md#{one.name}) | {one.arrow} | {status_of(one, proof)} | {proof.claim} "
                f"| {proof.baseline.value:.3f} | {proof.treated.value:.3f} | {effect_in_words(proof)} |"
            )
    return "\n".join(lines) + "\n"


def methods_page() -> str:
    """The catalogue of methods as Markdown, made from their cards and proofs."""
    found = entries()
    parts = [METHODS_INTRO]
    for arrow in ARROWS:
        own = [one for one in found if one.arrow == arrow]
        if own:
            parts += [f"## {arrow}", "", *(line for one in own for line in _described(one))]
    return "\n".join(parts).rstrip() + "\n"


def _described(one: Entry) -> list[str]:
    """The section of a method."""
    proof, card = read_proof(one.name), one.card
    source = f" Paper: {card.paper}." if card.paper else ""
    lines = [f"### {one.name}", "", f"{card.summary}{source} Status: **{status_of(one, proof)}**.", ""]
    if card.claim:
        lines += [f"Claim: {card.claim} Measured: {card.metric}.", ""]
    if proof is not None:
        seeds = ", ".join(map(str, proof.seeds))
        lines += [
            f"Proof ({proof.made}, {proof.model}, {proof.interval.n} {proof.unit}, seeds {seeds}): "
            f"{proof.baseline.name} {proof.baseline.value:.3f}, {proof.treated.name} {proof.treated.value:.3f}; "
            f"{proof.verdict}. Tokens: {proof.baseline.tokens:,} and {proof.treated.tokens:,}.",
            "",
        ]
        lines += [f"{proof.remark}", ""] if proof.remark else []
    return lines
