"""For all tests: no call cache but the ones that a test opens itself."""

from __future__ import annotations

import os

# In the environment and not in a fixture, so that commands run in processes of their own have it too.
os.environ["ADHERE_CALL_CACHE"] = "off"
