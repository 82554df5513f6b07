"""One archive of all that a study told: what is in it, what is not, and whether it is whole."""

import base64
import csv
import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pypandoc
import pytest
import yaml
from rocrate.rocrate import ROCrate

from tests.unit import results
from tests.unit.test_schema import check as check_package
from weight_atlas.export import bundle, check, commit, latex, networks, redact, ro_crate

ROOT = Path(__file__).resolve().parents[2]
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the results, their bundle)."""
    root = tmp_path_factory.mktemp("a machine's own") / "work"
    folder = results.make(root)
    bundle.write(folder, root / "small.zip", "abc-dirty", "9.0")
    return folder, root / "small.zip"


@pytest.fixture
def unpacked(made, tmp_path):
    with zipfile.ZipFile(made[1]) as archive:
        archive.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def pack(folder, path, extra=()):
    """A zip of a folder's files, and of more (name, bytes)."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(folder))
        for name, content in extra:
            archive.writestr(name, content)
    return path


def list_again(folder):
    """The manifest made anew, so that only what it does not say can be wrong."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != ro_crate.MANIFEST)
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n" for file in files]
    (folder / ro_crate.MANIFEST).write_text("".join(sums))


# -------------------------------------------------------------------------------------------------- what is in it


def test_it_has_everything_that_was_told_and_no_weights(made, unpacked):
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {"report.html", "report.qmd", "style.css", "cells.csv", "runs.csv", "config.json", "config.yaml"} <= names
    assert {"CITATION.cff", "LICENSE", "requirements.txt", "provenance.json", "data/toy-1.json"} <= names
    assert {"tables/runs.csv", "tables/accuracy.csv", "tables/movement.csv"} <= names
    figures = {"lines.csv", "lines.svg", "lines.png", "map.csv", "map.svg", "map.png", "numbers.csv", "numbers.tex"}
    told = {f"figures/first/{name}" for name in (*figures, "claims.json")}
    assert {name for name in names if name.startswith("figures/")} == told
    assert not [name for name in names if name.endswith(".safetensors")]
    assert (unpacked / "requirements.txt").read_text() == (ROOT / "requirements.txt").read_text()


def test_the_hashes_are_those_of_data_and_final_weights(made, unpacked):
    root = made[0].parents[1]
    for name, expected in {
        "data.sha256": [root / "data/toy-1.safetensors"],
        "weights.sha256": sorted((root / "results/cells").glob("*/seeds_0-1/snapshots/seed?/epoch_2.safetensors")),
    }.items():
        sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root)}" for path in expected]
        assert expected and (unpacked / name).read_text().splitlines() == sums
    done = subprocess.run(["sha256sum", "-c", "--strict", unpacked / "weights.sha256"], cwd=root, capture_output=True)
    assert done.returncode == 0 and done.stdout.count(b": OK") == 4


def test_provenance_says_what_it_comes_from(unpacked):
    told = json.loads((unpacked / "provenance.json").read_text())
    assert told["workflow"]["commit"] == "abc-dirty" and told["date"] == "2026-01-02"
    assert told["versions"] == {"numpy": ["2.4.0"], "python": ["3.11.0"], "torch": ["2.15.0"], "snakemake": "9.0"}
    assert told["replicates"] == {"diverged": 1, "done": 3}
    assert told["data"][0]["fingerprint"] == "f"


def test_the_config_can_be_run_again(unpacked):
    again = yaml.safe_load((unpacked / "config.yaml").read_text())
    assert again["name"] == "small" and again["title"] == results.LETTERS
    assert not {"asked", "titles", "command"} & set(again)


def test_no_path_of_the_machine_is_in_it(made, unpacked):
    here = str(made[0].parents[2])
    for path in unpacked.rglob("*"):
        if path.is_file():
            assert here.encode() not in path.read_bytes(), path
    assert "./logs" in (unpacked / "report.html").read_text()
    assert results.rows(unpacked / "runs.csv")[1]["cause"] == "in ./x.py"
    config = json.loads((unpacked / "config.json").read_text())
    assert config["data_root"] == "DATA_ROOT" and config["command"].endswith("data_root=DATA_ROOT")


def test_paths_are_found_as_a_text_may_spell_them_and_nothing_else():
    words = redact.places(Path("/a b/my_work"), "/data/x & y") | {"/root": "~"}
    pattern = redact.pattern_of(words)

    def clean(text):
        return pattern.sub(lambda match: words[match[0]], text)

    assert clean("/a b/my_work/logs and /data/x & y/z") == "./logs and DATA_ROOT/z"
    assert clean("/a%20b/my_work/x,%22/data/x%20%26%20y%22") == "./x,%22DATA_ROOT%22"
    assert clean("/data/x &amp; y/z and /a b/my\\_work") == "DATA_ROOT/z and ."
    for text in ("data/root", "/rooted", "/root-2/x", "https://a.org/data/x", "/a b/my_workshop"):
        assert clean(text) == text


def test_a_picture_is_the_same_in_its_frame(unpacked):
    png = (unpacked / "figures/first/map.png").read_bytes()
    frame = ElementTree.parse(unpacked / "figures/first/map.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert frame.find(f"{space}title").text == results.LETTERS
    assert (frame.get("width"), frame.get("height")) == ("20", "10")
    assert base64.b64decode(frame.find(f"{space}image").get("href").partition(",")[2]) == png


def test_tables_are_latex_that_says_the_same(tmp_path):
    path = tmp_path / "table.csv"
    rows = [{"cell_id": results.LETTERS, "p": 0.0000123}, {"cell_id": "−θ₀", "p": 5}]
    results.write(path, [row | {"unused": 1} for row in rows])
    text = latex.longtable(path, ["cell_id", "p"], results.LETTERS, "tbl-x")
    assert "\\input{" not in text and "\\label{tbl-x}" in text and "\\ensuremath{-\\theta_0}" in text
    assert "unused" not in text and "\\toprule" in text
    plain = pypandoc.convert_text(text, "plain", format="latex", extra_args=["--wrap=none", "--columns=300"])
    assert re.sub(r"\s+", " ", plain).count(results.LETTERS) == 2, plain
    assert text.isascii()


def test_the_crate_describes_every_file(made, unpacked):
    told = ROCrate(made[1])
    known = {entity.id: entity for entity in told.data_entities}
    files = {path.relative_to(unpacked).as_posix(): path for path in unpacked.rglob("*") if path.is_file()}
    assert set(known) == set(files) - {ro_crate.NAME}
    for name, path in files.items():
        if name not in (ro_crate.NAME, ro_crate.MANIFEST):
            assert known[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            assert known[name]["contentSize"] == str(path.stat().st_size)
    types = {name: known[name]["encodingFormat"] for name in ("report.html", "cells.csv", "LICENSE", "style.css")}
    assert list(types.values()) == ["text/html", "text/csv", "text/plain", "text/css"]
    assert told.root_dataset["license"].id == "LICENSE"
    for name, text in (("a.json", "application/json"), ("a.md", "text/markdown"), ("a", "text/plain")):
        assert ro_crate.media_type(name) == text


def test_the_crate_has_what_the_profile_of_workflow_runs_requires(made):
    """https://w3id.org/ro/wfrun/workflow/0.6, and what it takes from the two profiles that it extends."""
    told = ROCrate(made[1])
    root, main = told.root_dataset, told.mainEntity
    assert told.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.3"
    profiles = ("ro/wfrun/process/0.6", "ro/wfrun/workflow/0.6", "workflowhub/workflow-ro-crate/1.1")
    assert [one.id for one in root["conformsTo"]] == [f"https://w3id.org/{profile}" for profile in profiles]
    for one in root["conformsTo"]:
        assert "CreativeWork" in one.type and one["name"] and one.id.endswith(f"/{one['version']}")
    assert set(main.type) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"} and main["name"]
    assert main.id in {part.id for part in root["hasPart"]}
    assert main["programmingLanguage"].type == "ComputerLanguage" and main["programmingLanguage"]["name"] == "Snakemake"
    assert (main["version"], main["identifier"]) == (yaml.safe_load(CITATION)["version"], "abc-dirty")
    run = root["mentions"]
    assert run.type == "CreateAction" and run["instrument"] is main and run["name"] and run["description"]
    for entity in [*run["object"], *run["result"]]:
        assert not isinstance(entity, str), f"{entity} is referred to and not described"
    inputs = {entity.id: entity for entity in run["object"]}
    assert (
        inputs["#data/toy-1.safetensors"]["sha256"]
        == hashlib.sha256((made[0].parents[1] / "data/toy-1.safetensors").read_bytes()).hexdigest()
    )
    made_by_it = {entity.id for entity in run["result"]}
    assert {"report.html", "networks.csv", "tables/runs.csv"} <= made_by_it
    assert not made_by_it & {"page.js", "LICENSE", "workflow/Snakefile", "config.yaml"}
    assert (run["startTime"], run["endTime"]) == ("2026-01-02T03:04:05Z", "2026-01-02T03:05:35Z")
    needed = {entity["name"]: entity.get("softwareVersion") for entity in main["softwareRequirements"]}
    assert needed == {"numpy": "2.4.0", "python": "3.11.0", "snakemake": "9.0", "torch": "2.15.0", "Pandoc 3.9": None}


