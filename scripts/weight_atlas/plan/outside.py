"""Archives, weights and checkpoints that a config names, and that a link takes out of data_root."""

import os
from collections.abc import Iterator
from pathlib import Path

from weight_atlas.plan import sharded, spec
from weight_atlas.plan.checks import ConfigError


def check(config: spec.Config) -> None:
    """Refuse links that lead out of data_root, unless the config says that they may: it may be somebody else's.

    Folders of images are not asked: their files are only ever decoded as images.
    """
    root = os.path.realpath(config.data_root)
    if config.outside_data_root:
        return
    for place, name in _named(config):
        target = os.path.realpath(os.path.join(root, name))
        if os.path.commonpath([root, target]) != root:
            raise ConfigError(
                f"{place}: {name!r} is a link that leads out of data_root, to {target}; put the file there instead, or "
                "set outside_data_root: true if you trust it"
            )


def _named(config: spec.Config) -> Iterator[tuple[str, str]]:
    """(the key, the path below data_root) of what a config names."""
    for label, dataset in config.datasets.items():
        if isinstance(dataset, spec.Torchvision) and dataset.archive:
            yield f"datasets.{label}.archive", dataset.archive
        if isinstance(dataset, spec.Csv | spec.Npz):
            yield f"datasets.{label}.path", dataset.path
        if isinstance(dataset, spec.Npy):
            for split, pair in (("train", dataset.train), ("valid", dataset.valid), ("test", dataset.test)):
                yield from ((f"datasets.{label}.{split}.{key}", path) for key, path in pair or ())
    for label, inits in config.inits.items():
        files = (init.file for init in (inits if isinstance(inits, list) else [inits]))
        yield from ((f"inits.{label}.file", file) for file in files if file)
    for label, given in config.given.items():
        for name in [given.files] if isinstance(given.files, str) else given.files:
            yield f"given.{label}.files", name
            path = Path(config.data_root, name)
            folder = path.parent if sharded.is_index(path) else path
            links = (link.relative_to(config.data_root) for link in _links(folder, 2))
            yield from ((f"given.{label}.files", link.as_posix()) for link in links)


def _links(folder: Path, levels: int) -> Iterator[Path]:
    """The links in a folder and in those inside it, so many levels deep."""
    inside = sorted(folder.iterdir()) if folder.is_dir() and os.access(folder, os.R_OK) else []
    for path in inside:
        if path.is_symlink():
            yield path
        elif levels > 1 and path.is_dir():
            yield from _links(path, levels - 1)
