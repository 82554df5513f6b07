"""What became of each replicate, for runs.csv. No torch, no pandas."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from weight_atlas import records
from weight_atlas.plan import recipe
from weight_atlas.vocabulary import Status


class Run(NamedTuple):
    """A row of runs.csv; what a run did not report is None."""

    cell_id: str
    seed: int
    status: str
    cause: str | None
    epochs: int | None
    best_epoch: int | None
    wall_seconds: float | None
    images_per_second: float | None
    peak_memory_mib: float | None
    peak_gpu_memory_mib: float | None
    device: str | None
    device_name: str | None
    threads: int | None
    torch: str | None
    code: str | None
    learnt: bool | None
    counted: bool
    started: str | None


def rows(
    cell_id: str,
    blocks: Sequence[str],
    seeds: Sequence[int],
    missing: Mapping[tuple[str, int], str],
    learnt: Mapping[tuple[str, int], bool],
) -> list[Run]:
    """One row per seed.

    Parameters
    ----------
    cell_id, blocks, seeds : str, directories, ints
        The cell, and its replicates.
    missing : {(cell, seed): why}
        The replicates whose files a measure found not to be those that were recorded.
    learnt : {(cell, seed): bool}
        See `weight_atlas.analysis.runs.learnt`; of replicates that are not done it does not count.

    Means count the replicates that are done and learnt; in a cell of which none learnt, all that are done.
    """
    runs: list[Run] = []
    for seed, _, _, record in records.replicates(list(blocks), list(seeds), check=False):
        if (cell_id, seed) in missing:
            record = record | {"status": Status.MISSING, "cause": missing[cell_id, seed]}
        runs.append(
            Run(
                cell_id=cell_id,
                seed=seed,
                status=record["status"],
                cause=record.get("cause"),
                epochs=record.get("epochs"),
                best_epoch=record.get("best_epoch"),
                wall_seconds=record.get("wall_seconds"),
                images_per_second=record.get("images_per_second"),
                peak_memory_mib=record.get("peak_memory_mib"),
                peak_gpu_memory_mib=record.get("peak_gpu_memory_mib"),
                device=record["machine"].get("device"),
                device_name=record["machine"].get("device_name"),
                threads=record["machine"].get("threads"),
                torch=record["machine"].get("versions", {}).get("torch"),
                code=(record["recipe"].get("code") or "")[: recipe.SHOWN] or None,
                learnt=learnt.get((cell_id, seed)) if record["status"] == Status.DONE else None,
                counted=record["status"] == Status.DONE,
                started=record.get("started"),
            )
        )
    sound = [run.counted and run.learnt is not False for run in runs]
    return [run._replace(counted=one) for run, one in zip(runs, sound, strict=True)] if any(sound) else runs
