"""Networks that are named by a module, `<module>:<name>`: `torchvision.models:mobilenet_v3_small`, `mine.py:Net` (a
file, relative to the working directory) or of any other module that Python can import.
"""

from pathlib import Path

TORCHVISION = "torchvision.models"


def is_foreign(architecture: str) -> bool:
    """Whether a network is named by a module, and not by a file of `architectures/`."""
    return ":" in architecture


def is_torchvision(architecture: str) -> bool:
    """Whether a network is one of torchvision's classifiers."""
    return architecture.startswith(f"{TORCHVISION}:")


def source_file(architecture: str) -> Path | None:
    """The file of a user's network, relative to the working directory; None for one of an installed package."""
    module = architecture.partition(":")[0]
    return Path(module) if is_foreign(architecture) and module.endswith(".py") else None
