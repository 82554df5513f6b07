"""Which test images each replicate classifies right, and what an accuracy is worth on new images."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weight_atlas import records, right_answers, stats, store
from weight_atlas.vocabulary import Protocol, Status

Right = dict[str, dict[int, NDArray[np.bool_]]]  # {cell_id: {seed: [images]}}


class RightRow(NamedTuple):
    """A row of right.csv."""

    cell_id: str
    seed: int
    protocol: str
    test_images: int
    bits: str


def rows(asked: Mapping[str, Any]) -> list[RightRow]:
    """The right answers of all finished replicates of trained cells, by protocol; given checkpoints record none."""
    found = []
    for cell_id, cell in asked.items():
        for seed, block, _, record in records.replicates(cell["blocks"], cell["seeds"], check=False):
            path = store.right_path(block, seed)
            if record["status"] == Status.DONE and path.exists():
                images = int(store.tensor_header(path).metadata["images"])
                for protocol, packed in sorted(store.load_arrays(path).items()):
                    found.append(RightRow(cell_id, seed, protocol, images, right_answers.to_text(packed)))
    return found


def by_cell(right: pd.DataFrame, sound: pd.DataFrame, protocol: str = Protocol.BEST_VALID) -> Right:
    """The right answers by one protocol of the replicates that are done and in `sound`, rows of runs.csv."""
    kept = right[right["protocol"] == protocol].merge(
        sound.loc[sound["status"] == Status.DONE, ["cell_id", "seed"]], on=["cell_id", "seed"]
    )
    found: Right = {}
    for cell_id, seed, bits in right_answers.of_rows(kept):
        found.setdefault(cell_id, {})[seed] = bits
    return found


def crossed(right: pd.DataFrame, sound: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows of crossed.csv, as tuples (cell_id, protocol, n, test_images, mean, low, high, low_new, high_new, var_seeds,
    var_images, var_residual): see `stats.crossed_means`. Cells with two replicates in `sound` have one."""
    made: list[tuple[Any, ...]] = []
    for protocol in (Protocol.LAST, Protocol.BEST_VALID):
        for cell_id, by_seed in by_cell(right, sound, protocol).items():
            if len(by_seed) > 1:
                found = stats.crossed_means(np.stack(list(by_seed.values())).astype(float))
                ends = (*found.these_images[:2], *found.new_images[:2])
                parts = (found.var_seeds, found.var_images, found.var_residual)
                made.append((cell_id, protocol, found.seeds, found.images, found.mean, *ends, *parts))
    place = {cell_id: number for number, cell_id in enumerate(dict.fromkeys(right["cell_id"]))}
    return sorted(made, key=lambda row: place[row[0]])


def differences(pairs: Sequence[tuple[str, str]], right: Right) -> NDArray[np.float64] | None:
    """float64 [seeds, images]: how much more often each image is classified right by the second cell of a pair than by
    the first, averaged over the pairs; None where the cells see different images, or share fewer than two seeds."""
    sides = [right.get(cell_id, {}) for pair in pairs for cell_id in pair]
    seeds = sorted(set.intersection(*map(set, sides)))
    sizes = {len(side[seed]) for side in sides for seed in seeds}
    if len(seeds) < 2 or len(sizes) != 1:
        return None
    changes = [[right[two][seed] * 1.0 - right[one][seed] for one, two in pairs] for seed in seeds]
    averaged: NDArray[np.float64] = np.array(changes, np.float64).mean(axis=1)
    return averaged
