"""Make a data set: read the chosen images into one tensor file, and say on its card what it holds."""

import hashlib

import numpy as np

from weight_atlas.datasets.source_info import SOURCES, describe, fingerprint, shape
from weight_atlas.datasets.split import SPLITS, choose, kept, numbers, rule
from weight_atlas.store import save_tensors


def prepare_dataset(spec, dataset_id, data_root, output):
    """Write `output` (safetensors: images uint8 [N,C,H,W], labels int64 [N], split uint8 [N], 0 train, 1 valid, 2 test)
    and return what its card says.

    Pictures are ordered by split, then class, then file name (or position in the source). The same spec gives the
    same bytes. ValueError in one line for whatever a user can get wrong.
    """
    source = describe(spec, data_root)
    picks = choose(spec, source.classes, source.counts)
    new, names = numbers(spec, source.classes)
    total = sum(len(positions) for of_class in picks.values() for _, positions in of_class.values())
    images = np.empty((total, *shape(spec, source)), np.uint8)
    labels, split = np.empty(total, np.int64), np.empty(total, np.uint8)
    start, changed = 0, np.zeros(2, int)
    with SOURCES[spec["source"]].reader(spec, data_root, source) as fill:
        for number, of_class in enumerate(picks[name] for name in SPLITS):
            for label, (part, positions) in of_class.items():
                end = start + len(positions)
                changed += fill(images[start:end], part, label, positions)
                labels[start:end], split[start:end] = new[label], number
                start = end
    facts = {"dataset_id": dataset_id, "title": source.title, "source": spec["source"]}
    facts |= _measured(names, images, labels, split) | {"fingerprint": fingerprint(source)}
    facts["notes"] = source.notes + _notes(spec, source, images.shape, *changed.tolist())
    save_tensors(output, {"images": images, "labels": labels, "split": split}, {"dataset_id": dataset_id})
    return facts


def _measured(names, images, labels, split):
    """What the card says of the tensors themselves."""
    counts = {
        name: np.bincount(labels[split == number], minlength=len(names)).tolist() for number, name in enumerate(SPLITS)
    }
    mean, std = mean_std(images[: np.count_nonzero(split == 0)])  # train comes first
    digest = hashlib.sha256()
    for array in (images, labels, split):
        digest.update(memoryview(array).cast("B"))
    return {
        "classes": names,
        "channels": images.shape[1],
        "size": list(images.shape[2:]),
        "counts": counts,
        "mean": mean,
        "std": std,
        "sha256": digest.hexdigest(),
    }


def mean_std(images, chunk=1024):
    """Mean and population standard deviation of each channel of uint8 [N,C,H,W], on the scale 0..1: two lists of float.

    Computed from the counts of the 256 values, in whole numbers, so that nothing is lost before the last division.
    """
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(images), chunk):
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(images[start : start + chunk, channel].ravel(), minlength=256)
    mean, std = [], []
    for row in counts.tolist():
        number = sum(row)
        first = sum(value * count for value, count in enumerate(row))
        second = sum(value * value * count for value, count in enumerate(row))
        mean.append(first / number / 255)
        std.append(((number * second - first * first) / number**2) ** 0.5 / 255)
    return mean, std


def _notes(spec, source, shape, resized, recoloured):
    """Sentences on channels, size, classes, split and caps, as far as they changed something."""
    total, channels, height, width = shape
    notes = []
    if recoloured and channels == 3:
        notes.append(f"{recoloured:,} of {total:,} pictures were grey and were given three equal channels.")
    if recoloured and channels == 1:
        notes.append(
            f"{recoloured:,} of {total:,} pictures had colour and were turned to grey by ITU-R 601 luma "
            "(0.299 R + 0.587 G + 0.114 B)."
        )
    if resized:
        notes.append(
            f"{resized:,} of {total:,} pictures were not {width} x {height} pixels: they were resized so that their "
            f"shorter side is {width} pixels (Pillow's antialiased bilinear filter), and their centre was cut out."
        )
    if spec.get("classes") is not None:
        labels = kept(spec, source.classes)
        names = ", ".join(source.classes[label] for label in labels)
        kind = "numbered from 0" if spec.get("labels") == "compact" else "with their original labels"
        notes.append(f"{len(labels)} of {len(source.classes)} classes, {kind}: {names}.")
    notes.append(rule(spec, source.counts))
    caps = {name: cap for name, cap in (spec.get("per_class") or {}).items() if cap is not None}
    if caps:
        limits = ", ".join(f"{caps[name]} in {name}" for name in SPLITS if name in caps)
        notes.append(f"At most this many pictures of each class were kept, drawn by seed {spec['seed']}: {limits}.")
    return notes
