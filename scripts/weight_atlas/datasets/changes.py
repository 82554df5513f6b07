"""What was done to the images of a data set to bring them to one form: counted, and told on its card."""

from collections import Counter
from dataclasses import dataclass, field

from weight_atlas.datasets.pixels import DEEP, FRAMES, TRANSPARENT, TURNED

RESIZED, RECOLOURED, BLANK = "resized", "recoloured", "blank"


@dataclass
class Changes:
    """counts: images by kind of change; first: the first image of each kind, where it has a name; bits: how many the
    values of the images with 16 bits per channel use."""

    counts: Counter[str] = field(default_factory=Counter[str])
    first: dict[str, str] = field(default_factory=dict[str, str])
    bits: int = 16

    def add(self, kind: str, image: str) -> None:
        """One more image that was changed so."""
        self.counts[kind] += 1
        self.first.setdefault(kind, image)

    def join(self, other: "Changes") -> None:
        """Those of other images too."""
        self.counts.update(other.counts)
        self.first = other.first | self.first
        self.bits = min(self.bits, other.bits)

    def notes(self, total: int, channels: int, side: int, size: str) -> list[str]:
        """Sentences on all changes of `total` images to so many channels; size: as one says it, its shorter side."""
        told = {
            RECOLOURED: "were grey and were given three equal channels."
            if channels == 3
            else "had colour and were turned to grey by ITU-R 601 luma (0.299 R + 0.587 G + 0.114 B).",
            RESIZED: f"were not {size} pixels: they were resized so that their shorter side is {side} pixels (Pillow's "
            "antialiased bilinear filter), and their centre was cut out.",
            TURNED: "were turned upright, as their EXIF orientation says.",
            DEEP: "have 16 bits per channel: the upper 8 "
            + ("were kept." if self.bits == 16 else f"of the {self.bits} that their values use were kept."),
        }
        return [f"{self.counts[kind]:,} of {total:,} images {text}" for kind, text in told.items() if self.counts[kind]]

    def warnings(self, total: int) -> list[str]:
        """Sentences on what a user should look at."""
        told = {
            FRAMES: "have several frames or pages: the first one was read",
            TRANSPARENT: "have transparent parts: they were laid on white",
            BLANK: "are of a single colour",
        }
        if self.bits < 16:
            told[DEEP] = f"have 16 bits per channel and use {self.bits} of them: all were brightened alike"
        return [
            f"{self.counts[kind]:,} of {total:,} images {text}{self._where(kind)}."
            for kind, text in told.items()
            if self.counts[kind]
        ]

    def _where(self, kind: str) -> str:
        return f" (the first is {self.first[kind]})" if kind in self.first else ""


def alike(number: int, **changed: bool) -> Changes:
    """The changes of `number` images of which all were changed in the same ways, or none."""
    return Changes(Counter({kind: number for kind, is_so in changed.items() if is_so}))
