"""The environments: requirements.in, its pins in requirements.txt, the conda environment of the rules, and those of
commits and of GitHub."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import PARTS

ROOT = Path(__file__).resolve().parents[2]
PINS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
PYTHON = "3.11"


def direct():
    """The packages of requirements.in."""
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [canonicalize_name(line) for line in lines if line and not line.startswith("#")]


def pins():
    """[(name, version, marker or None, hashes)] of requirements.txt."""
    found = []
    for entry in re.split(r"\n(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", PINS, flags=re.M)):
        head, *rest = entry.replace("\\\n", "\n").strip().split("\n")
        requirement = Requirement(head)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", head
        hashes = [line.strip() for line in rest if line.strip()]
        found.append((canonicalize_name(requirement.name), specifier.version, requirement.marker, hashes))
    return found


def pinned(python=PYTHON):
    """{name: version} that holds on Linux for this Python."""
    here = default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    return {name: version for name, version, marker, _ in pins() if marker is None or marker.evaluate(here)}


def imported(*folders):
    """The packages that the Python files of these folders import, by the names that they are installed by."""
    modules = set()
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    owners = metadata.packages_distributions()
    ours = {"weight_atlas", "tests"} | {
        file.stem for folder in ("scripts", "tests") for file in (ROOT / folder).rglob("*.py")
    }
    foreign = modules - set(sys.stdlib_module_names) - ours
    return {canonicalize_name(owners[module][0]) for module in foreign}


# -------------------------------------------------------------------------------------- requirements.in, .txt


def test_every_direct_package_is_pinned():
    names = direct()
    assert names and len(set(names)) == len(names)
    assert set(names) <= set(pinned())


def test_every_pin_has_hashes_and_stands_once():
    found = pins()
    assert len(found) > len(direct())
    for name, version, _, hashes in found:
        assert Version(version), name
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), name
    assert len({(name, str(marker)) for name, _, marker, _ in found}) == len(found)


@pytest.mark.parametrize("file", ["requirements.in", "requirements.txt", "envs/atlas.yaml"])
def test_no_host_and_no_path_of_a_machine(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    text = text.replace("--no-emit-index-url", "")
    for word in ("http:", "https:", "file:", "index-url", "--find-links", "--trusted-host", " @ "):
        assert word not in text, word
    assert not re.search(r"(?<![\w.])/\w", text)
    assert not re.search(r"\b[\w-]+\.(com|org|net|io|dev|local|internal)\b", text)


def test_what_the_commands_import_is_pinned():
    assert imported("scripts", "tests") <= set(pinned())


def test_a_marker_chooses_between_versions():
    assert [version for name, version, _, _ in pins() if name == "numpy"] != [pinned()["numpy"]]
    assert Version(pinned()["numpy"]) < Version(pinned("3.12")["numpy"])
    assert Marker("python_version < '3.12'").evaluate({"python_version": PYTHON})


# ---------------------------------------------------------------------------------------------- pyproject.toml


def test_the_project_names_what_the_library_imports_and_no_more():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [Requirement(line) for line in project["dependencies"]]
    assert {canonicalize_name(one.name) for one in named} == imported("scripts/weight_atlas")
    known = pinned()
    assert all(one.specifier.contains(known[canonicalize_name(one.name)]) for one in named)


def test_the_extra_of_the_project_is_what_runs_the_workflow():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = [Requirement(line) for line in project["optional-dependencies"]["workflow"]]
    assert {one.name for one in extra} == {name for name in direct() if re.fullmatch("snakemake(-.*-slurm)?", name)}
    assert all(one.specifier.contains(pinned()[one.name]) for one in extra)
    assert f'min_version("{str(extra[0].specifier).removeprefix(">=")}")' in (ROOT / "Snakefile").read_text()


# ------------------------------------------------------------------------------------------- envs/atlas.yaml


def environment():
    """({conda package: version, or nothing}, {pip package: version})."""
    dependencies = yaml.safe_load((ROOT / "envs/atlas.yaml").read_text(encoding="utf-8"))["dependencies"]
    conda = dict(word.partition("=")[::2] for word in dependencies if isinstance(word, str))
    (packages,) = [part["pip"] for part in dependencies if isinstance(part, dict)]
    return conda, {canonicalize_name(name): version for name, version in (word.split("==") for word in packages)}


def test_the_environment_has_what_the_commands_import_and_no_more():
    assert set(environment()[1]) == imported("scripts")


def test_its_versions_are_those_of_the_requirements():
    conda, packages = environment()
    known = pinned(conda["python"])
    assert packages == {name: known[name] for name in packages}


def test_its_versions_are_allowed_by_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {canonicalize_name(one.name): one.specifier for one in map(Requirement, project["dependencies"])}
    packages = environment()[1]
    assert named and all(allowed.contains(packages[name]) for name, allowed in named.items())


def test_beside_these_it_has_quarto_at_a_pinned_version():
    conda, _ = environment()
    assert set(conda) == {"python", "pip", "quarto"} and Version(conda["quarto"])


def test_its_python_is_the_one_that_the_requirements_are_for():
    assert environment()[0]["python"] == PYTHON
    assert f"--python-version {PYTHON} " in PINS.splitlines()[1]
    assert f"python{PYTHON} -m venv" in (ROOT / "README.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={PYTHON}"' in project


def test_every_rule_uses_it_and_no_other_lies_beside_it():
    named = [
        name for path in (ROOT / "rules").glob("*.smk") for name in re.findall(r'"(\.\./envs/.*)"', path.read_text())
    ]
    assert set(named) == {"../envs/atlas.yaml"}
    assert [path.name for path in (ROOT / "envs").glob("*.yaml")] == ["atlas.yaml"]


def test_no_package_comes_from_a_channel_with_a_licence_of_its_own():
    channels = yaml.safe_load((ROOT / "envs/atlas.yaml").read_text(encoding="utf-8"))["channels"]
    assert channels == ["conda-forge", "nodefaults"]


PLANNING = """
import sys, yaml
from importlib import metadata
from weight_atlas.plan import commands, data_lines, jobs, live, outcome, outdated, snakemake_internals, stated, stored
from weight_atlas.export import commit, result

