"""Make the tables of docs/optimizers.md and docs/starts.md again, from the config's model and from drawn weights."""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from pydantic import TypeAdapter  # noqa: E402

from weight_atlas import networks, starts  # noqa: E402
from weight_atlas.plan import spec  # noqa: E402
from weight_atlas.plan.cost import MOMENTS  # noqa: E402
from weight_atlas.settings import Start  # noqa: E402
from weight_atlas.training.optimizers import NAMES  # noqa: E402

# Who proposed it.
SOURCES = {
    "sgd": "Robbins and Monro 1951; momentum: Polyak 1964, Nesterov 1983",
    "adam": "Kingma and Ba 2015; amsgrad: Reddi et al. 2018",
    "adamw": "Loshchilov and Hutter 2019",
    "nadam": "Dozat 2016",
    "radam": "Liu et al. 2020",
    "adamax": "Kingma and Ba 2015",
    "rmsprop": "Hinton 2012; centered: Graves 2013",
    "adagrad": "Duchi et al. 2011",
    "adadelta": "Zeiler 2012",
    "asgd": "Polyak and Juditsky 1992",
    "rprop": "Riedmiller and Braun 1993",
    "adafactor": "Shazeer and Stern 2018",
    "kaiming_uniform": "He et al. 2015",
    "kaiming_normal": "He et al. 2015",
    "xavier_uniform": "Glorot and Bengio 2010",
    "xavier_normal": "Glorot and Bengio 2010",
    "orthogonal": "Saxe et al. 2014",
    "dirac": "Zagoruyko and Komodakis 2017",
    "default": "torch's layers",
}
SHARED = {"type", "lr", "lr_scale", "weight_decay", "decay"}  # what the columns before the options say
REQUIRED = {"constant": {"val": 0.01}}
NETWORK = {"architecture": "simple_cnn"}
LAYERS = ("conv2", "fc1")


def optimizers() -> list[str]:
    """The table of docs/optimizers.md."""
    lines = ["| `type` | from | `lr` | `weight_decay` | values kept per parameter | further options |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for name in NAMES:
        defaults = TypeAdapter(spec.Optimizer).validate_python({"type": name}).model_dump()
        options = ", ".join(f"`{key}`" for key in defaults if key not in SHARED)
        decay = defaults.get("weight_decay", "none")
        lines.append(
            f"| `{NAMES[name]}` | {SOURCES[name]} | {defaults['lr']} | {decay} | {MOMENTS[name]} | {options} |"
        )
    return lines


def schemes() -> list[str]:
    """The table of docs/starts.md: how widely each scheme spreads the weights of two layers, as seed 0 draws them."""
    table = networks.layer_table(NETWORK, 3, 32, 10)
    shapes = [" x ".join(map(str, table[layer].parameters["weight"])) for layer in LAYERS]
    lines = [f"| `scheme` | from | deviation of `{LAYERS[0]}` ({shapes[0]}) | of `{LAYERS[1]}` ({shapes[1]}) |"]
    lines += ["| --- | --- | --- | --- |"]
    for scheme in spec.SCHEMES:
        start = Start("init", scheme=scheme, options=REQUIRED.get(scheme, {}))
        drawn = starts.drawn(table, start, 0, "init")
        spread = [f"{drawn[f'{layer}.weight'].double().std().item():.4f}" for layer in LAYERS]
        option = "".join(f" with `{key}: {value}`" for key, value in REQUIRED.get(scheme, {}).items())
        lines.append(f"| `{scheme}`{option} | {SOURCES.get(scheme, '')} | {' | '.join(spread)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs", help="where the pages are written")
    folder = parser.parse_args().folder
    for name, lines in (("optimizers.md", optimizers()), ("starts.md", schemes())):
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        column = lines[0].split("|")[1]
        new, count = re.subn(rf"^\|{re.escape(column)}\|.*?\n\n", "\n".join(lines) + "\n\n", page, flags=re.M | re.S)
        if count != 1:
            sys.exit(f"docs/{name} has {count} tables whose first column is {column.strip()}; leave one in it")
        (folder / name).write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
