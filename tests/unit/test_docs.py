"""The documentation against the program: keys, defaults, limits, examples, commands, paths, links and versions."""

import copy
import inspect
import itertools
import json
import re
import shlex
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import BaseModel, TypeAdapter

from tests.unit.test_imports import ORDER
from weight_atlas import networks, perturbations
from weight_atlas.networks import architectures
from weight_atlas.plan import checks, spec, study
from weight_atlas.plan.measures import MEASURES
from weight_atlas.plan.spec import optimizers
from weight_atlas.shapes import Shape

ROOT = Path(__file__).resolve().parents[2]
# By commands, which have tests of their own.
GENERATED = {"docs/reference/README.md"}
GENERATED |= {f"docs/{name}.md" for name in ("classifiers", "coverage", "datasets", "tables", "verdicts")}
SUBJECTS = sorted({str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")} - GENERATED)
EXAMPLES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "examples").glob("*/README.md"))
PAGES = ("README.md", "CONTRIBUTING.md", "config/README.md", *SUBJECTS, *EXAMPLES)
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))

# The tables of config/README.md that document a model, by heading and (where the table has it) the column "for".
TABLES = {
    ("Top level", ""): spec.Config,
    ("Every data set", ""): spec.ImageSource,
    ("By source", "digits"): spec.Digits,
    ("By source", "folder"): spec.Folder,
    ("By source", "csv"): spec.Csv,
    ("By source", "npz"): spec.Npz,
    ("By source", "npy"): spec.Npy,
    ("download", ""): spec.Download,
    ("pairs of arrays", ""): spec.ArrayPair,
    ("By source", "torchvision"): spec.Torchvision,
    ("per_class, split and random classes", "per_class"): spec.Counts,
    ("per_class, split and random classes", "random classes"): spec.RandomClasses,
    ("per_class, split and random classes", "split"): spec.Fractions,
    ("networks", ""): spec.Network,
    ("optimizers", "all"): optimizers.Common,
    **{("optimizers", kind.__name__.lower()): kind for kind in typing.get_args(spec.OptimizerKind)},
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
    ("average", "ema"): spec.EMA,
    ("average", "swa"): spec.SWA,
    ("inits", ""): spec.Init,
    ("by_layer", ""): spec.LayerDrawing,
    ("normalise", ""): spec.Constants,
    ("sources", ""): spec.Source,
    ("perturbations", ""): spec.Step,
    ("given", ""): spec.Given,
    ("checkpoints", "checkpoints"): spec.Checkpoints,
    ("checkpoints", "match"): spec.Match,
    ("perturb and transfer", "perturb"): spec.Perturb,
    ("perturb and transfer", "transfer"): spec.Transfer,
    ("definitions", "study"): spec.Study,
    ("definitions", "experiment"): spec.Design,
    ("definitions", "grid"): spec.Grid,
    ("definitions", "vary"): spec.Overrides,
    ("definitions", "adjust"): spec.Adjust,
    ("thresholds", "thresholds"): spec.Thresholds,
    ("thresholds", "accuracies"): spec.Accuracies,
    ("claims", "claim"): spec.Claim,
    ("claims", "statement"): spec.Statement,
    ("claims", "within"): spec.Within,
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
    return [line for line in lines if re.match(r"snakemake |python3|\.venv/bin/", line)]


def saved():
    """The names by which the pages' examples of whole configs are to be saved."""
    return {name for page in PAGES for name in re.findall(r"[Ss]ave it as\s+`(\w+\.yaml)`", text(page))}


def anchors(page):
    """The headings of a page, as links name them, in order: [(level, anchor)]."""
    prose = re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S)
    headings = re.findall(r"^(#+) (.+)$", prose, re.M)
    return [(len(marks), re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")) for marks, heading in headings]


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
    """The fields that a model adds to what it inherits from a model with rows of its own on the page."""
    inherited = {name for base in model.__mro__[1:] if base in TABLES.values() for name in base.model_fields}
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
    # An experiment is a design whose grid is required.
    reachable = set(models(spec.Config)) - {spec.Experiment} | {spec.ImageSource, spec.Design, optimizers.Common}
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
    listed = set(re.findall(r"`[^`]+`", row["type"]))
    if "(#measure)" in row["type"]:
        listed |= {measure["measure"] for _, measure in tables("config/README.md", "measure")}
    assert choices(field) <= listed
    assert set(re.findall(r"[<>≤≥] [\d.]+", row["type"])) == limits(field)
    assert row["what it does"]


def test_the_measures_are_those_that_are_declared():
    rows = {row["measure"].strip("`"): row for _, row in tables("config/README.md", "measure")}
    assert rows.keys() == MEASURES.keys()
    for name, declared in MEASURES.items():
        assert (rows[name]["when it is taken"], rows[name]["what it is"]) == (declared.taken, declared.meaning)


def test_the_options_of_every_perturbation_are_documented():
    said = {
        (row["perturbation"].strip("`"), row["option"].strip("`")): row
        for _, row in tables("config/README.md", "perturbation")
    }
    expected = {(kind, option) for kind in perturbations.names() for option in perturbations.options(kind) or [""]}
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
        assert int(row["smallest image"]) == networks.input_size(name, 1)
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
    assert {"$schema": schema["$schema"], **spec.Config.model_json_schema()} == schema


def test_snakemake_validates_configs_by_the_schema():
    """Without defaults: those it sets in what is null, and fails (docs/conventions.md)."""
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import validate

    for path in CONFIGS:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        before = copy.deepcopy(config)
        validate(config, str(ROOT / "config/schema.json"), set_default=False)
        assert config == before
    with pytest.raises(WorkflowError, match="replicate"):
        validate(config | {"replicate": 3}, str(ROOT / "config/schema.json"), set_default=False)
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'setdefault'"):
        validate(config, str(ROOT / "config/schema.json"))


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
        with pytest.raises(checks.ConfigError):
            checks.check(spec.Config, wrong, "")


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


def indented(documentation):
    """The code that a docstring shows, indented by four."""
    lines = inspect.cleandoc(documentation).splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    ") or not line).strip() + "\n"


@pytest.fixture
def residual(tmp_path, monkeypatch):
    """The network that docs/networks.md shows, saved where it says, but for the folder."""
    [_, code] = blocks("docs/networks.md", "python")
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks/residual.py").write_text(code)
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path / "networks")])
    yield
    sys.modules.pop("weight_atlas.networks.architectures.residual", None)


