"""The page of a run while it runs: a thread of Snakemake's own process writes it anew every few seconds."""

import contextlib
import threading
import time

from weight_atlas.plan import status_page
from weight_atlas.plan.progress import Progress
from weight_atlas.plan.study import Plan

SECONDS = 5.0  # between two pages
SHARE = 0.02  # of its time, at most, that the process spends on them


class Follower(threading.Thread):
    """Writes the page of a plan until it is told that the run has ended, and then once more.

    It never stops a run: what cannot be read or written is left to the next page. It ends with the process.
    """

    def __init__(self, plan: Plan):
        super().__init__(name="status page", daemon=True)
        self._plan, self._ended = plan, threading.Event()

    def run(self) -> None:
        """Write, and wait, until the end."""
        pause = 0.0
        while not self._ended.wait(pause):
            began = time.monotonic()
            self._write(works=True)
            pause = max(SECONDS, (time.monotonic() - began) / SHARE)
        self._write(works=False)

    def _write(self, works: bool) -> None:
        with contextlib.suppress(OSError, ValueError):
            status_page.write(Progress(self._plan), works)

    def end(self) -> None:
        """Write the last page, where a first one was begun."""
        self._ended.set()
        if self.is_alive():
            self.join()
