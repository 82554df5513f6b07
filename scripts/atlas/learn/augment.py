"""Label-preserving changes of a whole batch on the device: crop with padding, horizontal flip, rotation."""

import torch
from torch.nn import functional


class Augment:
    """Draws one change a picture from the stream (seed, augment, epoch, step) and applies it to the batch.

    `settings` has `crop` (zero padding in pixels around the picture before a random crop of its own size), `flip`
    (half of the pictures, left to right) and `rotation` (uniform within +- so many degrees, bilinear, zeros outside).
    The random numbers are drawn on the CPU: they are the same on every device.
    """

    def __init__(self, settings: dict):
        self.crop, self.flip, self.rotation = settings["crop"], settings["flip"], settings["rotation"]

    def __bool__(self) -> bool:
        return bool(self.crop or self.flip or self.rotation)

    def gather(self, images: torch.Tensor, picked: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """Pick, crop and flip in one indexing: uint8 [N, C, H + 2 crop, W + 2 crop] -> uint8 [B, C, H, W].

        `images` are already padded by `crop` on each side; `picked` int64 [B].
        """
        count, device = len(picked), images.device
        height, width = images.shape[2] - 2 * self.crop, images.shape[3] - 2 * self.crop
        rows, columns = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
        if self.flip:
            turned = torch.rand(count, generator=draw) < 0.5
            columns = torch.where(turned[:, None], columns.flip(1), columns)
        if self.crop:
            shift = torch.randint(2 * self.crop + 1, (2, count, 1), generator=draw)
            rows, columns = rows + shift[0], columns + shift[1]
        rows, columns = rows.to(device), columns.to(device)
        channels = torch.arange(images.shape[1], device=device)
        return images[
            picked[:, None, None, None], channels[:, None, None], rows[:, None, :, None], columns[:, None, None]
        ]

    def rotate(self, batch: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """Turn each picture of a float batch [B, C, H, W] by its own angle."""
        angle = (torch.rand(len(batch), generator=draw) * 2 - 1) * (self.rotation * torch.pi / 180)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # affine_grid works in units of half the picture: a non-square picture needs its aspect ratio.
        aspect = batch.shape[2] / batch.shape[3]
        rows = torch.stack([cos, -sin * aspect, zero, sin / aspect, cos, zero], 1).view(-1, 2, 3)
        grid = functional.affine_grid(rows.to(batch.device), list(batch.shape), align_corners=False)
        return functional.grid_sample(batch, grid, align_corners=False)
