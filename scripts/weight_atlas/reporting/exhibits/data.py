"""Exhibits on the data: ten images per class of each data set, and how many images each split has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from weight_atlas.faults import Fault, spared
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.source import note, recorded
from weight_atlas.reporting.grammar.tables import AnyPath, Json
from weight_atlas.reporting.grammar.words import enumerated, slug, whole
from weight_atlas.store import load_arrays, read_json
from weight_atlas.vocabulary import SPLITS

A_CLASS = 10  # images that are shown of a class
CLASSES = 20  # of more, some are shown, and the table of counts has one row for all
SEED = 0

Array = npt.NDArray[Any]


def cards(paths: Sequence[AnyPath], titles: Mapping[str, str]) -> list[Json]:
    """The data sets' cards, each with the title that the config gives it (`titles`, by id) or its own."""
    read = [read_json(path) for path in paths]
    return [card | {"title": titles.get(card["dataset_id"], card["title"])} for card in read]


def exhibits(cards: Sequence[Json], data: Sequence[AnyPath], faults: list[Fault]) -> list[Exhibit]:
    """The images of each data set, those that several have once, and the table of counts.

    Parameters
    ----------
    cards : sequence of dict
        See `cards`.
    data : sequence of path
        Their files.
    faults : list of Fault
        What raises is added to it.
    """
    ids = [card["dataset_id"] for card in cards]
    if ids != [Path(path).name.removesuffix(".safetensors") for path in data]:
        raise ValueError(
            f"--data {' '.join(map(str, data))}: not the files of the cards {' '.join(ids)}; give one "
            "<dataset_id>.safetensors for each <dataset_id>.json, in the same order"
        )
    made, drawn = [], set[str]()
    for card, path in zip(cards, data, strict=True):
        if card["sha256"] in drawn:
            continue  # the same images, under other classes
        drawn.add(card["sha256"])
        with spared(faults, f"the images of {card['title']}"):
            made.append(_with_source(pictures, card, path, of=[card]))
    if cards:
        with spared(faults, "the table of counts"):
            made.append(_with_source(counts, cards, of=cards))
    return made


def _with_source(function: Callable[..., Exhibit], *arguments: Any, of: Sequence[Json]) -> Exhibit:
    """The exhibit that a function makes of these arguments, with its source; of: the cards that it is given."""
    with recorded(function) as source:
        for card in of:
            note(f"{card['dataset_id']}.json")
        made = function(*arguments)
    return replace(made, source=source)


def facts(cards: Sequence[Json]) -> Json:
    """datasets: what the cards say of each, with its totals; sentences: one a data set."""
    datasets = [{**card, "totals": totals(card)} for card in cards]
    return {"datasets": datasets, "sentences": [sizes(card) for card in cards]}


def pictures(card: Json, path: AnyPath) -> Exhibit:
    """Ten training images per class of a data set, chosen by a fixed seed: a row per class."""
    arrays = load_arrays(path)
    note(Path(path).name)
    rows = chosen(arrays["labels"], arrays["split"], len(card["classes"]))
    grid = mosaic(arrays["images"], list(rows.values()))
    fig = style.figure(0.2 + style.WIDTH * 0.8 * grid.shape[0] / grid.shape[1])
    axes = fig.subplots()
    side = grid.shape[0] / len(rows)
    drawn = "nearest" if max(card["size"]) <= 64 else "auto"
    axes.imshow(grid, cmap="gray" if grid.ndim == 2 else None, vmin=0, vmax=255, interpolation=drawn)
    names = [card["classes"][kind] for kind in rows]
    axes.set_yticks([side * (row + 0.5) - 0.5 for row in range(len(rows))], names)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    places = zip(names, rows.values(), strict=True)
    data = [(name, column, int(place)) for name, own in places for column, place in enumerate(own)]
    some = "" if len(rows) == len(card["classes"]) else f" of {len(rows)} of its {len(card['classes'])} classes"
    size = f"{card['size'][0]} x {card['size'][1]} pixels, {'grey' if card['channels'] == 1 else 'colour'}"
    caption = (
        f"{card['title']}: {A_CLASS} training images per class{some}, drawn with a fixed seed and shown as they are "
        f"({size}). {sizes(card)} Source: {card['source']}."
    )
    alt = f"Grid of {len(data)} images of {card['title']}, a row per class: {', '.join(names)}."
    table = pd.DataFrame(data, columns=["class", "column", "index"])
    return Exhibit(slug("pictures", card["dataset_id"]), card["title"], caption, alt, table, fig, raster=True)


