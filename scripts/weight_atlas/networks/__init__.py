"""Networks: one module per architecture, read without torch.

A network is a file of `architectures/`; its name is the file's. To add one, drop a file there and name it in the config
as `architecture: residual`. This is a whole one (scripts/weight_atlas/networks/architectures/residual.py):

    from typing import Literal

    from weight_atlas.networks.table import Table, scaled

    MIN_SIZE = 4  # smaller images are zero-padded to this many pixels; leave it out where any size works


    def layers(table: Table, classes: int, *, width: float = 1.0, blocks: Literal[1, 2, 3] = 2) -> None:
        channels = scaled(16, width)
        x = table.conv("stem", channels, 3, padding=1)
        for n in range(1, blocks + 1):
            table.conv(f"block{n}.conv", channels, 3, padding=1, bias=False, input=x)
            table.batchnorm(f"block{n}.norm")
            table.relu(f"block{n}.relu")
            x = table.add(f"block{n}.add", x, f"block{n}.relu")
        table.maxpool("pool", 4)
        table.flatten("flat")
        table.linear("fc", classes)

`layers` fills the table (see `weight_atlas.networks.table`): every method takes the layer's torch name, feeds it from
the layer above unless `input=` names another, and gives the name back. Keyword-only parameters other than `width` are
the network's options in the config: each needs a default and an annotation (Literal, int, float or bool). The file
imports no torch at its top. `build` makes a torch module of the rows; a file may also have `skeleton(classes,
**options)`, which returns a torch module with the same tensor names (torchvision's, say), whose layers are then
replaced by the table's. Where torchvision's ImageNet weights fit, `published(**options)` says which.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from weight_atlas import plugins
from weight_atlas.networks import architectures, foreign, named, stored
from weight_atlas.networks.named import is_foreign
from weight_atlas.networks.table import Table, TooSmall

__all__ = [
    "PublishedWeights",
    "Table",
    "check_options",
    "fitting_size",
    "input_size",
    "is_foreign",
    "layer_table",
    "load_architecture",
    "names",
    "options",
    "published_weights",
]

SIGNATURE = "layers(table, classes, *, width=1.0)"
_LARGEST = 512  # where the search for the smallest size that works ends


class PublishedWeights(NamedTuple):
    """ImageNet weights that fit a network: torchvision's name, and the layers that fit (None: all)."""

    name: str
    layers: list[str] | None


def names() -> list[str]:
    """Sorted names of all networks: the files of `architectures/` without a leading underscore."""
    return plugins.names(architectures.__path__)


def load_architecture(architecture: str) -> ModuleType:
    """The module of a network. Raises ValueError where there is no such file, or where it has no `layers`."""
    return plugins.load(architectures, architecture, "architecture", SIGNATURE)


def options(architecture: str) -> Mapping[str, plugins.Option]:
    """The options of a network by name: the keyword-only parameters of its `layers` but width.

    Raises ValueError for an unknown architecture and for an option without a default or an allowed annotation.
    """
    return _options(load_architecture(architecture).layers, architecture)


@cache  # every cell of a plan asks
def _options(function: Callable[..., object], architecture: str) -> Mapping[str, plugins.Option]:
    if "width" not in inspect.signature(function).parameters:
        raise ValueError(f"architecture '{architecture}': its layers() takes no width; begin it as {SIGNATURE}")
    return plugins.declared_options(function, f"architecture '{architecture}'", skip=("width",))


def check_options(architecture: str, values: Mapping[str, object]) -> None:
    """Raises ValueError for the first option that the network does not have or whose value it does not allow."""
    plugins.check_options(options(architecture), values, f"architecture '{architecture}'")


def published_weights(network: Mapping[str, Any]) -> PublishedWeights | None:
    """The ImageNet weights that fit a network, as its file says in `published(**options)`; only at width 1.

    Those of a network of torchvision fit all its layers but the last, if it has torchvision's own stem and options.
    """
    if is_foreign(network["architecture"]):
        is_own = named.is_torchvision(network["architecture"]) and not network["options"]
        return PublishedWeights(network["architecture"].partition(":")[2], None) if is_own else None
    module = load_architecture(network["architecture"])
    if network["width"] != 1 or not hasattr(module, "published"):
        return None
    weights = module.published(**network["options"])
    return weights and PublishedWeights(*weights)


