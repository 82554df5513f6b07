"""A prepared data set on the device: uint8 images, padded for the network, in their three splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from weight_atlas import store, streams
from weight_atlas.networks import inputs
from weight_atlas.settings import Input
from weight_atlas.vocabulary import SPLITS


@dataclass(frozen=True)
class Split:
    """uint8 images [N, C, size, size] and int64 labels [N], both on the device."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ImageData:
    """The three splits, and mean and standard deviation as `inputs.normalise` takes them.

    resample: whether each replicate draws train and valid anew.
    """

    train: Split
    valid: Split
    test: Split
    mean: torch.Tensor | list[float]
    std: torch.Tensor | list[float]
    resample: bool = False

    def batch(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised float32 images, channels last."""
        return inputs.normalise(images, self.mean, self.std).contiguous(memory_format=torch.channels_last)

    def of_replicate(self, seed: int) -> "ImageData":
        """The data that a replicate trains on: itself, or with train and valid drawn from both together by the seed.

        Each class keeps its number of images in both. Test stays as it is, so that all replicates are tested on the
        same images; so do mean and std.
        """
        if not self.resample:
            return self
        labels = torch.cat([self.train.labels, self.valid.labels])
        is_valid = torch.zeros(len(labels), dtype=torch.bool)
        for label in labels.unique().tolist():
            rows = (labels == label).nonzero().squeeze(1).cpu()
            order = torch.randperm(len(rows), generator=streams.generator(seed, "split", label))
            is_valid[rows[order[: int((self.valid.labels == label).sum())]]] = True
        images, is_valid = torch.cat([self.train.images, self.valid.images]), is_valid.to(labels.device)
        train, valid = (Split(images[rows], labels[rows]) for rows in (~is_valid, is_valid))
        return replace(self, train=train, valid=valid)


def load(path: str | Path, card: Mapping[str, Any], shape: Input, device: torch.device) -> ImageData:
    """The data set in a file, for a network that takes images of a shape."""
    tensors = store.load_tensors(path)

    def split(name: str) -> Split:
        rows = (tensors["split"] == SPLITS.index(name)).nonzero().squeeze(1)
        images = inputs.fit_images(tensors["images"][rows], card, shape.channels, shape.size, device)
        return Split(images, tensors["labels"][rows].to(device))

    mean, std = (torch.tensor(values, device=device) for values in inputs.constants(card, shape))
    return ImageData(split("train"), split("valid"), split("test"), mean, std, card.get("resample", False))