def test_the_data_package_describes_every_table(unpacked):
    package = json.loads((unpacked / "datapackage.json").read_text(encoding="utf-8"))
    check_package(package, unpacked)
    by_path = {resource["path"]: resource for resource in package["resources"]}
    assert set(by_path) == {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*.csv")}
    assert by_path["tables/movement.csv"]["made_by"] == "weight_atlas.analysis.weights.movement"
    (rate,) = (field for field in by_path["cells.csv"]["schema"]["fields"] if field["name"] == "optimizer")
    assert rate["type"] == "string" and rate["description"].startswith("Label of the optimizer")
    numbers = by_path["figures/first/numbers.csv"]
    assert numbers["description"] == results.LETTERS
    assert (numbers["made_by"], numbers["made_from"]) == ("weight_atlas.one.two", ["cells.csv", "runs.csv"])


def test_the_same_results_give_the_same_bytes(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in made[0].rglob("*.csv"):
        path.touch()
    bundle.write(made[0], tmp_path / "again.zip", "abc-dirty", "9.0")
    assert (tmp_path / "again.zip").read_bytes() == made[1].read_bytes()


# ----------------------------------------------------------------------------------------------- networks, weights


def index(path):
    with zipfile.ZipFile(path) as archive:
        return list(csv.DictReader(archive.read("networks.csv").decode().splitlines()))


def weights_in(path):
    """{name: bytes} of the safetensors files of a bundle."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".safetensors")}


def test_the_index_has_a_row_per_network_with_its_labels_file_and_digest(made):
    root, rows = made[0].parents[1], index(made[1])
    assert len(rows) == 4 and {row["carried"] for row in rows} == {"False"}
    for row in rows:
        content = (root / row["file"]).read_bytes()
        assert (row["sha256"], int(row["bytes"])) == (hashlib.sha256(content).hexdigest(), len(content))
        assert (row["dataset"], row["network"], row["study"]) == ("toy", "one", "first")
        assert (row["snapshot"], row["epoch"]) == ("last", "2")
        assert float(row["accuracy"]) == pytest.approx(0.5 + 0.01 * int(row["seed"]))
    assert [(row["optimizer"], row["seed"], row["status"]) for row in rows] == [
        *(("level-0", "0", "done"), ("level-0", "1", "done")),
        *(("level-1", "0", "done"), ("level-1", "1", "diverged")),
    ]


def test_a_card_says_what_the_records_say(made, unpacked):
    cell_id = "base-toy-one-adam-9876543210"
    text = (unpacked / f"cards/{cell_id}.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    header = yaml.safe_load(head)
    assert header["library_name"] == "pytorch" and header["datasets"] == ["toy-1"] and "base_model" not in header
    [model] = header["model-index"]
    assert model["name"] == cell_id and model["results"][0]["metrics"][0]["value"] == 0.505
    assert "0.505 [0.400, 0.610], n = 2" in body
    # LeNet-1: 4 x 25 + 4, 12 x 4 x 25 + 12, and 10 x 192 + 10 parameters.
    assert "3 of them convolutions or linear; 3,246 parameters" in body
    blocks_of_yaml = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", body, re.DOTALL)]
    assert blocks_of_yaml[1] == {"kind": "init", "scheme": "default"}
    assert blocks_of_yaml[2] == results.settings(0.01)["training"]
    assert "torch 2.15.0" in body and "| 1 | diverged | 2 | 1 |" in body
    for path in sorted((made[0].parents[1] / "results/cells" / cell_id).glob("seeds_0-1/snapshots/seed?/epoch_2.*")):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in body
    page = (unpacked / "networks.md").read_text(encoding="utf-8")
    assert f"(cards/{cell_id}.md)" in page and "are not in this archive" in page and "<" not in page.replace("\\<", "")


def test_an_interval_ends_where_an_accuracy_can():
    row = {"mean": "0.4", "low": "-0.9", "high": "1.7", "n": "2"}
    assert networks.in_words(row) == "0.400 [0.000, 1.000], n = 2"
    assert networks.in_words(row | {"low": "", "high": "", "n": "1"}) == "0.400, n = 1"


@pytest.mark.parametrize(
    ("weights", "names"), [("last", ["epoch_2"]), ("best", ["best"]), ("all", ["best", "epoch_0", "epoch_2"])]
)
def test_weights_go_along_as_they_are(made, tmp_path, weights, names):
    said, path = [], tmp_path / "small.zip"
    bundle.write(made[0], path, "abc-dirty", "9.0", weights, said.append)
    root, found = made[0].parents[1], weights_in(path)
    stems = [Path(name).stem for name in found]
    assert sorted(stems) == sorted(names * 4)
    for name, content in found.items():
        assert content == (root / name).read_bytes()
    size = sum(map(len, found.values())) / 1e6
    assert said == [f"weights ({weights}): {4 * len(names)} snapshots, {len(found)} files, {size:.1f} MB"]
    assert check.first_problem(path) is None
    rows = index(path)
    assert {row["file"] for row in rows} == set(found) and {row["carried"] for row in rows} == {"True"}
    assert {entity.id for entity in ROCrate(path).data_entities} >= set(found)
    bundle.write(made[0], tmp_path / "again.zip", "abc-dirty", "9.0", weights)
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()


def test_weights_that_are_not_as_recorded_do_not_go_along(tmp_path):
    folder = results.make(tmp_path / "work")
    [path, *_] = sorted((tmp_path / "work/results/cells").rglob("best.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"best.safetensors was altered: its SHA-256 is not the recorded one; remove"):
        bundle.write(folder, tmp_path / "x.zip", "abc", "9.0", "best")
    assert not (tmp_path / "x.zip").exists()
    bundle.write(folder, tmp_path / "x.zip", "abc", "9.0", "last")


def test_more_than_a_bundle_holds_is_refused_before_it_is_copied(made, tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "MOST_UNPACKED", 1000)
    with pytest.raises(ValueError, match=r"^weights: these take .* GB, and a bundle holds at most .* GB; give "):
        bundle.write(made[0], tmp_path / "x.zip", "abc", "9.0", "all")
    bundle.write(made[0], tmp_path / "x.zip", "abc", "9.0")  # without them it is small


# ---------------------------------------------------------------------------------------------------- is it whole


def test_a_whole_bundle_is_ok(made, unpacked, tmp_path):
    assert check.first_problem(made[1]) is None
    assert check.first_problem(pack(unpacked, tmp_path / "again.zip")) is None
    done = subprocess.run(["sha256sum", "-c", "--strict", ro_crate.MANIFEST], cwd=unpacked, capture_output=True)
    assert done.returncode == 0


def test_a_changed_missing_or_unlisted_file_is_said(unpacked, tmp_path):
    file = unpacked / "tables/runs.csv"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"done", b"dome", 1))
    assert check.first_problem(pack(unpacked, tmp_path / "x.zip")).startswith("tables/runs.csv is not the file")
    file.unlink()
    assert check.first_problem(pack(unpacked, tmp_path / "x.zip")) == "tables/runs.csv is missing"
    file.write_bytes(before)
    more = [("more.txt", b"")]
    assert check.first_problem(pack(unpacked, tmp_path / "x.zip", more)) == "more.txt is not listed in MANIFEST.sha256"
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = pack(unpacked, tmp_path / "x.zip", [("tables/runs.csv", before)])
    assert check.first_problem(twice) == "tables/runs.csv is there twice"
    (unpacked / ro_crate.MANIFEST).unlink()
    assert check.first_problem(pack(unpacked, tmp_path / "x.zip")) == "MANIFEST.sha256 is missing"


def test_every_byte_of_a_file_counts(made, tmp_path):
    whole = made[1].read_bytes()
    with zipfile.ZipFile(made[1]) as archive:
        for entry in archive.infolist():
            start = entry.header_offset + 30 + len(entry.filename)
            at = start + entry.compress_size // 2
            changed = whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]  # one bit may give the same text
            (tmp_path / "x.zip").write_bytes(changed)
            assert check.first_problem(tmp_path / "x.zip"), entry.filename
    for part in (whole[: len(whole) // 2], b"no zip", b""):
        (tmp_path / "x.zip").write_bytes(part)
        assert "damaged" in check.first_problem(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("link", "wrong"),
    [
        ("figures/first/lines.svg", False),
        ("./tables/../cells.csv?x#y", False),
        ("figures/first/li%6Ees.svg", False),
        ("#x", False),
        ("https://a.org/x.csv", False),
        ("mailto:a@b.org", False),
        ("data:text/csv,x", False),
        ("figures/none.svg", True),
        ("../cells.csv", True),
        ("/cells.csv", True),
        ("file:///cells.csv", True),
    ],
)
@pytest.mark.parametrize("tag", ['<a href="{}">', '<img src="{}">'])
def test_links_of_the_page_lead_to_files_of_the_bundle(unpacked, tmp_path, link, wrong, tag):
    (unpacked / "report.html").write_text(f"<!DOCTYPE html>{tag.format(link)}")
    list_again(unpacked)
    said = check.first_problem(pack(unpacked, tmp_path / "x.zip"))
    assert bool(said) == wrong and (not wrong or "report.html links to" in said)


def test_a_name_that_leads_outside_is_refused(unpacked, tmp_path):
    digest = hashlib.sha256(b"x").hexdigest()
    for name in ("../evil", "/evil"):
        with open(unpacked / ro_crate.MANIFEST, "a") as file:
            file.write(f"{digest}  {name}\n")
        path = pack(unpacked, tmp_path / "x.zip", [(name, b"x")])
        assert check.first_problem(path) in ("../evil is outside the bundle", "/evil is outside the bundle")


# ------------------------------------------------------------------------------------------------------ commands


def run(*arguments):
    command = [sys.executable, str(ROOT / "scripts/bundle.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_says_ok_or_what_is_wrong_in_one_line(made, tmp_path):
    done = run("--check", made[1])
    assert (done.returncode, done.stdout) == (0, f"{made[1]}: ok\n")
    for path in (tmp_path / "none.zip", tmp_path, ROOT / "LICENSE"):
        done = run("--check", path)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and str(path) in done.stderr


def test_what_is_not_there_is_named(tmp_path):
    folder = results.make(tmp_path)
    (folder / "pictures/first/lines.png").unlink()
    for results_folder, name in ((folder, "lines.png"), (tmp_path, "cells.csv")):
        done = run("--results", results_folder, "--output", tmp_path / "x.zip")
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and name in done.stderr
    assert not (tmp_path / "x.zip").exists()


def test_neither_command_needs_torch_or_pandas():
    for name in ("bundle", "compare_page", "check", "ro_crate"):
        code = f"import sys; from weight_atlas.export import {name}; print({{'torch', 'pandas'}} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True)
        assert done.stdout == "set()\n", done.stderr


def test_the_commit_is_that_of_the_repository_itself(tmp_path):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *who, "-C", tmp_path, *words], capture_output=True, text=True, check=True).stdout

    assert commit.describe(tmp_path) == "not in a git repository"
    git("init")
    assert commit.describe(tmp_path) == "unknown: git describe failed"
    (tmp_path / "file").write_text("1")
    (tmp_path / "below").mkdir()
    git("add", "file")
    git("commit", "-m", "first")
    assert commit.describe(tmp_path) == git("rev-parse", "HEAD").strip()
    (tmp_path / "file").write_text("2")
    assert commit.describe(tmp_path) == git("rev-parse", "HEAD").strip() + "-dirty"
    assert commit.describe(tmp_path / "below") == "not in a git repository"


def test_the_citation_has_what_cff_asks_for():
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert told["cff-version"] == "1.2.0" and told["type"] == "software"
    assert told["title"].startswith("Weight Atlas") and told["message"]
    assert told["authors"] == [{"name": "The Weight Atlas authors"}]
    assert (ROOT / "LICENSE").read_text().startswith(f"{told['license']} License")
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{told["version"]}"' in project and f'license = "{told["license"]}"' in project
