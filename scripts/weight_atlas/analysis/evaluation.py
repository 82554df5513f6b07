"""Loss and accuracy of a network that is given by its tensors, and the images that measures show to networks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from weight_atlas import store
from weight_atlas.analysis.types import AnyPath, Card, Tensors
from weight_atlas.networks import batches, inputs, layer_table
from weight_atlas.networks.build import empty, fill
from weight_atlas.settings import Settings

TRAIN, TEST = 0, 2  # of a data file's `split`


@dataclass(frozen=True)
class Images:
    """Images of a data set as the network takes them, but for the normalisation: padded, its channels, uint8.

    test: all test images [N, C, S, S]; labels: theirs, int64 [N]; train: some training images [M, C, S, S], spread
    evenly over the file (see `evenly_spaced`); mean, std: the card's, or what a cell names instead (see `seen_by`).
    All are on the device that networks are run on.
    """

    test: torch.Tensor
    labels: torch.Tensor
    train: torch.Tensor
    mean: list[float]
    std: list[float]

    @property
    def device(self) -> torch.device:
        """Where networks are run on them."""
        return self.test.device

    def seen_by(self, settings: Settings) -> "Images":
        """The same images, normalised as a cell asks."""
        mean, std = inputs.constants({"mean": self.mean, "std": self.std}, settings.input)
        return replace(self, mean=mean, std=std)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """(x / 255 - mean) / std of uint8 images: float32."""
        return inputs.normalise(images, self.mean, self.std)


class Evaluation(NamedTuple):
    """Mean cross-entropy in nats, and accuracy as a fraction."""

    loss: float
    accuracy: float


def load_images(
    data: AnyPath, card: Card, channels: int, size: int, train: int, device: torch.device | str = "cpu"
) -> Images:
    """The images of a data file for a network.

    Parameters
    ----------
    data : path
        The data set's safetensors file.
    card : dict
        Its card.
    channels, size : int
        The network takes images of channels x size x size.
    train : int
        The largest number of training images to take.
    device : torch.device or str
        Where they go, and networks are run.

    Raises
    ------
    ValueError
        Where the file has no test image.
    """
    tensors = store.load_tensors(data)
    test, seen = ((tensors["split"] == split).nonzero().squeeze(1) for split in (TEST, TRAIN))
    if not len(test):
        raise ValueError(f"{data}: no image has split {TEST} (test); remove the file, so that it is prepared again")
    chosen = (test, seen[evenly_spaced(len(seen), train)])
    images = [inputs.fit_images(tensors["images"][indices], card, channels, size, device) for indices in chosen]
    return Images(images[0], tensors["labels"][test].to(device), images[1], card["mean"], card["std"])


def evenly_spaced(count: int, most: int) -> torch.Tensor:
    """At most `most` of 0 .. count - 1, evenly spaced: int64. In a file ordered by class, every class has its share."""
    chosen = min(count, most)
    return torch.arange(chosen) * count // max(chosen, 1)


def batch_size(settings: Settings) -> int:
    """How many images a cell's network sees at a time (see `networks.batches`)."""
    return batches.evaluated(layer_table(*settings.network_arguments))


def interleaved_batches(values: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Images, or their labels, in batches of at most `size`: i is in batch i mod n of n.

    A data file is ordered by class, and a batch must hold them all where BatchNorm looks at it. The batches' sizes
    differ by one at most, so that none is left with a single image.
    """
    count = -(-len(values) // size)
    return (values[first::count] for first in range(count))


def module(settings: Settings, tensors: Tensors, device: torch.device | str = "cpu") -> nn.Module:
    """The network of a resolved cell with these tensors, in eval mode: running statistics, no dropout.

    The tensors themselves take the place of its parameters and buffers, without a copy, where they are on the device.
    """
    network, _ = empty(*settings.network_arguments)
    fill(network, tensors, assign=True)
    return network.to(device).eval()


def batchnorms(network: nn.Module) -> list[BatchNorm]:
    """The BatchNorm layers of a module."""
    return [part for part in network.modules() if isinstance(part, BatchNorm)]


def evaluate(
    network: nn.Module, normalisation: Images, images: torch.Tensor, labels: torch.Tensor, size: int
) -> Evaluation:
    """Loss and accuracy of a module, in the mode that it is in, over images, at most `size` at a time.

    normalisation: the Images that say how to normalise; images, labels: uint8 [N, C, S, S], int64 [N]. The outputs are
    float32, what is computed from them float64.
    """
    loss, correct = 0.0, 0
    with torch.inference_mode():
        for batch, targets in zip(interleaved_batches(images, size), interleaved_batches(labels, size), strict=True):
            # In this memory format it is a quarter faster.
            batch = normalisation.normalised(batch).contiguous(memory_format=torch.channels_last)
            outputs = network(batch).double()
            loss += float(functional.cross_entropy(outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(1) == targets).sum())
    return Evaluation(loss / len(images), correct / len(images))
