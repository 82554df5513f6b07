"""Pictures as a network takes them: padded, expanded to its channels, normalised.

Training and measuring share these functions, so that a network is measured on pictures made as those it learnt from.
"""

import torch
import torch.nn.functional as F


def pictures(images, card, channels, size, device="cpu"):
    """The pictures of a data set, padded and expanded for a network, still uint8.

    images: uint8 [N, C, H, W]; card: the data set's card (names the data set in errors); channels, size: what the
    network takes. Returns uint8 [N, channels, size, size] on `device`. Grey pictures are repeated over the network's
    channels as a view: the channels share memory, so do not write to them. Padding precedes normalisation: a padded
    pixel is black. Raises ValueError where the pictures are larger than the network's input or have other channels.
    """
    name = card.get("dataset_id", "the data set")
    have = images.shape[1]
    if have != channels and have != 1:
        raise ValueError(f"{name}: its pictures have {have} channels, the network takes {channels}; give it {have}")
    if max(images.shape[2:]) > size:
        have = "x".join(str(side) for side in images.shape[2:])
        raise ValueError(f"{name}: its pictures are {have}, the network's input is {size}x{size}: give it their size")
    return pad(images.to(device), size).expand(-1, channels, -1, -1)


def pad(images, size):
    """Zero-pad pictures [N, C, H, W] to [N, C, size, size], centred; an odd pixel goes to the right or the bottom."""
    rows, columns = size - images.shape[2], size - images.shape[3]
    if rows == 0 and columns == 0:
        return images
    return F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def normalise(batch, mean, std):
    """(x / 255 - mean) / std in float32, channel by channel.

    batch: uint8 [N, C, H, W]; mean, std: lists as the card's, on the scale 0 to 1, of C values or of one for all
    channels, or such tensors on the batch's device: then nothing waits for the host.
    """
    mean, std = (
        torch.as_tensor(values, dtype=torch.float32, device=batch.device).view(1, -1, 1, 1) for values in (mean, std)
    )
    return batch.to(torch.float32).div_(255).sub_(mean).div_(std)
