"""The documentation against the program: keys, defaults, limits, examples, commands and paths."""

import copy
import inspect
import json
import re
import shlex
import subprocess
import sys
import typing
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import BaseModel, TypeAdapter

from weight_atlas import networks, perturbations
from weight_atlas.plan import resolve, spec, study

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "config/README.md")
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))

# The tables of config/README.md that document a model, by heading and (where the table has it) the column "for".
TABLES = {
    ("Top level", ""): spec.Config,
    ("Every data set", ""): spec.Pictures,
    ("By source", "digits"): spec.Digits,
    ("By source", "folder"): spec.Folder,
    ("By source", "torchvision"): spec.Torchvision,
    ("per_class, split and random classes", "per_class"): spec.Counts,
    ("per_class, split and random classes", "random classes"): spec.RandomClasses,
    ("per_class, split and random classes", "split"): spec.Fractions,
    ("networks", ""): spec.Network,
    ("optimizers", "sgd"): spec.SGD,
    ("optimizers", "adam"): spec.Adam,
    ("training", ""): spec.Training,
    ("schedule", "constant"): spec.Constant,
    ("schedule", "table"): spec.RateTable,
    ("schedule", "multistep"): spec.MultiStep,
    ("schedule", "cosine"): spec.Cosine,
    ("schedule", "onecycle"): spec.OneCycle,
    ("schedule", "plateau"): spec.Plateau,
    ("stages, early stopping and penalty", "stages"): spec.Stage,
    ("stages, early stopping and penalty", "early_stopping"): spec.EarlyStopping,
    ("stages, early stopping and penalty", "penalty"): spec.Penalty,
    ("augment and copies", ""): spec.Augment,
    ("inits", ""): spec.Init,
    ("sources", ""): spec.Source,
    ("perturbations", ""): spec.Step,
    ("given", ""): spec.Given,
    ("checkpoints", "checkpoints"): spec.Checkpoints,
    ("checkpoints", "match"): spec.Match,
    ("perturb and transfer", "perturb"): spec.Perturb,
    ("perturb and transfer", "transfer"): spec.Transfer,
    ("definitions", "study"): spec.Study,
    ("definitions", "experiment"): spec.Experiment,
    ("definitions", "grid"): spec.Grid,
    ("definitions", "vary"): spec.Overrides,
    ("definitions", "adjust"): spec.Adjust,
}


# ------------------------------------------------------------------------------------------- what is written


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def tables(page, first):
    """[(heading, {column: cell})] of every row of the tables that have a column called `first`."""
    found, heading, header = [], "", None
    for line in text(page).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else None
        if cells is None:
            header = None
        elif header is None:
            header = cells
        elif first in header and not set(line) <= set("|- "):
            assert len(cells) == len(header), line
            found.append((heading, dict(zip(header, cells, strict=True))))
    return found


def documented():
    """{(heading, for): {key: row}} of all tables of keys."""
    found = {}
    for heading, row in tables("config/README.md", "key"):
        key = re.fullmatch(r"`(\w+)`", row["key"])[1]
        rows = found.setdefault((heading, row.get("for", "")), {})
        assert key not in rows, (heading, key)
        rows[key] = row
    return found


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.M | re.S)


def examples():
    """(page, text) of every YAML example."""
    return [(page, example) for page in PAGES for example in blocks(page, "yaml")]


def whole_configs():
    return [example for _, example in examples() if "definitions" in yaml.safe_load(example)]


def commands(page):
    """The lines of shell that a page shows, indented by four."""
    lines = re.findall(r"^    (\S.*)$", text(page), re.M)
    return [line for line in lines if re.match(r"snakemake |python3", line)]


# -------------------------------------------------------------------------------------- what the models say