def test_the_pages_show_the_network_and_the_perturbation_of_the_docstrings():
    assert blocks("docs/networks.md", "python")[1:] == [indented(networks.__doc__)]
    assert blocks("CONTRIBUTING.md", "python") == [indented(perturbations.__doc__)]


@pytest.mark.parametrize("example", whole_configs(), ids=lambda example: yaml.safe_load(example)["name"])
def test_every_example_that_is_a_config_is_planned(example, tmp_path, schema, residual, monkeypatch):
    (tmp_path / "mixer.py").write_text(blocks("docs/networks.md", "python")[0])
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load(example)
    jsonschema.validate(config, schema)
    lay_out(config, tmp_path)
    plan = study.Plan(config | {"data_root": str(tmp_path)}, tmp_path)
    assert plan.cells and set(config["networks"]) <= {entry.labels["network"] for entry in plan.entries}


def test_there_are_examples_of_both_kinds():
    assert len(whole_configs()) >= 6 and len(examples()) > len(whole_configs())


@pytest.mark.parametrize("page", PAGES)
def test_every_other_example_is_a_part_of_a_config(page):
    """A part laid over the tour is accepted key by key (what it names of other parts is not looked up)."""
    for _, example in (one for one in examples() if one[0] == page and one[1] not in whole_configs()):
        config = yaml.safe_load(text("config/config.yaml")) | yaml.safe_load(example)
        for label, network in spec.Config.model_validate(config).networks.items():
            if not networks.is_foreign(network.named(label)):
                networks.check_options(network.architecture or label, network.model_extra)


def test_the_example_of_the_grid_has_the_cells_that_it_says():
    example = next(one for one in whole_configs() if "name: batches" in one)
    found = study.Plan(yaml.safe_load(example), Path("nowhere"))
    assert len(found.entries) == 3
    for entry in found.entries:
        training = found.cells[entry.cell_id].settings.json["training"]
        assert training["batch_size"] == {"small": 16, "middle": 64, "large": 256}[entry.labels["batch"]]
    [experiment] = found.experiments
    assert experiment.shapes == (Shape.SWEEP,) and experiment.question == "Does the size of a batch matter?"
    assert f"in {len(example.strip().splitlines())} lines" in text("README.md")


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
    lines = [line for page in PAGES for line in commands(page)]
    assert len([line for line in lines if "snakemake" in line]) >= 20
    for line in lines:
        words = shlex.split(line)
        at = max((number for number, word in enumerate(words) if word.endswith("snakemake")), default=None)
        if at is not None and not words[at + 1].startswith("-"):
            assert words[at + 1] in rules()
        for flag, path in itertools.pairwise(words):
            if flag in ("--configfile", "--workflow-profile") and path not in saved():
                assert (ROOT / path).exists(), line
        for word in words:
            if word.startswith("studies="):
                assert word.removeprefix("studies=") in yaml.safe_load(text("config/quick.yaml"))["definitions"], line


def test_the_readme_has_seven_things_to_do_next_each_with_a_command_and_a_link():
    section = text("README.md").partition("## Seven things to do next")[2].partition("\n## ")[0]
    things = re.split(r"^\*\*", section, flags=re.M)[1:]
    assert len(things) == 7
    for thing in things:
        assert re.search(r"^    snakemake ", thing, re.M) and re.search(r"\]\(docs/", thing)
    assert len(text("README.md").splitlines()) <= 130


