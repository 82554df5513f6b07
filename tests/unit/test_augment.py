"""Changes of the training pictures against slicing, numpy, scipy and torchvision."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from weight_atlas import streams
from weight_atlas.plan import spec
from weight_atlas.settings import Augmentation
from weight_atlas.training.augment import Augment, _grid

SIZE = (24, 18)


def stream(step=0):
    return streams.generator(0, "augment", 1, step)


def pictures(count=6, channels=3, size=SIZE):
    return torch.randint(256, (count, channels, *size), dtype=torch.uint8, generator=stream("pictures"))


def changed(images, **settings):
    """(what the augment makes of all pictures, what it drew for them)."""
    augment = Augment(Augmentation(**settings))
    drawn = augment.draw(len(images), tuple(images.shape[2:]), stream())
    return augment.apply(augment.pad(images), torch.arange(len(images)), drawn), drawn


def within(reach, *shape, draw):
    return ((torch.rand(shape, generator=draw) * 2 - 1) * reach).double().numpy()


def test_without_changes_nothing_is_drawn_or_changed():
    images = pictures()
    found, drawn = changed(images)
    assert torch.equal(found, images) and found.dtype == torch.uint8 and not drawn and not Augment(Augmentation())
    assert spec.Augment().model_dump() == asdict(Augmentation())
    for name, value in {"crop": 1, "flip": "always", "rotation": 1.0, "zoom": [0.5, 1.0], "cutout": 1}.items():
        assert Augment(Augmentation(**{name: value}))


def test_crop_and_flip_are_what_slicing_gives():
    images = torch.randint(256, (10, 3, 12, 14), dtype=torch.uint8)
    augment, picked = Augment(Augmentation(crop=2, flip=True)), torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
    padded = augment.pad(images)
    assert torch.equal(padded, torch.nn.functional.pad(images, [2] * 4))
    found = augment.apply(padded, picked, augment.draw(8, (12, 14), stream()))
    draw = stream()
    turned, shift = torch.rand(8, generator=draw) < 0.5, torch.randint(5, (2, 8, 1), generator=draw)
    for row, index in enumerate(picked):
        top, left = shift[0, row].item(), shift[1, row].item()
        crop = padded[index, :, top : top + 12, left : left + 14]
        assert torch.equal(found[row], crop.flip(2) if turned[row] else crop)
    assert turned.any() and not turned.all()


def test_a_crop_can_repeat_the_border():
    images = pictures()
    padded = Augment(Augmentation(crop=3, fill="nearest")).pad(images)
    assert np.array_equal(padded, np.pad(images, [(0, 0), (0, 0), (3, 3), (3, 3)], mode="edge"))


@pytest.mark.parametrize(
    ("flip", "axes"),
    [(True, {(), (3,)}), ("vertical", {(), (2,)}), ("both", {(), (3,), (2,), (2, 3)}), ("always", {(3,)})],
)
def test_flips_are_of_the_kinds_asked_for(flip, axes):
    images = pictures(40)
    found, _ = changed(images, flip=flip)
    kinds = {axis: (found == images.flip(axis)).flatten(1).all(1) for axis in ((), (3,), (2,), (2, 3))}
    assert {axis for axis, these in kinds.items() if these.any()} == axes
    assert sum(these.sum() for these in kinds.values()) == 40


def test_rotation_is_that_of_torchvision():
    # A smooth picture, since the two interpolate along their own edges.
    grid = torch.linspace(-1, 1, 32)
    picture = 255 * torch.exp(-4 * ((grid[:, None] - 0.3) ** 2 + (grid[None, :] + 0.1) ** 2))[None, None]
    found, _ = changed(picture, rotation=40.0)
    angle = within(40, 1, draw=stream())[0]
    assert abs(angle) > 5 and (found - tv.rotate(picture, angle, InterpolationMode.BILINEAR)).abs().max() < 5
    assert (found - picture).abs().max() > 13


@pytest.mark.parametrize("fill", ["black", "nearest"])
@pytest.mark.parametrize(
    "settings",
    [
        {"rotation": 30.0},
        {"shift": 0.2},
        {"shear": 25.0},
        {"shear": 0.4, "shear_unit": "fraction"},
        {"zoom": [0.5, 1.0]},
        {"zoom": [0.8, 1.2]},
        {"rotation": 20.0, "shift": 0.2, "shear": 15.0, "zoom": [0.8, 1.2]},
    ],
    ids=lambda settings: "-".join(map(str, settings)),
)
def test_the_affine_change_is_that_of_keras(settings, fill):
    """scipy's affine_transform with the matrices of Keras's apply_affine_transform (rows, columns), one a picture."""
    images, draw, count = pictures(channels=2), stream(), 6
    found, _ = changed(images, fill=fill, **settings)
    angle = within(np.pi / 180 * settings.get("rotation", 0), count, draw=draw) if "rotation" in settings else [0] * 6
    shift = within(settings["shift"], count, 2, draw=draw) if "shift" in settings else np.zeros((6, 2))
    unit = 1 if "shear_unit" in settings else np.pi / 180
    shear = within(unit * settings["shear"], count, draw=draw) if "shear" in settings else [0] * 6
    low, high = settings.get("zoom", (1, 1))
    zoom = low + (high - low) * torch.rand((2, count), generator=draw).numpy().T
    centre = np.array([(side - 1) / 2 for side in SIZE])
    for row, image in enumerate(images.numpy().astype(float)):
        cos, sin = np.cos(-angle[row]), np.sin(-angle[row])
        turn = np.array([[cos, -sin], [sin, cos]])
        slope, narrow = (shear[row], 1) if unit == 1 else (np.sin(shear[row]), np.cos(shear[row]))
        matrix = turn @ np.array([[1, -slope], [0, narrow]]) @ np.diag(zoom[row][::-1])
        offset = turn @ (shift[row][::-1] * SIZE) + centre - matrix @ centre
        mode = "nearest" if fill == "nearest" else "grid-constant"
        for channel in range(2):
            expected = ndimage.affine_transform(image[channel], matrix, offset, order=1, mode=mode)
            assert np.abs(found[row, channel].numpy() - expected).max() < 0.05
    assert (found - images).abs().amax((1, 2, 3)).min() > 1


def test_draws_stay_within_their_ranges_and_fill_them():
    augment = Augment(Augmentation(shift=0.3, zoom=[0.5, 1.0], brightness=0.4))
    drawn = augment.draw(4000, (20, 20), stream())
    for found, low, high in (
        (drawn["affine"][:, :, 2].flatten(), -0.6, 0.6),  # in units of half the side
        (drawn["affine"][:, 0, 0], 0.5, 1.0),
        (drawn["affine"][:, 1, 1], 0.5, 1.0),
        (drawn["brightness"], 0.6, 1.4),
    ):
        edge = 0.01 * (high - low)
        assert low <= found.min() < low + edge and high - edge < found.max() <= high
    assert abs(np.corrcoef(drawn["affine"][:, 0, 0], drawn["affine"][:, 1, 1])[0, 1]) < 0.05
    assert not drawn["affine"][:, 0, 1].any() and not drawn["affine"][:, 1, 0].any()


def test_brightness_is_a_factor_that_is_clipped():
    images = pictures()
    found, drawn = changed(images, brightness=0.6)
    factor = 1 + within(0.6, 6, draw=stream())
    expected = np.clip(images.numpy() * factor[:, None, None, None], 0, 255)
    assert np.abs(found.numpy() - expected).max() < 1e-3 and found.max() == 255
    assert np.ptp(factor) > 0.3


@pytest.mark.parametrize("side", [1, 8, 9])
def test_a_cutout_is_a_black_square_cut_at_the_border(side):
    images = pictures(200).clamp(1)
    found, _ = changed(images, cutout=side)
    draw = stream()
    rows, columns = (torch.randint(length, (200,), generator=draw) for length in SIZE)
    for image, own, row, column in zip(images, found, rows.tolist(), columns.tolist(), strict=True):
        expected = image.clone()
        top, left = row - side // 2, column - side // 2
        expected[:, max(0, top) : top + side, max(0, left) : left + side] = 0
        assert torch.equal(own, expected)
    sizes = (found == 0)[:, 0].flatten(1).sum(1)
    assert sizes.max() == side**2 and (side == 1 or sizes.min() < side**2)


def test_all_changes_at_once_are_made_in_their_order():
    """Crop and flip, then the affine change, then brightness, then the hole, from one stream."""
    settings = {"crop": 2, "flip": True, "rotation": 10.0, "shift": 0.1, "brightness": 0.3, "cutout": 5}
    images = pictures()
    found, drawn = changed(images, **settings)
    assert list(drawn) == ["mirrored", "corner", "affine", "brightness", "centre"]
    alone = images
    for part in (("crop", "flip"), ("rotation", "shift"), ("brightness",), ("cutout",)):
        augment = Augment(Augmentation(**{name: settings[name] for name in part}))
        padded = augment.pad(alone)
        own = augment.draw(0, SIZE, stream()).keys()
        alone = augment.apply(padded, torch.arange(6), {name: drawn[name] for name in own})
    # Flips become part of where a pixel is read, whose last bit may differ.
    assert torch.allclose(found, alone, rtol=0, atol=0.005)


def test_places_are_those_of_affine_grid():
    matrices = torch.randn(5, 2, 3, generator=stream())
    places = functional.affine_grid(matrices, [5, 1, 12, 14], align_corners=False)
    assert torch.allclose(_grid(matrices, [], (12, 14)), places, rtol=0, atol=1e-5)
    mirrored = torch.tensor([True, False, True, False, False])
    found = _grid(matrices, [(mirrored, 3)], (12, 14))
    places[mirrored, :, :, 0] *= -1
    assert torch.allclose(found, places, rtol=0, atol=1e-5)