def parts(annotation):
    """The annotation and all that it is made of, models opened no further."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from parts(part)


def models(model):
    """The model and all that can stand below it."""
    found, waiting = {}, [model]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = None
            annotations = (part for field in one.model_fields.values() for part in parts(field.annotation))
            waiting += [part for part in annotations if inspect.isclass(part) and issubclass(part, BaseModel)]
    return list(found)


def own(model):
    """The fields that a model adds to what it inherits."""
    inherited = {name for base in model.__bases__ for name in getattr(base, "model_fields", {})}
    return {name: field for name, field in model.model_fields.items() if name not in inherited}


FIELDS = [(place, name) for place, model in TABLES.items() for name in own(model)]


def limits(field):
    """The signs and numbers that bound a field's value: {"> 0", "≤ 4"}; not the lengths of lists or texts."""
    marks = [*field.metadata, *parts(field.annotation)]
    for mark in list(marks):
        marks += getattr(mark, "metadata", [])
    signs = {"Gt": ">", "Ge": "≥", "Lt": "<", "Le": "≤"}
    kinds = [(mark, type(mark).__name__) for mark in marks]
    return {f"{signs[kind]} {getattr(mark, kind.lower()):g}" for mark, kind in kinds if kind in signs}


def choices(field):
    """The values of the field's literals, as the page writes them."""
    literals = (part for part in parts(field.annotation) if typing.get_origin(part) is typing.Literal)
    values = [value for literal in literals for value in typing.get_args(literal)]
    return {f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in values}


# ---------------------------------------------------------------------------------------------- the keys


def test_every_model_has_its_table():
    reachable = set(models(spec.Config)) | {spec.Pictures}
    assert set(TABLES.values()) == reachable and len(TABLES) == len(reachable)
    assert documented().keys() == TABLES.keys()


@pytest.mark.parametrize("place", TABLES, ids=lambda place: " ".join(place).strip())
def test_every_key_is_documented_and_no_other(place):
    assert list(documented()[place]) == list(own(TABLES[place]))


@pytest.mark.parametrize(("place", "name"), FIELDS, ids=str)
def test_defaults_values_and_limits_are_those_of_the_model(place, name):
    field, row = TABLES[place].model_fields[name], documented()[place][name]
    if field.is_required():
        assert row["default"] == "required"
    else:
        default = yaml.safe_load(re.fullmatch(r"`(.+)`", row["default"])[1])
        if isinstance(field.default, BaseModel):
            default = TypeAdapter(field.annotation).validate_python(default)
        assert default == field.default and type(default) is type(field.default)
    assert choices(field) <= set(re.findall(r"`[^`]+`", row["type"]))
    assert set(re.findall(r"[<>≤≥] [\d.]+", row["type"])) == limits(field)
    assert row["what it does"]


def test_the_options_of_every_perturbation_are_documented():
    said = {
        (row["perturbation"].strip("`"), row["option"].strip("`")): row
        for _, row in tables("config/README.md", "perturbation")
    }
    expected = {(kind, option) for kind in perturbations.types() for option in perturbations.options(kind) or [""]}
    assert set(said) == expected
    for (kind, option), row in said.items():
        if option:
            known, default = perturbations.options(kind)[option]
            words = {f"`{value}`" for value in typing.get_args(known)}
            assert words <= set(re.findall(r"`[^`]+`", row["type"])) and row["default"] == f"`{default}`"


def test_the_options_of_every_network_are_documented():
    rows = [row for _, row in tables("config/README.md", "architecture")]
    said = {(row["architecture"].strip("`"), row["option"].strip("`")): row for row in rows}
    expected = {(name, option) for name in networks.names() for option in networks.options(name) or [""]}
    assert set(said) == expected
    for (name, option), row in said.items():
        assert int(row["smallest picture"]) == networks.padded(name, 1)
        if option:
            kind, default = networks.options(name)[option]
            words = {f"`{value}`" for value in typing.get_args(kind)}
            assert words <= set(re.findall(r"`[^`]+`", row["type"])) and row["default"] == f"`{default}`"


def test_limits_and_choices_see_what_they_should():
    """The readers of the models, on a field whose every property is known."""

    class Sample(spec.Model):
        share: spec.Share | None = None
        count: spec.Positive
        kind: typing.Literal["a", "b"] | spec.Positive = "a"

    fields = Sample.model_fields
    assert limits(fields["share"]) == {"≥ 0", "< 1"} and limits(fields["count"]) == {"> 0"}
    assert choices(fields["kind"]) == {"`a`", "`b`"} and limits(fields["kind"]) == {"> 0"}