@pytest.mark.parametrize("name", sorted(saved()))
def test_a_config_that_is_to_be_saved_is_shown_once(name):
    named = [example for _, example in examples() if yaml.safe_load(example).get("name") == name.partition(".")[0]]
    assert len(named) == 1


def test_the_two_commands_are_one_line_each_and_need_no_activation():
    setup = "python3.11 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt && "
    lines = [line for line in commands("README.md") if line.startswith("python3.11")]
    assert lines == [f"{setup}.venv/bin/snakemake --cores all", f"{setup}.venv/bin/python -m pytest"]
    gate = text(".ci/common") + text(".ci/run")
    for step in ("-m venv .venv", "--require-hashes -r requirements.txt", "snakemake --cores all", "python -m pytest"):
        assert f"{step}\n" in gate
    assert ".venv/bin/python -m pytest -m long\n" in text(".ci/long")


MADE = ("results/", "data/", "logs/", ".venv/", ".snakemake/", "images/", "weights/", "run.json")


def named(page):
    """The paths that a page names in backticks, links and commands, without what a run makes or a user has."""
    words = re.findall(r"`([^`\s]+)`", text(page)) + re.findall(r"\]\(([^)#\s]+)\)", text(page))
    words += [word for line in commands(page) for word in shlex.split(line)]
    paths = [word for word in words if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word) and ("/" in word or "." in word)]
    known = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())
    files = r"[\w-]+\.(md|txt|cff|toml|in|yaml|json)"
    paths = [path for path in paths if path.startswith(known) or re.fullmatch(files, path)]
    return {path for path in paths if not path.startswith(MADE) and path not in saved()}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page):
    for path in named(page):
        assert (ROOT / path).exists() or (ROOT / page).parent.joinpath(path).exists(), path


def test_paths_are_found_in_backticks_links_and_commands():
    assert {"docs/report.png", "CITATION.cff", "config/dynamics.yaml", "profiles/slurm"} <= named("README.md")


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_every_link_leads_to_a_file_and_its_heading(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text(page)) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
        assert target.is_file(), link
        if anchor:
            assert anchor in [name for _, name in anchors(target.relative_to(ROOT))], link


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", *SUBJECTS])
def test_the_contents_at_the_top_of_a_page_are_its_headings(page):
    (level, _), *headings = anchors(page)
    assert level == 1 and {level for level, _ in headings} == {2}
    top = text(page).partition("\n## ")[0]
    assert re.findall(r"^- \[.+\]\(#(.+)\)$", top, re.M) == [anchor for _, anchor in headings]


def test_the_tables_of_the_axes_are_what_the_command_writes(tmp_path):
    subprocess.run([sys.executable, "docs/axes.py", str(tmp_path)], cwd=ROOT, check=True)
    for page in ("optimizers.md", "starts.md"):
        assert text(f"docs/{page}") == (tmp_path / page).read_text(encoding="utf-8"), "run: python docs/axes.py"
    rows = [row for row in text("docs/starts.md").splitlines() if row.startswith("| `kaiming_")]
    for row, weights in ((row, float(row.split("|")[3])) for row in rows):
        assert weights == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.01), row


def test_every_page_of_the_docs_is_linked_in_the_readme():
    linked = set(re.findall(r"\]\(([\w./-]+\.md)", text("README.md")))
    assert {*PAGES, *GENERATED, "CHANGELOG.md"} - {"README.md"} == linked


def test_the_rooms_are_those_that_the_imports_are_held_to():
    rows = [row for _, row in tables("CONTRIBUTING.md", "Room")]
    said = {row["Room"].strip("`"): set(re.findall(r"`(\w+)`", row["May import"])) for row in rows}
    assert said == ORDER


def test_one_version_stands_everywhere():
    [version, *_] = re.findall(r"^## \[(\S+)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", text("CHANGELOG.md"), re.M)
    assert version == tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert version == yaml.safe_load(text("CITATION.cff"))["version"]


def test_the_wildcards_are_those_of_the_snakefile():
    block = re.search(r"^wildcard_constraints:\n(.*?)^\S", text("Snakefile"), re.M | re.S)[1]
    patterns = dict(re.findall(r'^    (\w+)=(?:made\(.*)?r"(.*?)"\)?,$', block, re.M)) | {
        "study": "dynamics",
        "page": "report|study-dynamics",
    }
    assert patterns.keys() == set(re.findall(r"^    (\w+)=", block, re.M))
    said = {}
    for _, row in tables("docs/results.md", "Wildcard"):
        names, shown = (re.findall(r"`([^`]+)`", row[column]) for column in ("Wildcard", "Example"))
        said |= dict(zip(names, shown, strict=True))
    assert said.keys() == patterns.keys()
    for name, example in said.items():
        assert re.fullmatch(patterns[name], example), name


def test_every_rule_has_its_directives_in_the_order_that_the_contributors_guide_gives():
    order = re.search(r"in this order: ([\w, \n]+)\.", text("CONTRIBUTING.md"))[1]
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
