"""The tables that measuring makes: their columns, and how they are written and read. No torch, no pandas."""

import csv

from weight_atlas import store

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
    "correlation matched in_place features constant divergence errors_a errors_b both_wrong",
    "returns": "cell_id seed layer pair size changed norm_a norm_b distance cosine relative",
    "aftermath": "cell_id seed mode pictures accuracy loss",
    "paths": "cell_id seed alignment t pictures loss accuracy",
    "barriers": "cell_id seed alignment loss_barrier accuracy_barrier distance permuted signs",
    "symmetries": "cell_id layer_group channels permutation sign scale",
    "facts": "network transformation expected error holds",
    "checkpoints": "cell_id seed checkpoint epoch",
    "correlations": "cell_a seed_a cell_b seed_b comparison checkpoint_a checkpoint_b epoch_a epoch_b layer parameter "
    "size matching pearson spearman changed cosine",
    "spectra": "cell_id seed checkpoint epoch layer size spectral_norm stable_rank alpha xmin tail ks",
    "likeness": "cell_a cell_b checkpoint layer parameter size matching coefficient n mean low high null_n null_mean "
    "null_low null_high difference difference_low difference_high p q",
    "tests": "outcome factor level_a level_b dataset network n difference low high t p q effect",
    "anova": "study experiment setting outcome term df sum_sq F p q eta omega n",
    "missing": "cell_id seed cause",
    "identical": "cell_id seed epoch layer filters distinct spread",
    "summary": "measure cell_id key n of mean low high std",
    # Freeze-depth transfer: each begins with _CURVE.
    "curves": "depth role cell_id seed epoch accuracy train_accuracy valid_accuracy document_accuracy",
    "drops": "depth quantity of n mean low high low90 high90 p_tost",
    "segments": "depth n of verdict document_verdict document_accuracy",
    "breakpoints": "depths n first first_low first_high second second_low second_high residual",
    "trends": "quantity from_depth to_depth n slope low high p",
    "effects": "depth quantity factor level_a level_b n difference low high low90 high90 p q p_tost",
    "reach": "depth level accuracy n of reached median low high saved saved_low saved_high",
}
# The tables of freeze-depth transfer, and the columns that tell one curve over n from others.
TRANSFER = ("curves", "drops", "segments", "breakpoints", "trends", "effects", "reach")
_CURVE = "study network init optimizer setting base target mode "
COLUMNS |= {name: _CURVE + COLUMNS[name] for name in TRANSFER}
COLUMNS = {name: columns.split() for name, columns in COLUMNS.items()}
# The tables that one measure job writes for its group of cells.
MEASURES = (
    *("statistics", "movement", "unchanged", "parameters", "tolerance", "features", "pairs"),
    *("returns", "aftermath", "paths", "barriers", "symmetries", "facts"),
    *("checkpoints", "correlations", "spectra"),
    *("identical", "missing"),
)


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
