"""Label-preserving changes of a whole batch on the device, from numbers drawn on the CPU."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from weight_atlas.settings import Augmentation


class Augment:
    """One change per image: `draw` draws it, `apply` makes it.

    `settings` has, as far as a change is not off,
    - `crop`: pixels of padding around the image before a random crop of its own size;
    - `flip`: half of the images left to right (True), upside down ("vertical"), each by itself ("both"), or all of
      them left to right ("always");
    - `rotation`, `shift`, `shear`, `zoom`: see `_affine`;
    - `brightness`: a factor uniform in [1 - b, 1 + b], the result clipped to 0 .. 255;
    - `cutout`: the side in pixels of a black square, its centre uniform over the image, so that a part of it may lie
      outside (DeVries & Taylor 2017);
    - `fill`: what lies outside of the image, "black" or the "nearest" of its pixels.
    The random numbers are drawn on the CPU: they are the same on every device.
    """

    def __init__(self, settings: Augmentation):
        self.crop, self.flip, self.fill = settings.crop, settings.flip, settings.fill
        self.rotation, self.shift, self.zoom = settings.rotation, settings.shift, settings.zoom
        self.shear, self.unit = settings.shear, settings.shear_unit
        self.brightness, self.cutout = settings.brightness, settings.cutout
        self.warps = bool(self.rotation or self.shift or self.shear or list(self.zoom) != [1.0, 1.0])

    def __bool__(self) -> bool:
        return bool(self.crop or self.flip or self.warps or self.brightness or self.cutout)

    def pad(self, images: torch.Tensor) -> torch.Tensor:
        """The images with `crop` pixels more on each side: uint8 [N, C, H, W] -> [N, C, H + 2 crop, W + 2 crop]."""
        if not self.crop:
            return images
        if self.fill == "black":
            return functional.pad(images, [self.crop] * 4)
        rows, columns = (
            torch.arange(-self.crop, side + self.crop, device=images.device).clamp(0, side - 1)
            for side in images.shape[2:]
        )
        return images[:, :, rows[:, None], columns]

    # ------------------------------------------------------------------------------------------ drawing

    def draw(self, count: int, size: Sequence[int], stream: torch.Generator) -> dict[str, torch.Tensor]:
        """What becomes of `count` images of `size` (height, width): tensors on the CPU, one row per image.

        mirrored, upturned: bool [count]; corner: int64 [count, 2], row and column at which a crop begins; affine:
        float32 [count, 2, 3]; brightness: float32 [count]; centre: int64 [count, 2], row and column of the cutout's.
        Only the changes that are on are there, and only they take numbers from the stream.
        """
        drawn = {}
        if self.flip in (True, "both"):
            drawn["mirrored"] = torch.rand(count, generator=stream) < 0.5
        if self.flip == "always":
            drawn["mirrored"] = torch.ones(count, dtype=torch.bool)
        if self.flip in ("vertical", "both"):
            drawn["upturned"] = torch.rand(count, generator=stream) < 0.5
        if self.crop:
            drawn["corner"] = torch.randint(2 * self.crop + 1, (2, count), generator=stream).T.contiguous()
        if self.warps:
            drawn["affine"] = self._affine(count, size[0] / size[1], stream)
        if self.brightness:
            drawn["brightness"] = 1 + _within(self.brightness, (count,), stream)
        if self.cutout:
            drawn["centre"] = torch.stack([torch.randint(side, (count,), generator=stream) for side in size], 1)
        return drawn

    def _affine(self, count: int, aspect: float, stream: torch.Generator) -> torch.Tensor:
        """Where each changed image reads the one that it is made of: float32 [count, 2, 3], for `affine_grid`.

        With x to the right and y down, both from the centre, the pixel at p is read at R (S Z p + t), as Keras's
        ImageDataGenerator composes them (apply_affine_transform):
        - R turns by an angle uniform within +- `rotation` degrees;
        - t is uniform within +- `shift` of the width and of the height;
        - S = [[cos a, 0], [-sin a, 1]] slants by an angle a uniform within +- `shear` degrees; with the unit
          "fraction" it is [[1, 0], [-a, 1]], and a is the slant itself, in pixels per pixel;
        - Z multiplies x and y by factors of their own, both uniform within `zoom`: below 1 the image is enlarged.
        affine_grid works in units of half the image: an image that is not square needs its `aspect`, height / width.
        """
        zero, one = torch.zeros(count), torch.ones(count)
        linear, offset = _matrix(one, zero, zero, one), torch.zeros(count, 2, 1)
        if self.rotation:
            angle = _within(self.rotation * torch.pi / 180, (count,), stream)
            linear = _matrix(angle.cos(), -angle.sin() * aspect, angle.sin() / aspect, angle.cos())
        if self.shift:
            offset = linear @ (2 * _within(self.shift, (count, 2, 1), stream))
        if self.shear:
            degrees = self.unit == "degrees"
            slant = _within(self.shear * torch.pi / 180 if degrees else self.shear, (count,), stream)
            narrow, slant = (slant.cos(), slant.sin()) if degrees else (one, slant)
            linear = linear @ _matrix(narrow, zero, -slant / aspect, one)
        low, high = self.zoom
        if (low, high) != (1, 1):
            across, down = low + (high - low) * torch.rand((2, count), generator=stream)
            linear = linear @ _matrix(across, zero, zero, down)
        return torch.cat([linear, offset], 2)

    # ----------------------------------------------------------------------------------------- applying

    def apply(self, images: torch.Tensor, picked: torch.Tensor, drawn: dict[str, torch.Tensor]) -> torch.Tensor:
        """The changed images: [B, C, H, W], uint8, or float32 from 0 to 255 where values are mixed or scaled.

        images: uint8, from `pad`; picked: int64 [B]; drawn: the rows of what `draw` gave for these images,
        on the device of the images.
        """
        batch = self._window(images, picked, drawn)
        flips = [(drawn[name], 3 - row) for row, name in enumerate(("mirrored", "upturned")) if name in drawn]
        if "affine" in drawn:
            grid = _grid(drawn["affine"], flips, batch.shape[2:])
            outside = "zeros" if self.fill == "black" else "border"
            # Before it is normalised: what is outside of the image is black, as the padding is.
            batch = functional.grid_sample(batch.float(), grid, padding_mode=outside, align_corners=False)
        else:
            for which, axis in flips:
                batch = torch.where(which[:, None, None, None], batch.flip(axis), batch)
        if "brightness" in drawn:
            batch = (batch * drawn["brightness"][:, None, None, None]).clamp(0, 255)
        if "centre" in drawn:
            batch = batch.masked_fill(self._hole(drawn["centre"], batch.shape[2:]), 0)
        return batch

    def _window(self, images: torch.Tensor, picked: torch.Tensor, drawn: dict[str, torch.Tensor]) -> torch.Tensor:
        """Pick and crop in one indexing: of each image, the window of its own size that begins at its corner."""
        if "corner" not in drawn:
            return images[picked]
        height, width = (side - 2 * self.crop for side in images.shape[2:])
        row, column = drawn["corner"].unbind(1)
        return images.unfold(2, height, 1).unfold(3, width, 1)[picked, :, row, column]

    def _hole(self, centre: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """bool [B, 1, H, W]: the pixels of each image's square."""
        first = centre - self.cutout // 2
        rows, columns = (
            (torch.arange(side, device=centre.device) >= first[:, axis : axis + 1])
            & (torch.arange(side, device=centre.device) < first[:, axis : axis + 1] + self.cutout)
            for axis, side in enumerate(size)
        )
        return (rows[:, :, None] & columns[:, None, :])[:, None]


