"""Passing a study on and comparing two, as a user does."""

import hashlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import tiny
from tests.pages import without_notes
from tests.unit import blocks
from weight_atlas import store
from weight_atlas.plan import study


@pytest.fixture(scope="module")
def bundled(finished):
    """The bundle of the tiny workflow."""
    said = finished.run("bundle").stdout
    assert "\nThe bundle: results/tiny/tiny.zip\n" in said and "The report: " not in said
    return finished.root / "results/tiny/tiny.zip"


@pytest.fixture(scope="module")
def unpacked(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("somewhere else")
    with zipfile.ZipFile(bundled) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def other(finished, tmp_path):
    """The results of another machine: a copy, as the other folder of a comparison."""
    for part in ("data", "results"):
        shutil.copytree(finished.root / part, tmp_path / "other" / part)
    return tmp_path / "other"


def check(finished, path):
    command = [sys.executable, "scripts/bundle.py", "--check", str(path)]
    return subprocess.run(command, cwd=finished.root, capture_output=True, text=True)


def compare(finished, folder, *arguments, check=True):
    return finished.run("compare", *arguments, "--config", f"compare={folder}", check=check)


# ----------------------------------------------------------------------------------------------------- the bundle


def test_the_bundle_is_whole_and_one_changed_byte_is_found(finished, bundled, tmp_path):
    assert check(finished, bundled).stdout == f"{bundled}: ok\n"
    with zipfile.ZipFile(bundled) as archive:
        entry = archive.getinfo("tables/accuracy.csv")
    changed = bytearray(bundled.read_bytes())
    changed[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 1
    (tmp_path / "changed.zip").write_bytes(changed)
    done = check(finished, tmp_path / "changed.zip")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


def test_unpacked_it_is_complete_and_tells_nothing_of_the_machine(finished, unpacked):
    done = subprocess.run(["sha256sum", "--check", "--strict", "MANIFEST.sha256"], cwd=unpacked, capture_output=True)
    assert done.returncode == 0
    done = subprocess.run(["sha256sum", "-c", unpacked / "weights.sha256"], cwd=finished.root, capture_output=True)
    assert done.returncode == 0 and done.stdout.count(b": OK") == 3 * 9
    for path in unpacked.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for place in (finished.root, finished.root.parent, Path(sys.prefix)):
                assert str(place).encode() not in content, (path, place)


def test_what_the_source_of_the_report_names_is_there(unpacked):
    sources = [path.read_text(encoding="utf-8") for path in unpacked.glob("*.qmd")]
    links = {link for source in sources for link in re.findall(r"\]\(([\w./-]+)\)", source)}
    assert len(links) > 20 and not [link for link in links if not (unpacked / link).is_file()]
    for source in sources:
        header = yaml.safe_load(source.split("---\n")[1])
        names = [
            header["bibliography"],
            header["format"]["html"]["template"],
            *(one["path"] for one in header["filters"]),
        ]
        assert len(names) > 2 and all((unpacked / name).is_file() for name in names)


def test_every_figure_is_there_in_two_forms_and_every_table_as_latex(finished, unpacked):
    pictures = 0
    for told in (finished.root / "results/tiny/figures").glob("*/exhibits.json"):
        for exhibit in store.read_json(told)["exhibits"]:
            stem = unpacked / "figures" / told.parent.name / exhibit["name"]
            assert stem.with_suffix(".csv").read_bytes() == told.with_name(exhibit["csv"]).read_bytes()
            if exhibit["kind"] == "table":
                assert "\\begin{longtable}" in stem.with_suffix(".tex").read_text(encoding="utf-8")
                continue
            pictures += 1
            size = ElementTree.parse(stem.with_suffix(".svg")).getroot().get("width")
            points = float(size.removesuffix("pt")) * (4 / 3 if size.endswith("pt") else 1)
            with Image.open(stem.with_suffix(".png")) as picture:
                assert picture.format == "PNG" and abs(picture.width / 2 - points) <= 1
    assert pictures > 10


def test_its_config_asks_for_the_same_cells(unpacked):
    again = yaml.safe_load((unpacked / "config.yaml").read_text(encoding="utf-8"))
    assert study.Plan(again, Path("nowhere")).rows() == study.Plan(tiny(), Path("nowhere")).rows()


def test_nothing_is_bundled_twice_and_the_same_bytes_come_again(finished, bundled):
    assert finished.jobs("bundle") == set() and finished.jobs() == set()
    before = hashlib.sha256(bundled.read_bytes()).hexdigest()
    finished.run("bundle", "--forcerun", "bundle")
    assert hashlib.sha256(bundled.read_bytes()).hexdigest() == before


# ------------------------------------------------------------------------------------------------- the comparison


def test_a_result_is_identical_to_itself_and_to_its_bundle(finished, unpacked):
    for folder in ("results/tiny", unpacked):
        said = compare(finished, folder).stdout
        assert "\nThe comparison: results/tiny/compare/compare.html\n" in said
        assert "9 cells in both, 0 only in A, 0 only in B" in said
        assert "bit-identical: 9 of 9 cells at their last epoch (27 of 27 replicates), 9 in every snapshot" in said
    assert (finished.root / "results/tiny/compare/compare.html").is_file()
    assert finished.jobs("all", "--config", "compare=nowhere") == set(), "it is no part of what results are made from"


def test_one_changed_snapshot_of_a_copy_is_found(finished, other):
    path = sorted((other / "results/cells").glob("base-*/seeds_0-2/snapshots/seed1/epoch_2.safetensors"))[0]
    tensors, metadata = store.load_arrays(path), store.tensor_header(path)[0]
    name = next(name for name in tensors if name.endswith("weight"))
    tensors[name] = tensors[name] + np.float32(0.01)
    path.unlink()  # a hard link of the best one, which stays as it was
    store.save_tensors(path, tensors, metadata)
    refused = compare(finished, other / "results/tiny", check=False)
    assert refused.returncode and "seed1/epoch_2.safetensors was altered" in refused.stdout
    blocks.again(path.parents[2])
    said = compare(finished, other / "results/tiny").stdout
    assert "bit-identical: 8 of 9 cells at their last epoch (26 of 27 replicates), 8 in every snapshot" in said
    page = (finished.root / "results/tiny/compare/compare.html").read_text(encoding="utf-8")
    assert "26 of 27 replicates end in the same weights" in re.sub(r"\s+", " ", without_notes(page))


def test_a_comparison_with_nothing_ends_in_one_line(finished):
    for arguments, word in (([], "names no results"), (["--config", "compare=nowhere"], "nowhere/cells.csv")):
        done = finished.run("compare", *arguments, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("config: compare: ")]
        assert done.returncode != 0 and len(lines) == 1 and word in lines[0]
        assert "Traceback" not in done.stdout
