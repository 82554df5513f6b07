"""How every figure looks: fonts, colours, sizes, scales, and numbers as text."""

import math
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from weight_atlas.reporting.grammar import lettering

# A figure is 8.75 inches wide: 840 CSS pixels (96 an inch), what the page's column has. Text of 9 pt and more is 12
# pixels there; on a phone the page shows a figure at a width that leaves it 10 (style.css).
WIDTH = 8.75
CSS_DPI = 96
# Values that span more than this factor are drawn on a logarithmic scale.
WIDE = 20

# Okabe and Ito (2008), "Color Universal Design"; their yellow comes last, since it is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
WARNING = "#C1272D"
INK = "#222222"
QUIET = "#666666"
FAINT = "#E3E3E3"
BAND = "#F5F6F8"

# A cell without a value is never a colour of the scale: the hatched background shows through it.
UNDEFINED: dict[str, Any] = {"facecolor": "#EFEFEF", "edgecolor": "#9A9A9A", "hatch": "////", "linewidth": 0}

SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"

RC: Any = {
    "text.parse_math": False,  # a name such as "$5_bill_$10" is no formula
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9A9A9A",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 0.7,
    # Letters as outlines: an SVG in an <img> cannot count on the reader's fonts. The salt makes its ids repeatable.
    "svg.fonttype": "path",
    "svg.hashsalt": "weight-atlas",
    "image.interpolation": "none",
}


def apply() -> None:
    """Set matplotlib's defaults to the house's. Called before a figure is made and before it is saved."""
    matplotlib.rcParams.update(RC | {"font.family": lettering.families()})


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of `width` x `height` inches in the house style, laid out so that nothing overlaps."""
    apply()
    return Figure(
        figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05, wspace=0.02, hspace=0.02)
    )


def colours(count: int) -> list[str]:
    """`count` colours that colour-blind readers can tell apart: Okabe-Ito up to 8, then steps of a sequential map."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    return [matplotlib.colors.to_hex(matplotlib.colormaps[SEQUENTIAL](i / (count - 1) * 0.95)) for i in range(count)]


def magnitudes(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The magnitudes of the finite values that are not 0, ascending; [1.0] where there is none."""
    sizes = np.abs(np.asarray(values, dtype=float))
    sizes = np.sort(sizes[np.isfinite(sizes) & (sizes > 0)])
    return sizes if sizes.size else np.ones(1)


def signed_scale(values: npt.ArrayLike) -> Normalize:
    """A scale from -m to m, m the largest magnitude: 0 is the middle colour. Logarithmic beyond m / 1000 where the
    lower quartile of the magnitudes is below m / WIDE, linear otherwise."""
    found = magnitudes(values)
    top = found[-1]
    if np.quantile(found, 0.25) * WIDE >= top:
        return Normalize(-top, top)
    return SymLogNorm(top / 1000, linscale=1, vmin=-top, vmax=top)


def positive_scale(values: npt.ArrayLike) -> Normalize:
    """A scale from 0, which has a colour of its own, to the largest value: logarithmic where the positive values span
    more than a factor of WIDE (values below a thousandth of the largest look alike), linear otherwise."""
    found = magnitudes(values)
    top, least = found[-1], max(found[0], found[-1] / 1000)
    if least * WIDE >= top:
        return Normalize(0, top)
    return SymLogNorm(least, linscale=0.3, vmin=0, vmax=top)


def colourbar(fig: Figure, image: Any, axes: Any, label: str, **options: Any) -> Colorbar:
    """A slim colour bar with few ticks: on a logarithmic scale `log_ticks`, and 0 where the scale begins there."""
    bar: Any = fig.colorbar(image, ax=axes, label=label, **options)
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    norm: Any = image.norm
    signed = bool(norm.vmin < 0)
    if isinstance(image.norm, SymLogNorm):
        steps = log_ticks(norm.linthresh, norm.vmax, 2 if signed else 3)
        bar.set_ticks([-step for step in reversed(steps)] + steps if signed else [0.0, *steps])
        bar.ax.minorticks_off()
    else:
        bar.locator = MaxNLocator(4)
    bar.formatter = FuncFormatter(lambda value, _: short(value))
    bar.update_ticks()
    made: Colorbar = bar
    return made


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round numbers in [low, high], evenly spread on a logarithmic scale: powers of ten, or 1-2-5 steps
    where fewer than two powers fit."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 2, 5)):
        found = [float(f"{digit}e{power}") for power in exponents for digit in digits]
        found = [value for value in found if low <= value <= high]
        if len(found) >= 2:
            break
    every = -(-len(found) // most)
    return found[::-1][::every][::-1]


def log_if_wide(axes: Axes, values: npt.ArrayLike) -> None:
    """Make the y axis logarithmic, with plain numbers as labels, where the positive `values` span more than WIDE."""
    found = magnitudes(values)
    if found[-1] > WIDE * found[0]:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def from_zero(axes: Axes, values: npt.ArrayLike) -> None:
    """A y axis of `values` that begins at 0, or a logarithmic one as `log_if_wide` makes it, with round numbers."""
    log_if_wide(axes, values)
    if axes.get_yscale() == "log":
        axes.set_ylim(bottom=magnitudes(values)[0] / 2)
        log_axis(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)


def log_axis(axis: Axis, most: int = 5) -> None:
    """Round numbers in plain digits on a logarithmic axis whose limits are set."""
    low, high = sorted(axis.get_view_interval())
    found = log_ticks(low, high, most)
    axis.set_ticks(found, [short(value) for value in found])
    axis.set_minor_formatter("")


def short(value: float) -> str:
    """A number in few characters for axes and cells: 0.0012 -> "0.0012", 12345 -> "12,345", 1e-7 -> "1e-7"."""
    if not math.isfinite(value):
        return "undefined"
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-3:
        mantissa, power = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(power)}".replace("-", "−")
    digits = max(0, 1 - math.floor(math.log10(size)))
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def number(value: float | None, digits: int = 4) -> str:
    """A number with `digits` significant digits for tables and sentences; an empty string where it is undefined."""
    if value is None or not math.isfinite(value):
        return ""
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return short(value)
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(0, digits - 1 - power)}f}".replace("-", "−")


def percent(share: float, digits: int = 1) -> str:
    """A share (0..1) as text: "98.3 %". What only rounds to 0 or 100 % is not called so: "<0.1 %", ">99.9 %"."""
    if not math.isfinite(share):
        return "undefined"
    step = 10.0**-digits
    if 0 < share * 100 < step / 2:
        return f"<{step:.{digits}f} %"
    if 0 < 100 - share * 100 < step / 2:
        return f">{100 - step:.{digits}f} %"
    return f"{share * 100:.{digits}f} %".replace("-", "−") if share not in (0, 1) else f"{share * 100:.0f} %"
