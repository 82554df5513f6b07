"""Tensors that stay in their files: a model of which one tensor at a time is in memory."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from weight_atlas import tensor_entries

MAPPED = 64 << 20  # bytes that are read of open files until they are closed: pages that were read count as memory


class TensorsOnDisk(Mapping[str, torch.Tensor]):
    """The tensors of some safetensors files by name. Each is read when it is asked for, as float32, and not kept."""

    def __init__(self, files: Sequence[Path]) -> None:
        """files: of a tensor that several have, the first one's counts."""
        self._where = {name: path for path in reversed(files) for name in tensor_entries.read(path).tensors}
        self._open: dict[Path, Any] = {}
        self._read = 0

    def __getitem__(self, name: str) -> torch.Tensor:
        path = self._where[name]
        if path not in self._open:
            self._open[path] = contextlib.ExitStack().enter_context(safe_open(path, framework="pt"))
        tensor: torch.Tensor = self._open[path].get_tensor(name)
        self._read += tensor.nbytes
        if self._read > MAPPED:
            self._open, self._read = {}, 0
        return tensor.to(torch.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)
