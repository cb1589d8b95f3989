"""Hypothesis strategies for versions, snapshots and tags."""

from __future__ import annotations

import re

from hypothesis import strategies as st
from semver import Version

FIRST = Version(0, 1, 0)
IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
NUMBER = st.integers(min_value=0, max_value=4)
CANDIDATE = st.sampled_from(["", "alpha.1", "beta.2", "beta.11", "rc.1", "rc.2", "rc.10", "rc1", "x-y"])
KEYS = st.tuples(NUMBER, NUMBER, NUMBER, CANDIDATE)
CHANNEL = st.sampled_from(["", "alpha", "beta", "rc"])
