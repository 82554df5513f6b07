"""The types that measures of snapshots share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

# Parameters and buffers of a network by their torch names; and those that are read alone, which may stay on disk.
Tensors: TypeAlias = dict[str, torch.Tensor]
Readable: TypeAlias = Mapping[str, torch.Tensor]

# What a cell of a CSV table may hold, a row of such a table, and the rows of several tables by the tables' names.
Value: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Value, ...]
Rows: TypeAlias = dict[str, list[Row]]

# A replicate, by its cell and seed.
Key: TypeAlias = tuple[str, int]

# JSON objects: the record of a replicate, and the card of a data set.
Record: TypeAlias = dict[str, Any]
Card: TypeAlias = dict[str, Any]

AnyPath: TypeAlias = str | Path
