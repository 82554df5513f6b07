"""How long the odd files of the tests take until they are read or refused in a line, and how much memory.

    python benchmarks/look.py [--longest 5]

The files are those of the tables in `tests/unit/test_odd_files.py`, with a bomb as large as the bound that archives
have. Each is looked at by `prepare_dataset`, as the workflow does, in one process.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from tests.unit import test_odd_files as odd
from tests.unit.test_datasets import spec
from weight_atlas.datasets import archive
from weight_atlas.datasets.prepare import prepare_dataset

Case = tuple[str, dict, Path]  # its name, the data set, data_root


def folder(base: Path, number: int) -> Path:
    """A data_root with the classes a and b, of 12 images each."""
    for place, name in enumerate("ab"):
        odd.good(base / f"{number}/pets/{name}", place)
    return base / f"{number}"


def cases(base: Path) -> Iterator[Case]:
    """Each odd file where a data set has it, one after the other."""
    images = spec("folder", path="pets", size=odd.SIDE, channels=3)
    number = 0
    for name, one in odd.ODD.items():
        root = folder(base, number := number + 1)
        (root / "pets/a" / one.name).write_bytes(one.content)
        yield f"an image: {name}", images, root
    for name, place in odd.PLACES.items():
        root = folder(base, number := number + 1)
        place.build(root / "pets")
        yield f"a folder: {name}", images, root
    for name, one in odd.ZIPS.items():
        root = base / f"{(number := number + 1)}"
        root.mkdir()
        (root / "z.zip").write_bytes(one.content)
        yield f"a zip: {name}", images | {"path": "z.zip"}, root
    for name, (file, content, _) in odd.ODD_IDX.items():
        root = base / f"{(number := number + 1)}"
        (root / odd.RAW).mkdir(parents=True)
        for other, whole in odd.IDX.items():
            (root / odd.RAW / other).write_bytes(content if other == file else whole)
        yield f"an idx file: {name}", spec("torchvision"), root
    archives = {name: content for name, (content, _) in odd.ARCHIVES.items()}
    archives["a bomb"] = odd.zeros(odd.header(size=2**33), archive.MOST_UNPACKED // 2**20 + 1)
    for name, content in archives.items():
        root = base / f"{(number := number + 1)}"
        root.mkdir()
        (root / "m.tar").write_bytes(content)
        yield f"an archive: {name}", spec("torchvision", archive="m.tar"), root


def look(wanted: dict, root: Path) -> tuple[float, bool]:
    """The seconds until a data set is prepared or refused, and whether it is refused."""
    began = time.perf_counter()
    try:
        prepare_dataset(wanted, "odd", root, root / "odd.safetensors")
    except ValueError as error:
        assert str(error).isprintable(), "one line"
        return time.perf_counter() - began, True
    return time.perf_counter() - began, False


def mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--longest", type=int, default=5, help="how many are listed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        look(spec("torchvision", archive="none"), Path(base))  # imports
        look(spec("folder", path="pets"), folder(Path(base), 0))
        before = mib()
        found = [(*look(wanted, root), name) for name, wanted, root in cases(Path(base))]
        refused = sorted((seconds, name) for seconds, is_refused, name in found if is_refused)[::-1]
    print(f"{len(found)} odd files, {len(refused)} of them refused, {len(found) - len(refused)} read")
    print(f"median {statistics.median(row[0] for row in found):.3f} s", end="; ")
    print(f"at most {mib():.0f} MiB of memory, {before:.0f} of them to start\n")
    print("| The longest to be refused | s |\n| --- | ---: |")
    for seconds, name in refused[: chosen.longest]:
        print(f"| {name} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