plan = commands.load(yaml.safe_load(open("config/config.yaml")), look=True)
outcome.before(plan, outdated.outdated(plan))
jobs.Jobs(plan, "scripts").imports("measure.py")
owners = metadata.packages_distributions()
print(*{owners[name][0] for name in {module.split(".")[0] for module in sys.modules} if name in owners})
"""


def test_what_plans_needs_the_few_packages_that_the_page_names():
    """And what these need: nothing else of the library's packages is imported before there are jobs."""
    [line] = re.findall(r"^    pip install (snakemake .*)$", (ROOT / "docs/clusters.md").read_text(), re.M)
    env = {"PYTHONPATH": str(ROOT / "scripts"), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", PLANNING], cwd=ROOT, env=env, capture_output=True, text=True)
    used = {canonicalize_name(name) for name in done.stdout.split()}
    assert "pydantic" in used and used & set(environment()[1]) <= {*line.split(), "pyyaml"}, done.stderr


# ------------------------------------------------------------------------------------ containers, the catalog


def ignored(name):
    """The patterns of an ignore file, without what anchors them in git."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("**/").strip("/") for line in lines if line and not line.startswith("#")}


def test_an_image_has_nothing_that_a_run_left():
    assert ignored(".dockerignore") == ignored(".gitignore")


def test_both_recipes_install_the_same_and_hold_what_the_rules_read():
    docker, apptainer = ((ROOT / "envs" / name).read_text() for name in ("Containerfile", "apptainer.def"))
    [base, other] = (re.search(r"^(?:FROM|From:) (.*)$", text, re.M)[1] for text in (docker, apptainer))
    assert base == other == f"python:{PYTHON}-slim"
    for command in re.findall(r"^RUN ((?:apt-get|pip) .*)$", docker, re.M):
        assert f"    {command}\n" in apptainer, command
    held = set(re.findall(r"^    (\S+) /atlas/$", apptainer, re.M))
    assert held == {*PARTS} and all((ROOT / part).exists() for part in held)
    assert re.findall(r"^USER (.*)$", docker, re.M) == ["atlas"] and "useradd --create-home atlas" in docker


def test_the_catalog_finds_what_it_needs():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) <= {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"] == {"conda": True} and (ROOT / "config/README.md").is_file()


# --------------------------------------------------------------------------------------- commits and GitHub


def steps(job):
    return yaml.safe_load((ROOT / ".github/workflows/gate.yml").read_text(encoding="utf-8"))["jobs"][job]["steps"]


def test_github_runs_the_scripts_of_the_gate():
    for job, script in (("gate", ".ci/run"), ("quarto", ".ci/quarto")):
        assert steps(job)[-1] == {"run": f"bash {script}"} and (ROOT / script).is_file()


def test_the_actions_of_others_are_pinned_by_their_commits():
    used = [step["uses"] for job in ("gate", "quarto") for step in steps(job) if "uses" in step]
    assert len(used) >= 3 and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)


def test_github_has_the_quarto_of_the_environment():
    [setup] = [step for step in steps("quarto") if "quarto-actions" in step.get("uses", "")]
    assert setup["with"]["version"] == environment()[0]["quarto"]


def test_what_a_commit_runs_is_pinned_and_part_of_the_gate():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in config["repos"]] == ["local"] and len(hooks) == 4
    gate = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for hook in hooks:
        program = hook["entry"].split()[0]
        assert hook["language"] == "system" and program.removeprefix(".venv/bin/") in direct()
        assert f"\n{program} " in gate or f"\n{program}\n" in gate
