"""Where the time of a stack goes."""

from __future__ import annotations

import time
from collections import defaultdict


class Stopwatch:
    """Seconds by activity. A lap costs a fraction of a microsecond; members are not timed separately."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._since = time.perf_counter()

    def start(self) -> None:
        """Starts the clock; earlier time is not counted."""
        self._since = time.perf_counter()

    def lap(self, what: str) -> None:
        """Adds the time since the last lap, or the start, to `what`."""
        now = time.perf_counter()
        self.seconds[what] += now - self._since
        self._since = now
