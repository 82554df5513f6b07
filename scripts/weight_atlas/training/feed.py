"""The training pictures of an epoch: in which order they come, and how each of them is changed."""

import torch

from weight_atlas import streams
from weight_atlas.settings import Training
from weight_atlas.training.augment import Augment
from weight_atlas.training.data import Pictures


class Feed:
    """Every training picture once a copy, each copy changed by an augment of its own, all shuffled together.

    Without `copies` there is one, changed by `augment`. The picture i of N is number c N + i in the copy c. Its change
    is drawn in every epoch from the stream (seed, augment, epoch, step), with copies (.., step, c); without `redraw` it
    is drawn once, from (seed, multiset, c) for all pictures of a copy: whatever starts from these pictures, and in
    whatever order they come, they are the same. Only the numbers are kept, no changed picture is.
    """

    def __init__(self, pictures: Pictures, training: Training, seed: int, prefix: str = ""):
        """`prefix` stands before the names of the streams of order and change (see `streams.of`)."""
        self.pictures, self.labels, self.seed, self.prefix = pictures, pictures.train.labels, seed, prefix
        self.batch_size, self.each = training.batch_size, len(pictures.train)
        self.copies = [Augment(settings) for settings in training.copies or [training.augment]]
        self.images = [augment.pad(pictures.train.images) for augment in self.copies]
        self.size, self.device = tuple(pictures.train.images.shape[2:]), self.labels.device
        self.features: torch.Tensor | None = None
        self.batches: list[list] = []
        self.fixed = None
        if not training.redraw:
            self.fixed = [
                self._there(augment.draw(self.each, self.size, streams.generator(seed, "multiset", copy)))
                for copy, augment in enumerate(self.copies)
            ]

    def __len__(self) -> int:
        """The pictures of an epoch."""
        return self.each * len(self.copies)

    def order(self, epoch: int) -> torch.Tensor:
        """The numbers of the pictures in the order of an epoch: int64 [pictures], on the CPU."""
        return torch.randperm(len(self), generator=streams.generator(self.seed, f"{self.prefix}order", epoch))

    def shuffle_epoch(self, epoch: int, order: torch.Tensor | None = None) -> None:
        """Get the batches of an epoch ready: which pictures each has and how they change, drawn on the CPU and put on
        the device at once, so that no batch waits for the host. `order` stands for that of the epoch."""
        batches = (self.order(epoch) if order is None else order).split(self.batch_size)
        if len(self.copies) > 1:
            batches = [numbers.sort().values for numbers in batches]
        if self.features is not None:
            self.batches = [[numbers] for numbers in torch.cat(list(batches)).to(self.device).split(self.batch_size)]
            return
        parts = [self._parts(copy, batches, epoch) for copy in range(len(self.copies))]
        self.batches = [[part for part in step if len(part[1])] for step in zip(*parts, strict=True)]

    def _parts(self, copy: int, batches: list, epoch: int) -> list[tuple]:
        """(copy, its pictures in a batch, how they change), a batch, on the device."""
        own = [numbers[numbers // self.each == copy] % self.each for numbers in batches]
        sizes, picked = [len(part) for part in own], torch.cat(own).to(self.device)
        if self.fixed:
            drawn = {name: rows[picked] for name, rows in self.fixed[copy].items()}
        else:
            which = () if len(self.copies) == 1 else (copy,)
            rows = []
            for step, size in enumerate(sizes):
                stream = streams.generator(self.seed, f"{self.prefix}augment", epoch, step, *which)
                rows.append(self.copies[copy].draw(size, self.size, stream))
            drawn = self._there({name: torch.cat([row[name] for row in rows]) for name in rows[0]})
        changes = {name: rows.split(sizes) for name, rows in drawn.items()}
        return [
            (copy, part, {name: rows[step] for name, rows in changes.items()})
            for step, part in enumerate(picked.split(sizes))
        ]

    def _there(self, rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: row.to(self.device) for name, row in rows.items()}

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The pictures of a step of the epoch that was shuffled, changed and normalised, and their labels: float32
        [B, C, H, W], channels last, and int64 [B], on the device. Within a batch the pictures stand copy by copy.

        Where `features` is set, [pictures of an epoch, ..] in the order of their numbers, these stand for the pictures.
        """
        if self.features is not None:
            [numbers] = self.batches[step]
            return layout(self.features[numbers]), self.labels[numbers % self.each]
        images, labels = zip(*(self._made(*part) for part in self.batches[step]), strict=True)
        return (images[0], labels[0]) if len(images) == 1 else (layout(torch.cat(images)), torch.cat(labels))

    def _made(self, copy: int, picked: torch.Tensor, drawn: dict[str, torch.Tensor]) -> tuple:
        """The pictures `picked` (int64 [B]) in one of their copies, and their labels."""
        augment, images = self.copies[copy], self.images[copy]
        batch = augment.apply(images, picked, drawn) if augment else images[picked]
        return self.pictures.batch(batch), self.labels[picked]


def layout(maps: torch.Tensor) -> torch.Tensor:
    """The maps of a batch, channels last; anything else as it is."""
    return maps.contiguous(memory_format=torch.channels_last) if maps.dim() == 4 else maps