def chosen(labels: Array, split: Array, classes: int) -> dict[int, Array]:
    """class -> indices of up to ten of its train images, the first ones of an order drawn with a fixed seed.

    Parameters
    ----------
    labels : int64 [N]
    split : uint8 [N]
        0 is train.
    classes : int
        Of more than CLASSES the first CLASSES of a seeded order are taken; those without an image are left out.
    """
    generator = np.random.default_rng(SEED)
    kinds = sorted(generator.permutation(classes)[:CLASSES].tolist()) if classes > CLASSES else range(classes)
    order = generator.permutation(len(labels))
    order = order[split[order] == 0]
    found = {kind: order[labels[order] == kind][:A_CLASS] for kind in kinds}
    return {kind: places for kind, places in found.items() if len(places)}


def mosaic(images: Array, rows: Sequence[Array]) -> Array:
    """The images[rows[i][j]] in a grid with white gaps: uint8 [H, W] for one channel, else [H, W, 3].

    images uint8 [N, C, h, w]; a row with fewer than ten images ends white.
    """
    channels, height, width = images.shape[1:]
    gap = max(1, height // 12)
    canvas = np.full((channels, len(rows) * (height + gap) - gap, A_CLASS * (width + gap) - gap), 255, np.uint8)
    for row, places in enumerate(rows):
        for column, place in enumerate(places):
            top, left = row * (height + gap), column * (width + gap)
            canvas[:, top : top + height, left : left + width] = images[place]
    return canvas[0] if channels == 1 else canvas.transpose(1, 2, 0)


def counts(cards: Sequence[Json]) -> Exhibit:
    """The numbers of images by data set, class and split; data sets of more than 20 classes take one row."""
    rows: list[tuple[str, ...]] = []
    for card in cards:
        title, names = card["title"], card["classes"]
        numbers = [card["counts"][split] for split in SPLITS]
        if len(names) <= CLASSES:
            rows += [(title, name, *map(str, row)) for name, *row in zip(names, *numbers, strict=True)]
        else:
            rows.append((title, f"each of {len(names)}", *(whole(row) for row in numbers)))
        rows.append((title, "all classes", *(str(sum(row)) for row in numbers)))
    seen = [card["title"] for card in cards if any(card.get("repeats", {}).get(f"test_in_{part}") for part in SPLITS)]
    but = f"But images of test are in train or valid too in {enumerated(seen)}." if seen else ""
    caption = f"Images by data set, class and split. Training sees train; valid chooses epochs; test only judges. {but}"
    alt = f"Table of the numbers of images of {', '.join(card['title'] for card in cards)}."
    table = pd.DataFrame(rows, columns=["data set", "class", *SPLITS])
    return Exhibit("class-counts", "Images by class and split", caption, alt, table)


def totals(card: Json) -> dict[str, int]:
    """split -> number of images."""
    return {split: int(sum(card["counts"][split])) for split in SPLITS}


def sizes(card: Json) -> str:
    """ "Digits has 10 classes and 1,257 train, 270 valid and 270 test images."."""
    train, valid, test = (f"{count:,}" for count in totals(card).values())
    return (
        f"{card['title']} has {len(card['classes'])} classes and {train} train, {valid} valid and {test} test images."
    )
