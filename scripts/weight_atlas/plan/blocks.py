"""Which replicates one job trains: the blocks on disk first, then what is missing."""

import os
import re
from pathlib import Path

Block = tuple[int, int]
_BLOCK = re.compile(r"seeds_(\d+)-(\d+)$")


def name(block: Block) -> str:
    """The block's directory: `seeds_0-2` holds the replicates 0, 1 and 2."""
    return f"seeds_{block[0]}-{block[1]}"


def parse(text: str) -> Block:
    """(0, 2) for `seeds_0-2`."""
    match = _BLOCK.search(text)
    if match is None:
        raise ValueError(f"{text}: is not the name of a block, seeds_<first>-<last>")
    return int(match[1]), int(match[2])


def on_disk(cells: Path) -> dict[str, list[Block]]:
    """The finished blocks of every cell below `cells` (a directory of cell directories)."""
    finished: dict[str, list[Block]] = {}
    if not cells.is_dir():
        return finished
    for cell in os.scandir(cells):
        for entry in os.scandir(cell.path) if cell.is_dir() else ():
            if _BLOCK.match(entry.name) and os.path.exists(os.path.join(entry.path, "run.json")):
                finished.setdefault(cell.name, []).append(parse(entry.name))
    return {cell: sorted(blocks) for cell, blocks in finished.items()}


def cover(replicates: int, per_job: int, finished: list[Block]) -> list[Block]:
    """Blocks that hold the seeds 0 .. replicates - 1, each once: finished ones where they fit, new ones for the gaps.

    With 3 replicates finished as one block, 5 are blocks 0-2 and 3-4: raising the number trains only the new ones.
    A finished block that reaches beyond what is asked serves too; its surplus replicates are not read.
    """
    chosen: list[Block] = []
    seed = 0
    while seed < replicates:
        candidates = [block for block in finished if block[0] == seed]
        if candidates:
            chosen.append(max(candidates))
        else:
            later = [block[0] for block in finished if block[0] > seed]
            end = min([replicates, seed + per_job, *later])
            chosen.append((seed, end - 1))
        seed = chosen[-1][1] + 1
    return chosen
