"""The training images of an epoch: in which order they come, and how each of them is changed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from weight_atlas import streams
from weight_atlas.settings import Training
from weight_atlas.training.augment import Augment
from weight_atlas.training.data import ImageData


class Part(NamedTuple):
    """The images of a batch that are of one copy: its number, their indices [B], and the rows of their changes."""

    copy: int
    indices: Tensor
    changes: dict[str, Tensor]


class Feed:
    """Every training image once per copy, each copy changed by its own augment, all shuffled together.

    Without `copies` there is one, changed by `augment`. The image i of N is number c N + i in the copy c. Its change
    is drawn in every epoch from the stream (seed, augment, epoch, step), with copies (.., step, c); without `redraw` it
    is drawn once, from (seed, multiset, c) for all images of a copy: whatever starts from these images, and in
    whatever order they come, they are the same. Only the numbers are kept, no changed image is.
    """

    def __init__(self, data: ImageData, training: Training, seed: int, prefix: str = ""):
        """`prefix` stands before the names of the streams of order and change (see `streams.prefix`)."""
        self.data, self.labels, self.seed, self.prefix = data, data.train.labels, seed, prefix
        self.batch_size, self.images_per_copy = training.batch_size, len(data.train)
        self.copies = [Augment(settings) for settings in training.copies or [training.augment]]
        self.images = [augment.pad(data.train.images) for augment in self.copies]
        self.size, self.device = tuple(data.train.images.shape[2:]), self.labels.device
        self.features: Tensor | None = None
        self.batches: list[list[Part]] = []
        self.feature_batches: list[Tensor] = []
        self.fixed_changes: list[dict[str, Tensor]] = []
        if not training.redraw:
            self.fixed_changes = [
                self._to_device(augment.draw(len(data.train), self.size, streams.generator(seed, "multiset", copy)))
                for copy, augment in enumerate(self.copies)
            ]

    def __len__(self) -> int:
        """How many images an epoch has."""
        return self.images_per_copy * len(self.copies)

    def order(self, epoch: int) -> Tensor:
        """The numbers of the images in the order of an epoch: int64 [images], on the CPU."""
        return torch.randperm(len(self), generator=streams.generator(self.seed, f"{self.prefix}order", epoch))

    def shuffle_epoch(self, epoch: int, order: Tensor | None = None) -> None:
        """Get the batches of an epoch ready: which images each has and how they change, drawn on the CPU and put on
        the device at once, so that no batch waits for the host. `order` replaces that of the epoch."""
        batches = list((self.order(epoch) if order is None else order).split(self.batch_size))
        if len(self.copies) > 1:
            batches = [numbers.sort().values for numbers in batches]
        if self.features is not None:
            self.feature_batches = list(torch.cat(batches).to(self.device).split(self.batch_size))
            return
        copies = [self._parts(copy, batches, epoch) for copy in range(len(self.copies))]
        self.batches = [[part for part in parts if len(part.indices)] for parts in zip(*copies, strict=True)]

    def _parts(self, copy: int, batches: Sequence[Tensor], epoch: int) -> list[Part]:
        """The part of each batch that is of a copy, on the device."""
        in_copy = [numbers[numbers // self.images_per_copy == copy] % self.images_per_copy for numbers in batches]
        sizes, indices = [len(part) for part in in_copy], torch.cat(in_copy).to(self.device)
        if self.fixed_changes:
            drawn = {name: rows[indices] for name, rows in self.fixed_changes[copy].items()}
        else:
            drawn = self._to_device(self._draw(copy, sizes, epoch))
        changes = {name: rows.split(sizes) for name, rows in drawn.items()}
        return [
            Part(copy, part, {name: rows[step] for name, rows in changes.items()})
            for step, part in enumerate(indices.split(sizes))
        ]

    def _draw(self, copy: int, sizes: Sequence[int], epoch: int) -> dict[str, Tensor]:
        """The changes of a copy's images in an epoch whose batches have so many of them, one row per image."""
        which = () if len(self.copies) == 1 else (copy,)
        batches = []
        for step, size in enumerate(sizes):
            stream = streams.generator(self.seed, f"{self.prefix}augment", epoch, step, *which)
            batches.append(self.copies[copy].draw(size, self.size, stream))
        return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}

    def _to_device(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: row.to(self.device) for name, row in rows.items()}

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The images of a step of the epoch that was shuffled, changed and normalised, and their labels.

        Where `features` is set, [images of an epoch, ..] in the order of their numbers, they replace the images.

        Returns
        -------
        float32 [B, C, H, W], channels last, and int64 [B], on the device, copy after copy
        """
        if self.features is not None:
            numbers = self.feature_batches[step]
            return channels_last(self.features[numbers]), self.labels[numbers % self.images_per_copy]
        images, labels = zip(*(self._changed(part) for part in self.batches[step]), strict=True)
        return (images[0], labels[0]) if len(images) == 1 else (channels_last(torch.cat(images)), torch.cat(labels))

    def _changed(self, part: Part) -> tuple[Tensor, Tensor]:
        """The changed images of a part, normalised, and their labels."""
        augment, images = self.copies[part.copy], self.images[part.copy]
        batch = augment.apply(images, part.indices, part.changes) if augment else images[part.indices]
        return self.data.batch(batch), self.labels[part.indices]


def channels_last(maps: Tensor) -> Tensor:
    """The maps of a batch, channels last; anything else as it is."""
    return maps.contiguous(memory_format=torch.channels_last) if maps.dim() == 4 else maps
