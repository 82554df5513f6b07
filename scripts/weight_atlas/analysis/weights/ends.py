"""What is compared between a replicate's first and last snapshot: unchanged parameters, and changes by tolerance."""

from weight_atlas import store
from weight_atlas.analysis.measure import CourseMeasure, Replicate, Snapshot
from weight_atlas.analysis.types import Rows
from weight_atlas.analysis.weights import tolerance, unchanged


class Ends(CourseMeasure):
    """Counts of parameters from the first to the last snapshot of a finished replicate whose values are all finite.

    A single given snapshot has nothing to be compared with.
    """

    name = "unchanged"
    tables = ("unchanged", "tolerance")

    def __init__(self, replicate: Replicate) -> None:
        super().__init__(replicate)
        self.start: Snapshot | None = None
        self.last: Snapshot | None = None
        self.finite = True

    def see(self, snapshot: Snapshot) -> None:
        self.finite = self.finite and snapshot.finite
        self.start, self.last = self.start or snapshot, snapshot

    def rows(self) -> Rows:
        start, last = self.start, self.last
        if self.replicate.record["status"] != "done" or not self.finite or start is None or last is None:
            return {name: [] for name in self.tables}
        if start is last:
            return {name: [] for name in self.tables}
        table, track = self.replicate.table, store.track_path(self.replicate.block, self.replicate.seed)
        bits = store.load_tensors(track) if track.exists() else None
        return {
            "unchanged": [*unchanged.rows(table, start.tensors, last.tensors, bits)],
            "tolerance": [*tolerance.rows(table, start.tensors, last.tensors)],
        }
