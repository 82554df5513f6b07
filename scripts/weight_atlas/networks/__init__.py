"""Networks: one module an architecture, read without torch.

A network is a file of `architectures/`; its name is the file's. To add one, drop a file there and name it in the config
as `architecture: residual`. This is a whole one (scripts/weight_atlas/networks/architectures/residual.py):

    from typing import Literal

    from weight_atlas.networks.table import scaled

    MINIMUM = 4  # smaller pictures are zero-padded to this many pixels; leave it out where any size works


    def layers(table, classes, *, width=1.0, blocks: Literal[1, 2, 3] = 2):
        channels = scaled(16, width)
        x = table.conv("stem", channels, 3, padding=1)
        for n in range(1, blocks + 1):
            table.conv(f"block{n}.conv", channels, 3, padding=1, bias=False, of=x)
            table.batchnorm(f"block{n}.norm")
            table.relu(f"block{n}.relu")
            x = table.add(f"block{n}.add", x, f"block{n}.relu")
        table.maxpool("pool", 4)
        table.flatten("flat")
        table.linear("fc", classes)

`layers` fills the table (see `weight_atlas.networks.table`): every method takes the layer's torch name, feeds it from
the layer above unless `of=` names another, and gives the name back. Keyword-only parameters other than `width` are the
network's options in the config: each needs a default and an annotation (Literal, int, float or bool). The file imports
no torch at its top. `build` makes a torch module of the rows; a file may also have `skeleton(classes, **options)`,
which returns a torch module with the same tensor names (torchvision's, say), whose layers are then fitted to the table.
"""

import importlib
import os

from weight_atlas.networks import architectures
from weight_atlas.networks.table import Layer, Table, TooSmall, scaled
from weight_atlas.options import check, declared

__all__ = [
    "Layer",
    "Table",
    "check_options",
    "module",
    "names",
    "options",
    "padded",
    "published",
    "scaled",
    "table",
]

_LARGEST = 512  # where the search for the smallest size that works ends


def names() -> list[str]:
    """Sorted names of all networks: the files of `architectures/` without a leading underscore."""
    files = {file[:-3] for folder in architectures.__path__ for file in os.listdir(folder) if file.endswith(".py")}
    return sorted(name for name in files if name.isidentifier() and not name.startswith("_"))


def module(architecture: str):
    """The module of a network. Raises ValueError where there is no such file, or where it has no `layers`."""
    if architecture not in names():
        raise ValueError(f"architecture '{architecture}': no such network; known: {', '.join(names())}")
    found = importlib.import_module(f"weight_atlas.networks.architectures.{architecture}")
    if not hasattr(found, "layers"):
        raise ValueError(f"architecture '{architecture}': {found.__file__} has no layers(table, classes, *, width=1.0)")
    return found


def options(architecture: str) -> dict[str, tuple]:
    """The options of a network: name -> (annotation, default), from the keyword-only parameters of `layers` but width.

    The annotation is a Literal, int, float or bool. Raises ValueError for an unknown architecture and for an option
    without such an annotation or without a default.
    """
    return declared(module(architecture).layers, f"architecture '{architecture}'", skip=("width",))


def check_options(architecture: str, chosen: dict) -> None:
    """Raises ValueError naming the first option that the network does not have or whose value it does not allow."""
    check(options(architecture), chosen, f"architecture '{architecture}'")


def published(network: dict) -> tuple[str, list[str] | None] | None:
    """(torchvision's name, layers or None for all) of the ImageNet weights that fit a network, as its file says in
    `published(**options)`; None where there are none. They fit at width 1 alone."""
    source = module(network["architecture"])
    if network["width"] != 1 or not hasattr(source, "published"):
        return None
    return source.published(**network["options"])


def padded(architecture: str, size: int) -> int:
    """The picture size that a network takes for pictures of `size`: its MINIMUM where they are smaller."""
    return max(size, getattr(module(architecture), "MINIMUM", 1))


def table(network: dict, channels: int, size: int, classes: int) -> Table:
    """The layer table of a network for pictures of (channels, size, size), `size` after padding (see `padded`).

    network: {"architecture": name, "width": 1.0, "options": {}}; width and options may be left out, other keys are not
    read. Raises ValueError, in one line, for an unknown architecture or option, a width that is no positive number, a
    picture too small (with the smallest size that works), and rows that do not end in one output a class.
    """
    architecture, width = network["architecture"], network.get("width", 1.0)
    chosen = network.get("options") or {}
    check_options(architecture, chosen)
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < float("inf"):
        raise ValueError(f"architecture '{architecture}': width is {width!r}; allowed: a number above 0, such as 0.25")

    def rows(size):
        filled = Table(channels, size)
        module(architecture).layers(filled, classes, width=width, **chosen)
        return filled

    try:
        filled = rows(size)
    except TooSmall as error:
        works = next((larger for larger in range(size + 1, _LARGEST + 1) if _has_room(rows, larger)), None)
        smallest = f"the smallest size that works is {works}" if works else f"no size up to {_LARGEST} works"
        raise ValueError(f"architecture '{architecture}' with pictures of {size}x{size}: {error}; {smallest}") from None
    _check_ends(architecture, filled, classes)
    return filled


def _has_room(rows, size: int) -> bool:
    try:
        rows(size)
    except TooSmall:
        return False
    return True


def _check_ends(architecture: str, filled: Table, classes: int) -> None:
    """Raises ValueError unless the last layer gives one value a class and every other layer feeds one."""
    if not filled.layers or filled.layers[-1].out_shape != (classes,):
        shape = filled.layers[-1].out_shape if filled.layers else None
        raise ValueError(f"architecture '{architecture}': its last layer gives {shape}; it must give {(classes,)}")
    used = {name for layer in filled.layers for name in layer.inputs}
    for layer in filled.layers[:-1]:
        if layer.name not in used:
            raise ValueError(f"architecture '{architecture}': layer '{layer.name}' feeds no other; use it or drop it")
