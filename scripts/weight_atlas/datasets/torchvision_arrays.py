"""Read a data set of arrays by torchvision: whole parts, checked against what is known of them."""

import hashlib
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weight_atlas.datasets.archive import members
from weight_atlas.datasets.known import known
from weight_atlas.datasets.source import Images, Source, Spec


class Part(NamedTuple):
    """Images (uint8 [N, H, W], or [N, H, W, 3] in colour) and labels (int [N]) of train or test."""

    images: Images
    labels: npt.NDArray[np.integer]


def load(spec: Spec, root: Path, origin: Path, part: str, source: Source) -> Part:
    """One part of a data set, checked against `source`.

    Parameters
    ----------
    root : the folder that torchvision reads
    origin : the place that messages name

    Raises
    ------
    ValueError
        In one line, where files are damaged, or not those that are expected.
    """
    found, where = known(spec), f"dataset {spec['dataset']} in {origin}"
    check_md5(spec, root / found.folder)
    try:
        data = _kind(spec["dataset"])(root, download=False, **found.parts[part])
        images, labels = np.asarray(data.data), np.asarray(data.labels if hasattr(data, "labels") else data.targets)
    except Exception as error:  # torchvision asserts, or passes on what numpy and pickle raise for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{where}: torchvision cannot read its files ({reason}); replace them") from None
    if images.shape[1:] == (3, *(source.size or ())):  # channels first
        images = images.transpose(0, 2, 3, 1)
    labels = (labels if labels.ndim == 1 else labels[:, 0]) - found.first  # QMNIST's have columns, the class is first
    counts = np.bincount(labels, minlength=len(source.classes)).tolist() if labels.min(initial=0) >= 0 else []
    if images.shape[1:3] != source.size or len(images) != len(labels) or counts != source.counts[part]:
        raise ValueError(
            f"{where}: {part} holds {len(images)} images of shape {images.shape[1:]} and {counts} per class, not "
            f"{source.size} and {source.counts[part]}; replace the files (unpacked below data_root, idx files may hold "
            "any number)"
        )
    return Part(images, labels)


def _kind(name: str) -> Any:
    """torchvision's class. Of STL-10 without the images that have no label, which are most of it."""
    import torchvision.datasets

    kind = getattr(torchvision.datasets, name)
    return type(name, (kind,), {"train_list": kind.train_list[:2]}) if name == "STL10" else kind


def check_md5(spec: Spec, folder: Path) -> None:
    """ValueError where a file that torchvision would open as it is does not have the published MD5."""
    found = known(spec)
    for name, expected in found.md5.items():
        with open(folder / name, "rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
        if digest != expected:
            raise ValueError(
                f"{folder / name}: is not that of the published {found.title} (its MD5 is {digest}, not {expected}); "
                "it was not opened: replace it"
            )


def unpacked(archive: Path, spec: Spec, stack: ExitStack) -> Path:
    """A temporary folder, which `stack` removes, with the files of a data set from an archive in torchvision's layout.

    ValueError where one is missing, or is not the published one.
    """
    found, folder = known(spec), Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atlas-")))
    (folder / found.folder).mkdir(parents=True, exist_ok=True)
    names = [(Path(found.folder) / name).as_posix() for name in found.files]
    with members(archive, names) as listed:
        for name, file in listed:
            if file:
                with open(folder / name, "wb") as copy:
                    shutil.copyfileobj(file, copy, 2**16)
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ValueError(f"{archive}: holds no {missing[0]}, as torchvision's layout asks; correct archive:")
    for name, digest in found.digests.items():
        with open(folder / found.folder / name, "rb") as file:
            found_digest = hashlib.file_digest(file, "sha256").hexdigest()
        if found_digest != digest:
            raise ValueError(
                f"{archive}: its {name} is not that of the published {found.title} (its SHA-256 is {found_digest}); "
                f"replace the archive, or unpack it below data_root to use own data in {found.title}'s format"
            )
    return folder
