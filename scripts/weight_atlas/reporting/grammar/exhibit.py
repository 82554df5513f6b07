"""An exhibit: one figure or table of the report with its words and the numbers behind it, and how it becomes files."""

import io
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import cKDTree

from weight_atlas import schema
from weight_atlas.faults import Fault, spared
from weight_atlas.reporting.grammar import lettering, style
from weight_atlas.reporting.grammar.slim import slim
from weight_atlas.reporting.grammar.source import Source
from weight_atlas.store import atomic_write, write_json

AnyPath = str | Path
LARGEST = 200_000  # bytes of an SVG: of more marks than that a reader's eyes see a PNG


@dataclass
class Exhibit:
    """One figure or table.

    name is kebab-case and names the files; caption and alt are plain text without Markdown, in which every gap becomes
    one space. data is what the figure draws (or the table as printed), one tidy row a mark. figure is None for a table.
    raster: save as PNG, not SVG. palette: a PNG of at most 256 colours, a third of the size, for maps on a scale (data
    that are images keep all colours).
    tab: what tells it from others of the same title, beside which it stands; columns: those that a table prints.
    behind: the name, or what it begins with, of another exhibit of its question, behind which the page folds this one.
    source: the function that made it and the files that it read, which `build` notes.
    """

    name: str
    title: str
    caption: str
    alt: str
    data: pd.DataFrame
    figure: Figure | None = None
    raster: bool = False
    palette: bool = False
    tab: str = ""
    behind: str = ""
    columns: Sequence[Hashable] | None = None
    source: Source = field(default_factory=lambda: Source([]))

    def __post_init__(self) -> None:
        self.caption, self.alt = (" ".join(text.split()) for text in (self.caption, self.alt))

    @property
    def file(self) -> str | None:
        """Name of the picture's file, None for a table."""
        if self.figure is None:
            return None
        return f"{self.name}.{'png' if self.raster else 'svg'}"


def write(folder: AnyPath, exhibits: Iterable[Exhibit], told: dict[str, Any], faults: list[Fault]) -> None:
    """Write <name>.svg|png and <name>.csv for every exhibit, and exhibits.json last, into `folder` (made if absent).

    told: what exhibits.json says beside the exhibits. What cannot be drawn joins `faults`, which it lists too.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for exhibit in exhibits:
        with spared(faults, f"the exhibit {exhibit.name}"):
            entries.append(_entry(_written(folder, exhibit)))
    listed = {"exhibits": entries, "faults": [asdict(fault) for fault in faults]}
    write_json(folder / "exhibits.json", listed | plain(told))


def _written(folder: Path, exhibit: Exhibit) -> Exhibit:
    """Write the files of one exhibit; the exhibit as it is then: of a picture with too many marks for SVG a PNG."""
    with atomic_write(folder / f"{exhibit.name}.csv") as path:
        path.write_text(schema.frame_text(exhibit.data), encoding="utf-8")
    if exhibit.figure is None:
        return exhibit
    figure = exhibit.figure
    drawn = picture(exhibit, figure)
    if len(drawn) > LARGEST and not exhibit.raster:
        exhibit = replace(exhibit, raster=True)
        drawn = picture(exhibit, figure)
    with atomic_write(folder / str(exhibit.file)) as path:
        path.write_bytes(drawn)
    return exhibit


def _entry(exhibit: Exhibit) -> dict[str, Any]:
    """What exhibits.json says of one exhibit."""
    return {
        "name": exhibit.name,
        "title": exhibit.title,
        "tab": exhibit.tab,
        "behind": exhibit.behind,
        "caption": exhibit.caption,
        "alt": exhibit.alt,
        "kind": "table" if exhibit.figure is None else "figure",
        "file": exhibit.file,
        "csv": f"{exhibit.name}.csv",
        "columns": [str(column) for column in exhibit.columns or exhibit.data.columns],
        "source": asdict(exhibit.source),
    }


def write_png(folder: AnyPath, exhibits: Iterable[Exhibit], faults: list[Fault]) -> None:
    """Write <name>.png into `folder` (made if absent) for each exhibit whose picture is an SVG; faults: see `write`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for exhibit in exhibits:
        if exhibit.figure is not None and not exhibit.raster:
            named = Path(folder) / f"{exhibit.name}.png"
            with spared(faults, f"the exhibit {exhibit.name}"), atomic_write(named) as path:
                path.write_bytes(picture(replace(exhibit, raster=True), exhibit.figure))


def picture(exhibit: Exhibit, figure: Figure) -> bytes:
    """The bytes of an exhibit's figure: SVG, or PNG at twice the size in CSS pixels. Without date or version."""
    style.apply()
    lettering.settle(figure)
    buffer = io.BytesIO()
    if exhibit.raster:
        figure.savefig(buffer, format="png", dpi=2 * style.CSS_DPI, metadata={"Software": None})
        if exhibit.palette:
            buffer = reduced(buffer)
    else:
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        buffer = io.BytesIO(slim(buffer.getvalue().decode()).encode())
    return buffer.getvalue()


def reduced(png: io.BytesIO) -> io.BytesIO:
    """A PNG (buffer) with the nearest of `colours` for each of its pixels: a new buffer."""
    whole = np.ascontiguousarray(Image.open(png).convert("RGBX")).view("<u4")
    pixels = (whole[..., 0] & 0xFFFFFF).astype(np.int64)  # one number a colour
    found, places = np.unique(pixels, return_inverse=True)
    palette = colours()
    apart = np.stack([found & 255, found >> 8 & 255, found >> 16], axis=1)
    nearest = np.asarray(cKDTree(palette).query(apart)[1], dtype=np.uint8)
    image = Image.fromarray(nearest[places].reshape(pixels.shape), "P")
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer


def colours() -> npt.NDArray[np.uint8]:
    """What a map with its labels and lines needs, uint8 [256, 3]: the diverging scale, greys from black to white, and
    the lines' colours, each also half and a quarter as strong, for their smooth edges."""
    scale = matplotlib.colormaps[style.DIVERGING](np.linspace(0, 1, 190))[:, :3]
    greys = np.linspace(0, 1, 42)[:, None].repeat(3, axis=1)
    lines = np.array([matplotlib.colors.to_rgb(colour) for colour in style.PALETTE])
    lines = np.concatenate([1 - share * (1 - lines) for share in (1, 0.5, 0.25)])
    return (np.concatenate([scale, greys, lines]) * 255).round().astype(np.uint8)


def plain(value: Any) -> Any:
    """`value` with numpy scalars made Python's own and NaN and infinity made None, since JSON has neither."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
