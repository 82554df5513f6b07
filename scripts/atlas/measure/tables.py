"""The tables that measuring makes: their columns, and how they are written and read. No torch, no pandas."""

import csv

from atlas import store

COLUMNS = {
    "runs": "cell_id seed status cause epochs best_epoch wall_seconds images_per_second peak_memory_mib "
    "device device_name threads torch",
    "metrics": " ".join(store.METRICS),
    "accuracy": "cell_id seed status protocol epoch accuracy loss",
    "statistics": "cell_id seed epoch layer parameter size mean std min max range norm",
    "movement": "cell_id seed layer from_epoch to_epoch interval norm_from norm_to distance cosine relative",
    "unchanged": "cell_id seed layer parameter size unchanged taps structural dead rounding returned changed "
    "contradicted",
    "parameters": "cell_id layer parameter size structural tied effective",
    "tolerance": "cell_id seed layer criterion tolerance size changed",
    "features": "cell_id seed of features constant pairs mean_correlation mean_absolute q05 q25 q50 q75 q95",
    "pairs": "cell_a seed_a cell_b seed_b factor level_a level_b norm_a norm_b distance cosine cka agreement "
    "correlation matched in_place features constant",
    "tests": "outcome factor level_a level_b dataset network n difference low high t p q effect",
    "summary": "measure cell_id key n of mean low high std",
}
COLUMNS = {name: columns.split() for name, columns in COLUMNS.items()}
# The tables that one measure job writes for its group of cells.
MEASURES = ("statistics", "movement", "unchanged", "parameters", "tolerance", "features", "pairs")


def write(path, table, rows, digits=None):
    """Write rows (sequences in the order of COLUMNS[table]) as CSV, whole.

    Floats are written so that they read back the same, or with `digits` significant digits; NaN and None are empty.
    """
    with store.whole(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS[table])
        writer.writerows([_text(value, digits) for value in row] for row in rows)


def _text(value, digits):
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}g}" if digits else repr(float(value))
    return value


def rows(path, table):
    """The rows of a CSV as lists of text, as they stand in the file.

    Raises ValueError where the columns are not COLUMNS[table].
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        columns = next(reader, [])
        if columns != COLUMNS[table]:
            raise ValueError(
                f"{path}: columns {','.join(columns) or 'none'}; allowed: {','.join(COLUMNS[table])}; "
                "remove the file, so that it is made again"
            )
        return list(reader)
