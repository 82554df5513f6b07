"""Results that are dated in the future, by a clock that was set back or is of another machine.

Snakemake makes again what is older than its inputs. Beside a date in the future all that is made now looks old, and
what is made from it later does not look outdated.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from weight_atlas.plan.study import Plan, block_path

TOLERANCE = 1.0  # seconds


def set_right(plan: Plan) -> int:
    """Date what a plan has made, and what is dated in the future, as of now; returns how many files and folders.

    Those that nobody may change stay: Snakemake takes them as they are (`snakemake_internals.ignore_dates`).
    """
    blocks = [plan.path(block_path(cell_id, block)) for cell_id, blocks in plan.blocks.items() for block in blocks]
    results, data = plan.path(f"results/{plan.config.name}"), plan.path("data")
    paths = [block / name for block in blocks for name in ("run.json", "metrics.csv")]
    return _date([*paths, *_below(results)], results.parent) + _date(_below(data), data)


def _below(folder: Path) -> Iterator[Path]:
    """A folder, and all files and folders below it; links are not followed."""
    yield folder
    for where, folders, files in os.walk(folder):
        yield from (Path(where) / name for name in (*folders, *files))


def _date(paths: Iterable[Path], folder: Path) -> int:
    """Date those of the paths that are in the future as of now, by the clock of the file system of a folder."""
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return 0
    with tempfile.TemporaryFile(dir=folder) as file:
        now = os.fstat(file.fileno()).st_mtime
    changed = 0
    for path in paths:
        try:
            if path.lstat().st_mtime > now + TOLERANCE:
                os.utime(path, (now, now), follow_symlinks=False)
                changed += 1
        except OSError:  # it is not there (any more), or somebody else's
            continue
    return changed
