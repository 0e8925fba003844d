"""`adhere.verify` as a library: its names, and what importing them brings along."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import adhere.verify


@pytest.mark.parametrize("name", adhere.verify.__all__)
def test_every_name_is_there(name: str) -> None:
    first, second = getattr(adhere.verify, name), getattr(adhere.verify, name)
    assert first is second
    assert not isinstance(first, ModuleType)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="judgement"):
        adhere.verify.judgement  # noqa: B018


def test_the_checks_import_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from adhere.verify import ALL_TYPES, Check, judge, register, correct\n"
        "import adhere.verify.find, adhere.verify.audit, adhere.verify.compose\n"
        "assert judge([Check('punctuation:no_comma')], 'No comma.', ALL_TYPES).prompt_passed()\n"
        "heavy = {'torch', 'transformers', 'numpy', 'openvino', 'pyarrow', 'yaml', 'jsonschema', 'langdetect'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