def _grid(affine: torch.Tensor, flips: list[tuple[torch.Tensor, int]], size: torch.Size) -> torch.Tensor:
    """Where each pixel is read, as `functional.affine_grid` has it without align_corners: float32 [B, H, W, 2].

    affine: [B, 2, 3]; flips: (bool [B], axis) each. What is flipped first is read at the mirrored place. affine_grid
    multiplies a matrix for every pixel; the x part of a place depends on its column alone, and the y part on its row.
    """
    for which, axis in flips:
        turned = torch.ones_like(affine[:, :, :1])
        turned[:, 3 - axis, 0] -= 2.0 * which
        affine = affine * turned
    down, across = ((2 * torch.arange(side, dtype=torch.float32, device=affine.device) + 1) / side - 1 for side in size)
    x = affine[:, :, 0, None] * across
    y = affine[:, :, 1, None] * down + affine[:, :, 2, None]
    return (y[:, :, :, None] + x[:, :, None, :]).permute(0, 2, 3, 1)


def _within(reach: float, shape: tuple[int, ...], stream: torch.Generator) -> torch.Tensor:
    """Numbers uniform within +- `reach`."""
    return (torch.rand(shape, generator=stream) * 2 - 1) * reach


def _matrix(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """Matrices [[a, b], [c, d]], one for each row of the four: [B] each -> [B, 2, 2]."""
    return torch.stack([a, b, c, d], 1).view(-1, 2, 2)
