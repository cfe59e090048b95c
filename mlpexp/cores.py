"""How many cores there are to compute on."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        # Not available on every system.
        return os.cpu_count() or 1
