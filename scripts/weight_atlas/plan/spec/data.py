"""The section `datasets` of a config."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from weight_atlas.datasets import known
from weight_atlas.plan.spec.messages import near
from weight_atlas.plan.spec.values import DISTINCT, NUMBER, Below, Line, Model, Positive, Rate, Seed, Share, Title, Url

ClassNames = Annotated[list[Line], Field(min_length=1), DISTINCT]
Side = Annotated[int, Field(ge=8, le=512)]
Paths = Annotated[list[Below], Field(min_length=1), DISTINCT]


class Counts(Model):
    """Images per class, at most, in each split."""

    train: Positive | None = None
    valid: Positive | None = None
    test: Positive | None = None


class Fractions(Model):
    """Shares of a source that has no split of its own; and whether each replicate draws train and valid anew."""

    train: Rate = 0.7
    valid: Rate = 0.15
    test: Rate = 0.15
    resample: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if abs(self.train + self.valid + self.test - 1) > 1e-9:
            raise ValueError(f"train + valid + test is {self.train + self.valid + self.test:g}; allowed: 1")
        return self


class RandomClasses(Model):
    """Classes drawn by seed: the source's classes in random order, cut into groups of `count`, and one of these."""

    count: Positive
    seed: Seed = 0
    group: Annotated[int, Field(ge=0)] = 0


class ImageSource(Model):
    """What all sources of images have in common."""

    title: Title | None = None
    channels: Literal[1, 3] | None = None
    classes: Annotated[list[str | int], Field(min_length=1), DISTINCT] | RandomClasses | None = None
    without: Annotated[list[str | int], DISTINCT] = []
    labels: Literal["original", "compact"] = "original"
    per_class: Counts | None = None
    imbalance: Annotated[float, Field(ge=1), NUMBER] = 1.0
    label_noise: Share = 0.0
    split: Fractions = Fractions()
    seed: Seed = 0

    @model_validator(mode="after")
    def _noise_stays(self) -> Self:
        if self.label_noise and self.split.resample:
            raise ValueError("gives label_noise to splits that are resampled; allowed: one of them")
        return self


class Digits(ImageSource):
    """scikit-learn's bundled 1,797 scans of digits, enlarged."""

    source: Literal["digits"]
    size: Side = 28


class Download(Model):
    """Where a file was published, and its checksum, by which it is verified before it is opened."""

    url: Url
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.sha256 is None) == (self.md5 is None):
            raise ValueError("names neither or both of `sha256` and `md5`; allowed: exactly one of them")
        return self


class Folder(ImageSource):
    """Images in one directory per class, plain or zipped, below data_root."""

    source: Literal["folder"]
    path: Below | None = None
    train: Paths | None = None
    valid: Paths | None = None
    test: Paths | None = None
    download: Download | None = None
    size: Side | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.path is None) == (self.train is None):
            raise ValueError("names neither or both of `path` and `train`; allowed: exactly one of them")
        if self.download and self.path is None:
            raise ValueError("download: is for one `path`; unpack what `train`, `valid` and `test` name yourself")
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        seen: dict[str, str] = {}
        for split, path in ((split, path) for split, paths in splits.items() for path in paths or []):
            if (other := seen.setdefault(path, split)) != split:
                raise ValueError(f"names {path!r} in {other} and in {split}; give each path once")
        return self


class Csv(ImageSource):
    """Images that a CSV file lists, by the columns path, label and (where there are splits) split."""

    source: Literal["csv"]
    path: Below
    download: Download | None = None
    size: Side | None = None

    @model_validator(mode="after")
    def _in_folder(self) -> Self:
        if self.download and len(PurePosixPath(self.path).parts) < 2:
            raise ValueError(f"path: {self.path!r} has no folder to unpack to; give one, such as 'study/{self.path}'")
        return self


class Npz(ImageSource):
    """Arrays of numpy in one file: images and labels of each split, in the layout of MedMNIST or of Keras."""

    source: Literal["npz"]
    path: Below
    download: Download | None = None
    names: ClassNames | None = None
    size: Side | None = None


class ArrayPair(Model):
    """Two arrays of numpy: images, and their labels."""

    images: Below
    labels: Below


class Npy(ImageSource):
    """Arrays of numpy in two files per split."""

    source: Literal["npy"]
    train: ArrayPair
    valid: ArrayPair | None = None
    test: ArrayPair | None = None
    names: ClassNames | None = None
    size: Side | None = None

    @model_validator(mode="after")
    def _once(self) -> Self:
        seen: set[str] = set()
        for path in (
            path for pair in (self.train, self.valid, self.test) if pair for path in (pair.images, pair.labels)
        ):
            if path in seen:
                raise ValueError(f"names {path!r} twice; give each path once")
            seen.add(path)
        return self


class Torchvision(ImageSource):
    """A data set that torchvision reads (and downloads, where allowed)."""

    source: Literal["torchvision"]
    dataset: known.Name
    options: dict[str, str | int] = {}
    download: bool = True
    archive: Below | None = None
    instead: Folder | None = None
    size: Side | None = None

    @model_validator(mode="after")
    def _options(self) -> Self:
        option = known.DATASETS[self.dataset].option
        for name, value in self.options.items():
            if option is None or name != option.name:
                raise ValueError(f"options: unknown option {name!r}; {near(name, [option.name] if option else [])}")
            if value not in option.values:
                raise ValueError(f"options: {name} is {value!r}; allowed: {', '.join(map(str, option.values))}")
        if option and option.default is None and not self.options:
            raise ValueError(f"options: {option.name} is missing; allowed: {', '.join(map(str, option.values))}")
        self.options = {name: value for name, value in self.options.items() if option and value != option.default}
        if self.instead and self.instead.download:
            raise ValueError("instead.download: is not read; give the folder alone")
        if self.archive and known.known(self.model_dump()).list_images:
            raise ValueError(f"archive: is not read for the image files of {self.dataset}; unpack it below data_root")
        return self


Dataset = Annotated[Csv | Digits | Folder | Npz | Npy | Torchvision, Field(discriminator="source")]
