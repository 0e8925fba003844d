"""For all tests: no call cache but the ones that a test opens itself."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# In the environment and not in a fixture, so that commands run in processes of their own have it too.
os.environ["ADHERE_CALL_CACHE"] = "off"

# How long an example takes is the machine's business.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
