"""Two registers of the same constraint types: as published checkers read them, and with their loopholes closed.

`faithful` is for comparing with published numbers: it agrees with the reference verdict by verdict. `repaired` is for
training and for truth: each type judges by its `mended` reading where it has one (the family files say, type by type,
what the faithful reading lets through), and a reply without any letter or digit, such as a pair of quotation marks,
fails everything, since it says nothing. Only a type whose own example of a passing reply holds neither is exempt.

    types = register("repaired", IFEVAL_TYPES)
    judge(mended_checks(prompt, checks), reply, types)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import msgspec

from adhere.core.errors import VerifierError, did_you_mean
from adhere.core.verifier import Verdict
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.constraint import ConstraintType, Params, failed
from adhere.verify.data_errors import mended_checks
from adhere.verify.spans import says_something

__all__ = ["REGISTERS", "mended_checks", "register"]

REGISTERS = ("faithful", "repaired")
_Verify = Callable[[Params, str], Verdict]


def register(name: str, types: Mapping[str, ConstraintType] = ALL_TYPES) -> Mapping[str, ConstraintType]:
    """The types as they judge in a register, by id; `VerifierError` with the nearest name for an unknown one."""
    if name == "faithful":
        return types
    if name == "repaired":
        return MappingProxyType({key: _repaired(kind) for key, kind in types.items()})
    raise VerifierError(f"expected a register, found {name!r}", did_you_mean(name, REGISTERS))


def _repaired(kind: ConstraintType) -> ConstraintType:
    verify = kind.mended or kind.verify
    if all(says_something(example.gold) for example in kind.examples):
        verify = partial(_said, verify)
    return msgspec.structs.replace(kind, verify=verify)


def _said(verify: _Verify, params: Params, reply: str) -> Verdict:
    """The verdict on a reply that says something; one that does not fails, whatever it is asked for."""
    verdict = verify(params, reply)
    if verdict.passed and not says_something(reply):
        return failed("the reply says nothing: it holds no letter and no digit")
    return verdict