# -------------------------------------------------------------------------------------------- the schema


@pytest.fixture(scope="module")
def schema():
    return json.loads(text("config/schema.json"))


def test_the_schema_is_what_the_command_prints(schema):
    done = subprocess.run(
        [sys.executable, "scripts/plan.py", "--schema"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert text("config/schema.json") == done.stdout, "run: python scripts/plan.py --schema > config/schema.json"
    assert schema == spec.Config.model_json_schema()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_is_accepted_and_points_at_the_schema(path, schema):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json" and (path.parent / "schema.json").is_file()
    config = yaml.safe_load("\n".join(lines))
    spec.Config.model_validate(config)
    jsonschema.validate(config, schema)


def test_the_schema_refuses_what_the_models_refuse(schema):
    config = yaml.safe_load(text("config/config.yaml"))
    for key, value in {"replicates": 0, "epochz": 1, "device": "gpu", "networks": {}}.items():
        wrong = copy.deepcopy(config) | {key: value}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
        with pytest.raises(resolve.Problem):
            resolve.check(spec.Config, wrong, "")


# ------------------------------------------------------------------------------------------- the examples


def lay_out(config, root):
    """Put colour pictures of two classes wherever the config's folders of pictures are looked for."""
    noise = np.random.default_rng(0)
    for dataset in config["datasets"].values():
        folder = dataset if dataset["source"] == "folder" else dataset.get("instead") or {}
        for path in [folder.get("path"), *(folder.get("train") or []), *(folder.get("test") or [])]:
            for name in ("robin", "wren") if path else ():
                (root / path / name).mkdir(parents=True)
                for number in range(8):
                    pixels = noise.integers(0, 256, (40, 48, 3), np.uint8)
                    Image.fromarray(pixels).save(root / path / name / f"{number}.png")


@pytest.mark.parametrize("example", whole_configs(), ids=lambda example: yaml.safe_load(example)["name"])
def test_every_example_that_is_a_config_is_planned(example, tmp_path, schema):
    config = yaml.safe_load(example)
    jsonschema.validate(config, schema)
    lay_out(config, tmp_path)
    plan = study.Plan(config | {"data_root": str(tmp_path)}, tmp_path)
    assert plan.cells and set(config["networks"]) <= {entry.labels["network"] for entry in plan.entries}


def test_there_are_examples_of_both_kinds():
    assert len(whole_configs()) >= 4 and len(examples()) > len(whole_configs())


@pytest.mark.parametrize("page", PAGES)
def test_every_other_example_is_a_part_of_a_config(page):
    """A part laid over the tour is accepted key by key (what it names of other parts is not looked up)."""
    for _, example in (one for one in examples() if one[0] == page and one[1] not in whole_configs()):
        config = yaml.safe_load(text("config/config.yaml")) | yaml.safe_load(example)
        for label, network in spec.Config.model_validate(config).networks.items():
            architecture = network.architecture or label
            if architecture in networks.names():
                networks.check_options(architecture, network.model_extra)
            else:  # the network that the package's own text has as its example
                assert f"architecture: {architecture}`" in networks.__doc__
                assert all(f"{option}: Literal" in networks.__doc__ for option in network.model_extra)


def test_the_example_of_the_grid_has_the_cells_that_it_says():
    example = next(one for one in whole_configs() if "name: batches" in one)
    found = study.Plan(yaml.safe_load(example), Path("nowhere"))
    assert len(found.entries) == 2 * 2 * 2 - 2
    for entry in found.entries:
        training = found.cells[entry.cell_id].settings["training"]
        assert training["batch_size"] == {"small": 16, "large": 256}[entry.labels["batch"]]
        assert training["epochs"] == {"default": 12, "kaiming_uniform": 8}[entry.labels["init"]]


# ------------------------------------------------------------------------------------- commands and paths


def rules():
    """{name: text} of every rule."""
    found = {}
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        for name, body in re.findall(
            r"^(?:use rule \w+ as |rule )(\w+).*?:\n(.*?)(?=^\S|\Z)", path.read_text(), re.M | re.S
        ):
            found[name] = body
    return found


def test_commands_name_rules_and_configs_that_exist():
    lines = commands("README.md")
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line)
        at = max(number for number, word in enumerate(words) if word.endswith(("snakemake", "python", "python3.11")))
        if words[at].endswith("snakemake") and not words[at + 1].startswith("-"):
            assert words[at + 1] in rules()
        if "--configfile" in words:
            assert (ROOT / words[words.index("--configfile") + 1]).is_file(), line


def test_the_two_commands_are_one_line_each_and_need_no_activation():
    setup = "python3.11 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt && "
    lines = [line for line in commands("README.md") if line.startswith("python3.11")]
    assert lines == [f"{setup}.venv/bin/snakemake --cores all", f"{setup}.venv/bin/python -m pytest"]
    gate = text(".ci/common") + text(".ci/run")
    for step in ("-m venv .venv", "--require-hashes -r requirements.txt", "snakemake --cores all", "python -m pytest"):
        assert f"{step}\n" in gate
    assert ".venv/bin/python -m pytest -m long\n" in text(".ci/long")


MADE = ("results/", "data/", "logs/", ".venv/", "pictures/", "weights/", "mine.yaml")


def named(page):
    """The paths that a page names in backticks, links and commands, without what a run makes or a user has."""
    words = re.findall(r"`([^`\s]+)`", text(page)) + re.findall(r"\]\(([^)#\s]+)\)", text(page))
    words += [word for line in commands(page) for word in shlex.split(line)]
    paths = [word for word in words if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word) and ("/" in word or "." in word)]
    known = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())
    files = r"[\w-]+\.(md|txt|cff|toml|in|yaml|json)"
    paths = [path for path in paths if path.startswith(known) or re.fullmatch(files, path)]
    return {path for path in paths if not path.startswith(MADE)}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page):
    found = named(page)
    assert len(found) >= 2
    for path in found:
        assert (ROOT / path).exists() or (ROOT / page).parent.joinpath(path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_links_within_a_page_lead_somewhere(page):
    headings = re.findall(r"^#+ (.+)$", text(page), re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text(page))) <= anchors


