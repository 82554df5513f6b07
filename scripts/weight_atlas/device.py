"""The device that a training runs on: found or refused, set up the same way every time, and described."""

import os
import platform
import resource
from pathlib import Path
from typing import Any

import torch

NO_GPU = 69  # the exit status where there is none (EX_UNAVAILABLE of sysexits.h)


class NoGpu(SystemExit):
    """Raised where a GPU was asked for and torch finds none: the process ends with a status of its own, since that is
    no failure of the cell."""

    def __init__(self) -> None:
        super().__init__(NO_GPU)


def find(kind: str) -> torch.device:
    """The device of a kind, "cpu" or "cuda". NoGpu, after a line in torch's own words, where torch finds no GPU."""
    if kind == "cuda":
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            print(f"torch finds no GPU: {str(error).splitlines()[0]}", flush=True)
            raise NoGpu from None
    return torch.device(kind)


def set_up(device: torch.device, precision: str, threads: int) -> None:
    """The switches of torch that decide on the bits, of which torch's defaults say otherwise or differ by version.

    precision: that of the config. With "tf32" a GPU multiplies float32 with 10 bits of mantissa
    (https://docs.pytorch.org/docs/stable/notes/cuda.html), and otherwise as IEEE 754 has it.
    """
    torch.set_num_threads(threads)
    # On a GPU some of torch's backward passes have no deterministic form: they warn instead of stopping the run.
    # This is `use_deterministic_algorithms` without torch's compiler, which that one imports: two seconds of each job.
    torch.set_deterministic_debug_mode("warn" if device.type == "cuda" else "error")
    # Nothing here reads memory before it is written: filling each new tensor costs a kernel and no bit depends on it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property of a module
    torch.backends.cudnn.benchmark = False
    products = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cudnn.conv.fp32_precision = products  # type: ignore[attr-defined]  # a property of a module
    torch.backends.cuda.matmul.fp32_precision = products


def machine(device: torch.device) -> dict[str, Any]:
    """What trains: device, threads and versions; of a GPU its driver, CUDA, cuDNN and how it multiplies float32."""
    versions: dict[str, str | None] = {"python": platform.python_version(), "torch": torch.__version__}
    if device.type == "cuda":
        versions |= {"cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version()), "driver": _driver()}
        versions["float32_products"] = torch.backends.cuda.matmul.fp32_precision
    versions = {key: value for key, value in versions.items() if value}
    return {
        "device": device.type,
        "device_name": name(device),
        "threads": torch.get_num_threads(),
        "versions": versions,
    }


def name(device: torch.device) -> str:
    """The name of the GPU, or of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()


def _driver() -> str | None:
    """The version of the NVIDIA driver, as the kernel has it."""
    try:
        return Path("/sys/module/nvidia/version").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _processor() -> str:
    """The processor's own name where Linux tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def peak_memory(device: torch.device) -> dict[str, float]:
    """The peak memory in MiB since the process began, resident, and on a GPU since the last call of this, allocated."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peaks = {"peak_memory_mib": round(kilobytes / (1024 if os.uname().sysname == "Linux" else 2**20), 1)}
    if device.type == "cuda":
        peaks["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
        torch.cuda.reset_peak_memory_stats(device)
    return peaks
