"""What a column and a table are, and the columns that several tables share. No torch, no pandas."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from weight_atlas.vocabulary import Role

Type = Literal["string", "integer", "number", "boolean", "object"]  # of Frictionless Table Schema; object: JSON
Empty = Literal["never", "missing", "text"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name, type, meaning : what it is called, what it holds, and a sentence on it
    unit : of its numbers; "share" is a fraction from 0 to 1, nothing a number without a unit
    empty : what an empty field is: it never is, it is a missing value, or it is an empty text
    values : all that it may hold, where these are few words
    """

    name: str
    type: Type
    meaning: str
    unit: str = ""
    empty: Empty = "never"
    values: tuple[str, ...] = ()

    @property
    def dtype(self) -> str:
        """Its dtype in pandas: a whole number that may be missing is a float, as pandas itself reads it."""
        if self.type == "boolean":
            return "bool" if self.empty == "never" else "boolean"
        if self.type == "integer" and self.empty == "never":
            return "int64"
        return "float64" if self.type in ("integer", "number") else "str"


@dataclass(frozen=True)
class Table:
    """A table: its columns in order, what a row is, the module that computes it, and the columns that tell rows apart.

    name: the file without its suffix, below results/<name>/tables (of others with their folder). key: empty where rows
    have none. free: what each further column is, of a table that has some.
    """

    name: str
    meaning: str
    made_by: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    free: Column | None = field(default=None)

    @property
    def names(self) -> list[str]:
        """The names of its columns, in order."""
        return [column.name for column in self.columns]

    @property
    def file(self) -> str:
        """The name of its CSV file."""
        return f"{self.name.rpartition('/')[2]}.csv"

    def column(self, name: str) -> Column:
        """The column of that name, which may be a free one."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None and self.free is not None:
            return replace(self.free, name=name)
        if found is None:
            raise KeyError(f"{self.name} has no column {name!r}; its columns: {', '.join(self.names)}")
        return found


def string(name: str, meaning: str, values: Iterable[str] = (), *, optional: bool = False) -> Column:
    """A column of text; `optional`: an empty field is a missing value."""
    return Column(name, "string", meaning, "", "missing" if optional else "never", tuple(map(str, values)))


def label(name: str, meaning: str) -> Column:
    """A column of text that may be empty."""
    return Column(name, "string", meaning, "", "text")


def integer(name: str, meaning: str, unit: str = "", *, optional: bool = False) -> Column:
    """A column of whole numbers."""
    return Column(name, "integer", meaning, unit, "missing" if optional else "never")


def number(name: str, meaning: str, unit: str = "", *, optional: bool = False) -> Column:
    """A column of numbers; `optional`: an empty field is an undefined one, NaN."""
    return Column(name, "number", meaning, unit, "missing" if optional else "never")


def boolean(name: str, meaning: str, *, optional: bool = False) -> Column:
    """A column of True and False."""
    return Column(name, "boolean", meaning, "", "missing" if optional else "never")


def interval(of: str, unit: str = "", low: str = "low", high: str = "high", level: int = 95) -> tuple[Column, ...]:
    """The two columns of an interval, which is undefined with fewer than two values."""
    ends = (("Lower", low), ("Upper", high))
    return tuple(
        number(name, f"{end} end of the {level} % interval of {of}.", unit, optional=True) for end, name in ends
    )


CELL = string("cell_id", "Id of the cell: its kind, readable words, and a hash of its settings.")
SEED = integer("seed", "The replicate, by the seed that fixes everything random in it.")
REPLICATE = (CELL, SEED)
SIDES = (
    string("cell_a", "Id of the first cell."),
    integer("seed_a", "Replicate of the first cell, by its seed."),
    string("cell_b", "Id of the second cell."),
    integer("seed_b", "Replicate of the second cell, by its seed."),
)
EPOCH = integer("epoch", "The epoch after which the snapshot was taken; 0 is the start.", "epoch")
LAYER = string("layer", "The layer by its name in torch, or the tensor of any model; `total` is the whole network.")
WEIGHT_LAYER = string("layer", "The convolution or linear layer by its name in torch, or the tensor of any model.")
PARAMETER = string(
    "parameter",
    "The parameter of the layer: weight, bias or a running statistic; of a tensor of any model its role; `all` is all.",
)
CHECKPOINT = string("checkpoint", "The checkpoint, by the name that the config gives this epoch.")
SIZE = integer("size", "Number of values.", "values")

STUDY = string("study", "The study that asks for it.")
ROLE = string("role", "Why the study has the cell.", Role)
DATASET = string("dataset", "Label of the data set.")
NETWORK = string("network", "Label of the network.")
INIT = label("init", "Label of the start of the weights; empty for given checkpoints.")
OPTIMIZER = label("optimizer", "Label of the optimizer; empty for given checkpoints.")
N = integer("n", "Number of replicates behind the numbers of the row.", "replicates")
ASKED = integer("of", "Number of replicates that were asked for.", "replicates")
P = number("p", "Two-sided p-value; undefined where there is no test.", optional=True)
Q = number("q", "p after Benjamini and Hochberg's correction.", optional=True)
