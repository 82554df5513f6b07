"""Let torchvision download one of its data sets, and put its files in their place."""

import tempfile
from pathlib import Path

from weight_atlas.datasets.known import known
from weight_atlas.datasets.source import Spec
from weight_atlas.store import make_folder


def download(spec: Spec, data_root: Path) -> None:
    """Let torchvision download into a temporary folder in data_root, and move what is missing to its place.

    torchvision checks what it downloads by MD5. ValueError in one line where it fails; nothing is left behind then.
    """
    import torchvision.datasets

    found = known(spec)
    kept = [*found.files, *(name for name in found.more if name not in found.files)]
    try:
        make_folder(data_root)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=data_root) as folder:
            for arguments in found.parts.values():
                getattr(torchvision.datasets, spec["dataset"])(folder, download=True, **arguments)
            for name in kept:
                new, place = Path(folder) / found.folder / name, data_root / found.folder / name
                if new.exists() and not place.exists():
                    make_folder(place.parent)
                    new.replace(place)
    except Exception as error:  # URLError, RuntimeError of several lines, OSError: all end as one line
        reason = " ".join(str(error).split()) or type(error).__name__
        archive = "" if found.list_images else ", or name an archive:"
        what = spec["dataset"] if found.folder == "." else found.folder
        raise ValueError(
            f"dataset {spec['dataset']}: download to {data_root} failed ({reason}); fetch {what} by other means and "
            f"set data_root to the folder that holds it{archive}"
        ) from None