def test_the_wildcards_are_those_of_the_snakefile():
    block = re.search(r"^wildcard_constraints:\n(.*?)^\S", text("Snakefile"), re.M | re.S)[1]
    patterns = dict(re.findall(r'^    (\w+)=r"(.*)",$', block, re.M)) | {"study": "dynamics"}
    assert patterns.keys() == set(re.findall(r"^    (\w+)=", block, re.M))
    said = {}
    for _, row in tables("README.md", "Wildcard"):
        names, shown = (re.findall(r"`([^`]+)`", row[column]) for column in ("Wildcard", "Example"))
        said |= dict(zip(names, shown, strict=True))
    assert said.keys() == patterns.keys()
    for name, example in said.items():
        assert re.fullmatch(patterns[name], example), name


def test_every_rule_has_its_directives_in_the_order_that_the_readme_gives():
    order = re.search(r"in this order: ([\w, \n]+)\.", text("README.md"))[1]
    order = [word.strip() for word in order.replace("\n", " ").split(",")]
    for name, body in rules().items():
        found = [word for word in re.findall(r"^    (\w+):", body, re.M) if word in order]
        assert found == sorted(found, key=order.index), name
        if "shell" in found:
            assert {"input", "log", "conda", "message"} <= set(found), name
            assert "benchmark" in found or "output" not in found, name


def test_the_picture_is_small_and_has_a_text():
    (alt, path), *others = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", text("README.md"))
    assert not others and len(alt) > 100
    assert (ROOT / path).stat().st_size < 300_000
    assert Image.open(ROOT / path).format == "PNG"


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short_outside_of_tables_and_commands(page):
    long = [line for line in text(page).splitlines() if len(line) > 120 and not line.startswith(("|", "    "))]
    assert long == []
