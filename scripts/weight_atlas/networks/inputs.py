"""Images as a network takes them: padded, expanded to its channels, normalised.

Training and analysis share these functions, so that a network is measured on images made as those it was trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from weight_atlas.settings import Input


def fit_images(
    images: Tensor, card: Mapping[str, Any], channels: int, size: int, device: torch.device | str = "cpu"
) -> Tensor:
    """The images of a data set, padded and expanded for a network, still uint8.

    Padding precedes normalisation: a padded pixel is black.

    Parameters
    ----------
    images : uint8 [N, C, H, W]
    card : the data set's card
        It names the data set in errors.
    channels, size : int
        What the network takes.

    Returns
    -------
    uint8 [N, channels, size, size] on `device`
        Grey images are repeated over the network's channels as a view: the channels share memory, so do not write to
        them.

    Raises
    ------
    ValueError
        Where the images are larger than the network's input or have other channels.
    """
    name, image_channels = card.get("dataset_id", "the data set"), images.shape[1]
    if image_channels not in (channels, 1):
        raise ValueError(
            f"{name}: its images have {image_channels} channels, the network takes {channels}; give it {image_channels}"
        )
    if max(images.shape[2:]) > size:
        image_size = "x".join(str(side) for side in images.shape[2:])
        raise ValueError(
            f"{name}: its images are {image_size}, the network's input is {size}x{size}: give it their size"
        )
    return pad(images.to(device), size).expand(-1, channels, -1, -1)


def pad(images: Tensor, size: int) -> Tensor:
    """Zero-pad images [N, C, H, W] to [N, C, size, size], centred; an odd pixel goes to the right or the bottom."""
    rows, columns = size - images.shape[2], size - images.shape[3]
    if rows == 0 and columns == 0:
        return images
    return F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def constants(card: Mapping[str, Any], shape: Input) -> tuple[list[float], list[float]]:
    """The mean and standard deviation that a network's images are normalised by, on the scale 0 to 1.

    They are those that the cell names (`shape`), as the weights that it starts from were trained with, else the card's.
    """
    return shape.mean or card["mean"], shape.std or card["std"]


def normalise(batch: Tensor, mean: Tensor | Sequence[float], std: Tensor | Sequence[float]) -> Tensor:
    """(x / 255 - mean) / std in float32, channel by channel.

    Parameters
    ----------
    batch : uint8 [N, C, H, W]
    mean, std : C values, or one for all channels
        On the scale 0 to 1, as in the card. As tensors on the batch's device nothing waits for the host.
    """
    mean, std = (
        torch.as_tensor(values, dtype=torch.float32, device=batch.device).view(1, -1, 1, 1) for values in (mean, std)
    )
    return batch.to(torch.float32).div_(255).sub_(mean).div_(std)