def fitting_size(network: Mapping[str, Any], channels: int, size: int, classes: int) -> int:
    """The image size in pixels that a network takes for images of `size`: that of `input_size`, or the next one at
    which a traced network runs.

    Raises what `input_size` and `foreign.traced` raise.
    """
    if is_foreign(network["architecture"]):
        return foreign.traced(network, channels, size, classes).size
    return input_size(network["architecture"], size)


def input_size(architecture: str, size: int) -> int:
    """The image size in pixels that a network of the library takes: its MIN_SIZE where images of `size` are smaller.

    Raises ValueError where its MIN_SIZE is no number of pixels.
    """
    smallest = getattr(load_architecture(architecture), "MIN_SIZE", 1)
    if type(smallest) is not int or not 1 <= smallest <= _LARGEST:
        raise ValueError(
            f"architecture '{architecture}': MIN_SIZE is {smallest!r}; allowed: a whole number from 1 to {_LARGEST}"
        )
    return max(size, smallest)


def layer_table(network: Mapping[str, Any], channels: int, size: int, classes: int) -> Table:
    """The layer table of a network.

    Parameters
    ----------
    network : {"architecture": name, "width": 1.0, "options": {}}
        Width and options may be left out; of other keys only `tensors` is read, which a model has of which only the
        tensors are known: they, folded, are the table (see `stored`).
    channels, size : int
        Of the images [channels, size, size], after padding (see `input_size`).
    classes : int
        Outputs of the last layer.

    Raises
    ------
    ValueError
        In one line, for an unknown architecture or option, a width that is no positive number, an image that is too
        small (with the smallest size that works), and rows that do not end in one output per class.
    """
    if network.get("tensors"):
        return stored.Stored(stored.unfold(network["tensors"]))
    architecture, width = network["architecture"], network.get("width", 1.0)
    if is_foreign(architecture):
        return _traced(network, channels, size, classes)
    values = network.get("options") or {}
    check_options(architecture, values)
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < float("inf"):
        raise ValueError(f"architecture '{architecture}': width is {width!r}; allowed: a number above 0, such as 0.25")

    def fill(size: int) -> Table:
        table = Table(channels, size)
        load_architecture(architecture).layers(table, classes, width=width, **values)
        return table

    try:
        table = fill(size)
    except TooSmall as error:
        works = next((larger for larger in range(size + 1, _LARGEST + 1) if _fits(fill, larger)), None)
        smallest = f"the smallest size that works is {works}" if works else f"no size up to {_LARGEST} works"
        raise ValueError(f"architecture '{architecture}' with images of {size}x{size}: {error}; {smallest}") from None
    _check_ends(architecture, table, classes)
    return table


def _traced(network: Mapping[str, Any], channels: int, size: int, classes: int) -> Table:
    table = foreign.traced(network, channels, size, classes)
    if table.size != size:
        raise ValueError(
            f"{network['architecture']} with images of {size}x{size}: does not run; the smallest size that works is "
            f"{table.size}"
        )
    return table


def _fits(fill: Callable[[int], Table], size: int) -> bool:
    try:
        fill(size)
    except TooSmall:
        return False
    return True


def _check_ends(architecture: str, table: Table, classes: int) -> None:
    """Raises ValueError unless the last layer gives one value per class and every other layer feeds one."""
    if not table.layers or table.layers[-1].out_shape != (classes,):
        shape = table.layers[-1].out_shape if table.layers else None
        raise ValueError(f"architecture '{architecture}': its last layer gives {shape}; it must give {(classes,)}")
    used = {name for layer in table.layers for name in layer.inputs}
    for layer in table.layers[:-1]:
        if layer.name not in used:
            raise ValueError(f"architecture '{architecture}': layer '{layer.name}' feeds no other; use it or drop it")
