"""Make docs/classifiers.md: what the workflow knows of every classifier of torchvision, traced one after another.

Takes a few minutes. `--check NAME ..` compares the lines of some networks with those of the page instead.
"""

import argparse
import bisect
import contextlib
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import torchvision  # noqa: E402

from weight_atlas.networks import foreign, named, symmetry, trace  # noqa: E402

PAGE = Path(__file__).with_suffix(".md")
HEAD = """# torchvision's classifiers

Each is a network by its name: `networks: {mobile: {torchvision: mobilenet_v3_small}}`. See
[Networks](networks.md#torchvisions-networks). This page is made by `python docs/classifiers.py`, which traces each one
for ten classes and colour images.

- *smallest image*: pixels per side, with torchvision's own stem. Smaller images are padded with black to the next size
  that works.
- *layers*: rows of the layer table; *with weights*: convolutions and linear layers.
- *stages*: the depths of `depths: stages`, the last one the whole network: how many layers with weights there are up to
  the end of each block.
- *channels matched*: in how many of the layers with weights the channels can be put in another order without a change
  of what the network computes. Only these are matched before two networks are averaged or correlated
  (`analysis/alignment`). Normalisation over channels, attention, concatenation and convolutions in several groups keep
  the others where they are. All other measures take any network: movement, statistics, what never changed, features,
  barriers, convergence, laziness.

| network | parameters | smallest image | layers | with weights | stages | channels matched |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


LARGEST = 224  # pixels, that every network takes
DIVIDED = ("vit_", "maxvit_")  # what divides its images into parts, and so does not take every larger size


def smallest(name: str) -> foreign.TracedTable:
    """The table for the smallest images that a network takes."""

    def traced(size: int) -> foreign.TracedTable | None:
        arguments = ({"architecture": f"{named.TORCHVISION}:{name}", "width": 1.0, "options": {}}, 3, size, 10)
        with contextlib.suppress(Exception):
            return foreign.TracedTable(arguments, trace.traced(*arguments))
        return None

    sizes = [n for n in range(1, LARGEST + 1) if not name.startswith(DIVIDED) or n % 14 == 0 or n % 16 == 0]
    if name.startswith(DIVIDED):
        return next(table for table in map(traced, sizes) if table)
    table = traced(sizes[bisect.bisect_left(sizes, True, key=lambda size: traced(size) is not None)])
    assert table is not None
    return table


def line(name: str) -> str:
    """A network's line of the table."""
    table = smallest(name)
    heavy = {layer.name for layer in table.weight_layers}
    moved = {
        axis.tensor.rpartition(".")[0]
        for group in symmetry.groups(table)
        if group.permutation
        for axis in group.axes
        if axis.axis == 0
    }
    cells = [table.parameter_count, table.size, len(table.layers), len(heavy), len(table.stages), len(moved & heavy)]
    return f"| `{name}` | {' | '.join(f'{cell:,}' for cell in cells)} |"


def main() -> None:
    """Write the page, or compare lines of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", nargs="+", default=[], metavar="NAME", help="compare these networks' lines")
    names = parser.parse_args().check
    warnings.filterwarnings("ignore")
    if names:
        page = PAGE.read_text(encoding="utf-8").splitlines()
        if wrong := [made for made in map(line, names) if made not in page]:
            raise SystemExit(
                "docs/classifiers.md has other lines; run python docs/classifiers.py:\n" + "\n".join(wrong)
            )
        return
    lines = []
    for name in torchvision.models.list_models(torchvision.models):
        lines.append(line(name))
        print(lines[-1], flush=True)
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
