"""Make docs/reference: train the cells of docs/reference/lenet.yaml, unpack the bundle of their results beside it, and
write what they show into docs/reference/README.md.

    python docs/reference.py DIR

DIR has MNIST as torchvision keeps it, or receives it. What is finished is not trained again.
"""

import argparse
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OVERLAY = "docs/reference/lenet.yaml"
REFERENCE = ROOT / "docs/reference/lenet"
HEAD = """# A reference result

LeNet-5 on MNIST at the scale of the slides on parameter dynamics: all images, 20 epochs, SGD, six replicates. The
networks are trained, disturbed, trained again, and compared with controls. `lenet/` is the unpacked bundle: open
[its page](lenet/study-dynamics.html), or read [its tables](lenet/tables). It has no weights, but their SHA-256. The
folder was made by `python docs/reference.py DIR`, and this page with it. To run the same and compare:

    snakemake --cores all --configfile config/dynamics.yaml docs/reference/lenet.yaml --config data_root=DIR
    python scripts/compare.py results/lenet docs/reference/lenet

Other machines give other last bits, and so other weights; accuracies, distances and verdicts should agree within their
intervals. The other networks, data sets, starts and Adam are not in it: they need
[the study in full](../../config/dynamics.yaml), on a GPU.
"""


def made(data: Path) -> Path:
    """The bundle of a finished run, whose data are below `data`."""
    config = ["--configfile", "config/dynamics.yaml", OVERLAY, "--config", f"data_root={data.resolve()}"]
    for target in ([], ["bundle"]):
        subprocess.run([sys.executable, "-m", "snakemake", *target, "--cores", "all", *config], check=True, cwd=ROOT)
    return ROOT / "results/lenet/lenet.zip"


def page(figures: Path) -> str:
    """What the results show: the answers to the questions, and the verdicts on the claims."""
    told, ledger = (json.loads((figures / f"{name}.json").read_text("utf-8")) for name in ("exhibits", "claims"))
    lines = [HEAD, "## What it shows", ""]
    for question in told["questions"]:
        if question["answer"]:
            lines += [f"**{question['heading']}**", "", *(f"- {one['text']}" for one in question["answer"]), ""]
    lines += ["## Claims of the slides", "", "| claim | verdict | here |", "| --- | --- | --- |"]
    for claim in ledger:
        says, reason = (claim[key].replace("|", "\\|") for key in ("says", "reason"))
        lines.append(f"| {claim['id']}: {says} | {claim['verdict']} | {reason} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replace docs/reference/lenet and docs/reference/README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with the data sets")
    bundle = made(parser.parse_args().data)
    shutil.rmtree(REFERENCE, ignore_errors=True)
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(REFERENCE)
    (REFERENCE.parent / "README.md").write_text(page(bundle.parent / "figures/dynamics"), "utf-8")


if __name__ == "__main__":
    main()
