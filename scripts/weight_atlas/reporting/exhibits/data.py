"""Exhibits on the data: ten pictures a class of each data set, and how many pictures each split has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from weight_atlas.faults import spared
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.source import note, recorded
from weight_atlas.reporting.grammar.words import slug
from weight_atlas.store import load_arrays, read_json
from weight_atlas.vocabulary import SPLITS

TITLE = "Data"
A_CLASS = 10
CLASSES = 20
SEED = 0


def cards(paths, titles):
    """The data sets' cards, each with the title that the config gives it (`titles`, by id) or its own."""
    read = [read_json(path) for path in paths]
    return [card | {"title": titles.get(card["dataset_id"], card["title"])} for card in read]


def exhibits(cards, data, faults):
    """One picture a data set and the table of counts: list[Exhibit]. cards: see `cards`; data: their files; faults: the
    list that what raises is added to."""
    ids = [card["dataset_id"] for card in cards]
    if ids != [path_id(path) for path in data]:
        raise ValueError(
            f"--data {' '.join(map(str, data))}: not the files of the cards {' '.join(ids)}; give one "
            "<dataset_id>.safetensors for each <dataset_id>.json, in the same order"
        )
    made = []
    for card, path in zip(cards, data, strict=True):
        with spared(faults, f"the images of {card['title']}"):
            made.append(with_source(pictures, card, path, of=[card]))
    if cards:
        with spared(faults, "the table of counts"):
            made.append(with_source(counts, cards, of=cards))
    return made


def with_source(function, *arguments, of):
    """The exhibit that a function makes of these arguments, with its source; of: the cards that it is given."""
    with recorded(function) as source:
        for card in of:
            note(f"{card['dataset_id']}.json")
        made = function(*arguments)
    return replace(made, source=source)


def facts(cards):
    """datasets: what the cards say of each, with its totals; sentences: one a data set."""
    datasets = [{**card, "totals": totals(card)} for card in cards]
    return {"datasets": datasets, "sentences": [sizes(card) for card in cards]}


def path_id(path):
    """The data set id that a file's name carries."""
    return str(path).rpartition("/")[2].removesuffix(".safetensors")


def pictures(card, path):
    """The grid of one data set: a row a class, ten pictures of its train split, chosen by a fixed seed."""
    arrays = load_arrays(path)
    note(Path(path).name)
    rows = chosen(arrays["labels"], arrays["split"], len(card["classes"]))
    rows = [(kind, places) for kind, places in rows if len(places)]  # a data set may keep labels that it has none of
    grid = mosaic(arrays["images"], [places for _, places in rows])
    fig = style.figure(0.2 + style.WIDTH * 0.8 * grid.shape[0] / grid.shape[1])
    axes = fig.subplots()
    side = grid.shape[0] / len(rows)
    grey = grid.ndim == 2
    drawn = "nearest" if max(card["size"]) <= 64 else "auto"
    axes.imshow(grid, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation=drawn)
    names = [card["classes"][kind] for kind, _ in rows]
    axes.set_yticks([side * (row + 0.5) - 0.5 for row in range(len(rows))], names)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    table = pd.DataFrame(
        [(card["classes"][kind], column, int(place)) for kind, places in rows for column, place in enumerate(places)],
        columns=["class", "column", "index"],
    )
    some = "" if len(rows) == len(card["classes"]) else f" of {len(rows)} of its {len(card['classes'])} classes"
    size = f"{card['size'][0]} x {card['size'][1]} pixels, {'grey' if card['channels'] == 1 else 'colour'}"
    caption = (
        f"{card['title']}: {A_CLASS} training pictures a class{some}, drawn with a fixed seed and shown as they are "
        f"({size}). {sizes(card)} Source: {card['source']}."
    )
    alt = f"Grid of {len(table)} pictures of {card['title']}, a row a class: {', '.join(names)}."
    return Exhibit(f"pictures-{slug(card['dataset_id'])}", card["title"], caption, alt, table, fig, raster=True)


def chosen(labels, split, classes):
    """[(class, indices of up to ten of its train pictures)]: the first ones of an order drawn with a fixed seed.

    labels int64 [N], split uint8 [N] (0 is train). Of more than 20 classes the first 20 of a seeded order are taken.
    """
    generator = np.random.default_rng(SEED)
    kinds = range(classes)
    if classes > CLASSES:
        kinds = sorted(generator.permutation(classes)[:CLASSES].tolist())
    order = generator.permutation(len(labels))
    order = order[split[order] == 0]
    return [(kind, order[labels[order] == kind][:A_CLASS]) for kind in kinds]


def mosaic(images, rows):
    """The pictures images[rows[i][j]] in a grid with white gaps: uint8 [H, W] for one channel, else [H, W, 3].

    images uint8 [N, C, h, w]; a row with fewer than ten pictures ends white.
    """
    channels, height, width = images.shape[1:]
    gap = max(1, height // 12)
    canvas = np.full((channels, len(rows) * (height + gap) - gap, A_CLASS * (width + gap) - gap), 255, np.uint8)
    for row, places in enumerate(rows):
        for column, place in enumerate(places):
            top, left = row * (height + gap), column * (width + gap)
            canvas[:, top : top + height, left : left + width] = images[place]
    return canvas[0] if channels == 1 else canvas.transpose(1, 2, 0)


def counts(cards):
    """The table of pictures by data set, class and split; data sets of more than 20 classes take one row."""
    rows = []
    for card in cards:
        numbers = [card["counts"][split] for split in SPLITS]
        if len(card["classes"]) <= CLASSES:
            classes = zip(card["classes"], *numbers, strict=True)
            rows += [(card["title"], name, *map(str, row)) for name, *row in classes]
        else:
            each = [str(min(row)) if min(row) == max(row) else f"{min(row)} to {max(row)}" for row in numbers]
            rows.append((card["title"], f"each of {len(card['classes'])}", *each))
        rows.append((card["title"], "all classes", *(str(sum(row)) for row in numbers)))
    table = pd.DataFrame(rows, columns=["data set", "class", *SPLITS])
    seen = [card["title"] for card in cards if any(card.get("repeats", {}).get(f"test_in_{part}") for part in SPLITS)]
    but = f" But images of test are in train or valid too in {' and '.join(seen)}." if seen else ""
    caption = (
        "Pictures by data set, class and split. Training sees train; valid chooses epochs; test only ever judges." + but
    )
    alt = f"Table of the numbers of pictures of {', '.join(card['title'] for card in cards)}."
    return Exhibit("class-counts", "Pictures by class and split", caption, alt, table)


def totals(card):
    """split -> number of pictures."""
    return {split: int(sum(card["counts"][split])) for split in SPLITS}


def sizes(card):
    """ "Digits has 10 classes and 1,257 train, 270 valid and 270 test pictures."."""
    train, valid, test = (f"{count:,}" for count in totals(card).values())
    classes = len(card["classes"])
    return f"{card['title']} has {classes} classes and {train} train, {valid} valid and {test} test pictures."
