"""The training pictures of an epoch: in which order they come, and how each of them is changed."""

import torch

from atlas.learn import streams
from atlas.learn.augment import Augment
from atlas.learn.data import Pictures


class Feed:
    """Every training picture once a copy, each copy changed by an augment of its own, all shuffled together.

    Without `copies` there is one, changed by `augment`. The picture i of N is number c N + i in the copy c. Its change
    is drawn in every epoch from the stream (seed, augment, epoch, step), with copies (.., step, c); without `redraw` it
    is drawn once, from (seed, multiset, c) for all pictures of a copy: whatever starts from these pictures, and in
    whatever order they come, they are the same. Only the numbers are kept, no changed picture is.
    """

    def __init__(self, pictures: Pictures, training: dict, seed: int, prefix: str = ""):
        """`prefix` stands before the names of the streams of order and change (see `streams.of`)."""
        self.pictures, self.labels, self.seed, self.prefix = pictures, pictures.train.labels, seed, prefix
        self.batch_size, self.each = training["batch_size"], len(pictures.train)
        self.copies = [Augment(settings) for settings in training["copies"] or [training["augment"]]]
        self.images = [augment.pad(pictures.train.images) for augment in self.copies]
        self.size = tuple(pictures.train.images.shape[2:])
        self.fixed = None
        self.features: torch.Tensor | None = None
        if not training["redraw"]:
            self.fixed = [
                augment.draw(self.each, self.size, streams.generator(seed, "multiset", copy))
                for copy, augment in enumerate(self.copies)
            ]

    def __len__(self) -> int:
        """The pictures of an epoch."""
        return self.each * len(self.copies)

    def order(self, epoch: int) -> torch.Tensor:
        """The numbers of the pictures in the order of an epoch: int64 [pictures], on the CPU."""
        return torch.randperm(len(self), generator=streams.generator(self.seed, f"{self.prefix}order", epoch))

    def batch(self, order: torch.Tensor, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The pictures of one step, changed and normalised, and their labels: float32 [B, C, H, W], channels last, and
        int64 [B], on the device. Within a batch the pictures stand copy by copy.

        Where `features` is set, [pictures of an epoch, ..] in the order of their numbers, these stand for the pictures.
        """
        numbers = order[step * self.batch_size : (step + 1) * self.batch_size]
        if self.features is not None:
            numbers = numbers if len(self.copies) == 1 else numbers.sort().values
            there = numbers.to(self.labels.device, non_blocking=True)
            return layout(self.features[there]), self.labels[there % self.each]
        if len(self.copies) == 1:
            return self._copy(0, numbers, (epoch, step))
        sizes = (numbers // self.each).bincount(minlength=len(self.copies)).tolist()
        parts = enumerate(numbers.sort().values.split(sizes))
        found = [self._copy(copy, part % self.each, (epoch, step, copy)) for copy, part in parts if len(part)]
        images, labels = zip(*found, strict=True)
        return layout(torch.cat(images)), torch.cat(labels)

    def _copy(self, copy: int, picked: torch.Tensor, at: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """The pictures `picked` (int64 [B], on the CPU) in one of their copies, and their labels."""
        augment, images = self.copies[copy], self.images[copy]
        there = picked.to(self.labels.device, non_blocking=True)
        if not augment:
            return self.pictures.batch(images[there]), self.labels[there]
        if self.fixed:
            drawn = {name: rows[picked] for name, rows in self.fixed[copy].items()}
        else:
            stream = streams.generator(self.seed, f"{self.prefix}augment", *at)
            drawn = augment.draw(len(picked), self.size, stream)
        return self.pictures.batch(augment.apply(images, there, drawn)), self.labels[there]


def layout(maps: torch.Tensor) -> torch.Tensor:
    """The maps of a batch, channels last; anything else as it is."""
    return maps.contiguous(memory_format=torch.channels_last) if maps.dim() == 4 else maps
