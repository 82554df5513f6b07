"""Which test images each replicate classifies right, and what an accuracy is worth on new images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weight_atlas import right_answers, stats
from weight_atlas.vocabulary import Protocol, Status

Right = dict[str, dict[int, NDArray[np.bool_]]]  # {cell_id: {seed: [images]}}


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
