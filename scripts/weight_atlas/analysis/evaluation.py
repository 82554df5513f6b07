"""Loss and accuracy of a network that is given by its tensors, and the pictures that measuring shows to networks."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from weight_atlas import store
from weight_atlas.networks import inputs
from weight_atlas.networks.build import build

TRAIN, TEST = 0, 2  # of a data file's `split`
BATCH = 500


@dataclass(frozen=True)
class Pictures:
    """Pictures of a data set as the network takes them, but for the normalisation: padded, its channels, uint8.

    test: all test pictures [N, C, S, S]; labels: theirs, int64 [N]; train: some training pictures [M, C, S, S], spread
    evenly over the file (see `spread`); mean, std: the card's.
    """

    test: torch.Tensor
    labels: torch.Tensor
    train: torch.Tensor
    mean: list[float]
    std: list[float]

    def normalised(self, images):
        """(x / 255 - mean) / std of uint8 pictures: float32."""
        return inputs.normalise(images, self.mean, self.std)


def pictures(data, card, channels, size, train):
    """The Pictures of a data file for a network that takes `channels` x `size` x `size`, at most `train` for training.

    Raises ValueError where the file has no test picture.
    """
    tensors = store.load_tensors(data)
    test, seen = ((tensors["split"] == split).nonzero().squeeze(1) for split in (TEST, TRAIN))
    if not len(test):
        raise ValueError(f"{data}: no picture has split {TEST} (test); remove the file, so that it is prepared again")
    images = [tensors["images"][chosen] for chosen in (test, seen[spread(len(seen), train)])]
    images = [inputs.fit_images(own, card, channels, size) for own in images]
    return Pictures(images[0], tensors["labels"][test], images[1], card["mean"], card["std"])


def spread(count, most):
    """At most `most` of 0 .. count - 1, spread evenly: int64. Of a file ordered by class, every class has its share."""
    chosen = min(count, most)
    return torch.arange(chosen) * count // max(chosen, 1)


def deal(values, size=BATCH):
    """Pictures, or their labels, in batches of at most `size`, dealt out in turn: i is in batch i mod n of n.

    A data file is ordered by class, and a batch must hold them all where BatchNorm looks at it. The batches' sizes
    differ by one at most, so that none is left with a single picture.
    """
    count = -(-len(values) // size)
    return (values[first::count] for first in range(count))


def network(cell):
    """The network of a resolved cell, as `weight_atlas.networks.layer_table` and `build` take it."""
    return cell["network"], cell["input"]["channels"], cell["input"]["size"], cell["classes"]


def module(cell, tensors):
    """The network of a resolved cell with these tensors, in eval mode: running statistics, no dropout.

    The tensors themselves take the place of its parameters and buffers, without a copy.
    """
    with torch.device("meta"):  # no storage and no start
        built, _ = build(*network(cell))
    built.load_state_dict(tensors, assign=True)
    return built.eval()


def norms(built):
    """The BatchNorm layers of a module."""
    return [part for part in built.modules() if isinstance(part, nn.BatchNorm2d)]


def evaluate(built, shown, images, labels):
    """(mean cross-entropy in nats, accuracy as a fraction) of a module, as it stands, over pictures.

    shown: the Pictures that tell how to normalise; images, labels: uint8 [N, C, S, S], int64 [N]. The outputs are
    float32, what is made of them float64.
    """
    loss, right = 0.0, 0
    with torch.inference_mode():
        for batch, wanted in zip(deal(images), deal(labels), strict=True):
            batch = shown.normalised(batch).contiguous(memory_format=torch.channels_last)  # a quarter faster
            outputs = built(batch).double()
            loss += float(functional.cross_entropy(outputs, wanted, reduction="sum"))
            right += int((outputs.argmax(1) == wanted).sum())
    return loss / len(images), right / len(images)
