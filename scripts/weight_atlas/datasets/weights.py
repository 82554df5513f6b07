"""Turn a file of weights into safetensors: torchvision's ImageNet weights, or a user's file.

A pickle is opened only here, with `weights_only=True`, and only after its SHA-256 was found to be the expected one.
"""

import difflib
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from weight_atlas.datasets.source import DataRoot, Spec, under_data_root
from weight_atlas.store import load_tensors, save_tensors, tensor_files

if TYPE_CHECKING:
    from torch import Tensor


FIRST = "IMAGENET1K_V1"  # what torchvision calls the first weights of a network
# What others put before the names of tensors (DataParallel, torch.compile, a wrapper), and the keys of a checkpoint
# that a state dict may be under.
PREFIXES = ("module.", "_orig_mod.", "model.")
HELD_UNDER = ("state_dict", "model_state_dict", "model")


class PublishedFile(NamedTuple):
    """Where torchvision's weights are on this machine, and where they come from."""

    path: Path
    url: str


class LoadedWeights(NamedTuple):
    """The tensors of a file by their torch names, and the SHA-256 of the file."""

    sha256: str
    tensors: "dict[str, Tensor]"


def prepare_weights(spec: Spec, data_root: DataRoot, output: str | Path, recipe: str) -> None:
    """Write the tensors of a file of weights, with its origin, full SHA-256 and recipe as metadata.

    Parameters
    ----------
    spec : {"published": name of a torchvision network, "sha256"} or {"file": .safetensors or .pth, "sha256"}
        With "weights", the name of torchvision's weights, where they are not IMAGENET1K_V1.
    data_root : the folder that files are looked for in
    output : the safetensors file
    recipe : a digest of what it is made from

    Raises
    ------
    ValueError
        In one line, for a missing file, a wrong hash (the file is then not opened), a pickle without a hash, or a file
        that holds something other than tensors.
    """
    if spec.get("sha256") and not re.fullmatch(r"[0-9a-fA-F]{64}", spec["sha256"]):
        raise ValueError(f"weights: sha256: {spec['sha256']} must be all 64 hexadecimal digits (sha256sum prints them)")
    if "published" in spec:
        chosen = spec.get("weights", FIRST)
        path, url = _published(spec["published"], chosen, data_root)
        expected = spec.get("sha256") or _hash_prefix(path.name)
        origin = {"source": f"torchvision {spec['published']} {chosen}", "url": url}
    else:
        path = source_file(spec, data_root)
        expected = spec.get("sha256")
        origin = {"source": "file"}
    digest, tensors = _load(path, expected)
    save_tensors(output, tensors, {**origin, "file": path.name, "sha256": digest, "recipe": recipe})


def source_file(spec: Spec, data_root: DataRoot) -> Path:
    """The file that a spec with `file` names. Only the header of a safetensors file is read, and no other is opened.

    Raises
    ------
    ValueError
        In one line, where it is missing, a pickle without a hash, or not a whole safetensors file.
    """
    path = under_data_root(data_root, spec["file"], "weights")
    if not path.is_file():
        raise ValueError(f"weights: {path} not found (data_root is {data_root}); set data_root or correct file:")
    if path.suffix != ".safetensors" and not spec.get("sha256"):
        raise ValueError(f"weights: {path} is a pickle and not opened without its sha256:; set it (see sha256sum)")
    if path.suffix == ".safetensors":
        try:
            tensor_files(path, "replace it, or correct file:")
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(f"weights: {error}") from None
    return path


def _hash_prefix(filename: str) -> str:
    """The first digits of a file's SHA-256, by which torchvision's file names end."""
    match = re.search(r"-([0-9a-f]{8,})\.pth$", filename)
    if match is None:
        raise ValueError(f"weights: {filename} does not end in the digits of its SHA-256; give sha256:")
    return match[1]


def _load(path: Path, expected: str | None) -> LoadedWeights:
    """The weights of a file whose SHA-256 begins with `expected` (None: any, for safetensors only)."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if expected and not digest.startswith(expected.lower()):
            raise ValueError(
                f"weights: {path} has sha256 {digest}, expected {expected}; it was not opened: replace the file, or "
                "correct sha256:"
            )
        if path.suffix == ".safetensors":
            return LoadedWeights(digest, _plain_names(load_tensors(path)))
        import torch

        file.seek(0)
        try:
            tensors = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever the unpickler raises for data that are no weights
            reason = str(error).split("\n")[0]
            raise ValueError(f"weights: {path} cannot be opened as weights ({reason}); save a state_dict") from None
    for key in HELD_UNDER:
        if isinstance(tensors, dict) and isinstance(tensors.get(key), dict):
            tensors = tensors[key]
            break
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise ValueError(f"weights: {path} holds no state_dict (names and tensors alone); save model.state_dict()")
    return LoadedWeights(digest, _plain_names(tensors))


def _plain_names(tensors: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """The tensors without what is put before all of their names."""
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _plain_names({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors


def _published(name: str, chosen: str, data_root: DataRoot) -> PublishedFile:
    """torchvision's ImageNet weights: in data_root/weights, torch hub's cache, or downloaded to it."""
    import torch
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    if name in names and not hasattr(torchvision.models.get_model_weights(name), chosen):
        known = ", ".join(one.name for one in torchvision.models.get_model_weights(name))
        raise ValueError(f"weights: torchvision has no {chosen} of {name}; it has {known}")
    if name not in names:
        near = ", ".join(difflib.get_close_matches(name, names, n=5, cutoff=0.3))
        raise ValueError(f"weights: published: {name} is no ImageNet network of torchvision; similar names are {near}")
    url = getattr(torchvision.models.get_model_weights(name), chosen).url
    filename = url.rsplit("/", 1)[1]
    cache = Path(torch.hub.get_dir()) / "checkpoints" / filename
    if data_root and (Path(data_root) / "weights" / filename).is_file():
        return PublishedFile(Path(data_root) / "weights" / filename, url)
    if not cache.is_file():
        prefix = _hash_prefix(filename)
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(cache), hash_prefix=prefix, progress=False)
        except Exception as error:  # URLError, OSError, RuntimeError on a wrong hash: all end as one line
            reason = " ".join(str(error).split())
            raise ValueError(
                f"weights: download of {url} failed ({reason}); put the file into the weights folder of data_root "
                f"({data_root}), or name a source cell instead"
            ) from None
    return PublishedFile(cache, url)
