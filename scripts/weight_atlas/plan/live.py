"""The page of a run while it runs: a thread of Snakemake's own process writes it anew every few seconds. Each
minute it says on the console how much is left."""

import contextlib
import sys
import threading
import time

from weight_atlas.plan import outcome, pace, status_page
from weight_atlas.plan.progress import Progress
from weight_atlas.plan.study import Plan

SECONDS = 5.0  # between two pages
TOLD = 60.0  # between two lines on the console
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
        pause, told = 0.0, time.monotonic()
        while not self._ended.wait(pause):
            began = time.monotonic()
            progress = self._write(works=True)
            if progress and began - told > TOLD and (line := left(progress)):
                told = began
                print(line, file=sys.stderr, flush=True)
            pause = max(SECONDS, (time.monotonic() - began) / SHARE)
        if progress := self._write(works=False):
            pace.remember(self._plan, progress.paces(pace.LEAST))

    def _write(self, works: bool) -> Progress | None:
        with contextlib.suppress(OSError, ValueError):
            progress = Progress(self._plan)
            status_page.write(progress, works)
            return progress
        return None

    def end(self) -> None:
        """Write the last page, where a first one was begun."""
        self._ended.set()
        if self.is_alive():
            self.join()


def left(progress: Progress) -> str:
    """The line on the console: how many replicates have ended, and about how long all that is left takes; "" at the end
    of that."""
    plan, counts = progress.plan, progress.counts(progress.plan.replicates)
    ended = sum(counts[state] for state in ("done", "failed", "diverged"))
    seconds = progress.seconds_left() + progress.measuring_seconds_left()
    if not seconds:
        return ""
    said = f"{plan.config.name}: {ended} of {counts.total()} replicates have ended"
    return f"{said}; about {outcome.spoken(seconds)} left, measures included"
