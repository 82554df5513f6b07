"""Since when the workflow knows a claim of the config's own, which commit holds it, and what is told of that."""

import subprocess

import pytest
from test_plan import plan

from weight_atlas import records, store
from weight_atlas.plan import spec, stated
from weight_atlas.reporting.claims import verdicts

CLAIM = {"id": "x", "says": "y", "scope": "z", "all": [{"judge": "share", "evidence": "mean", "above": 0.5}]}
EARLY, LATE = "2026-01-31T09:30:00Z", "2026-01-31T09:30:01Z"


def git(folder, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def head(folder):
    found = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


@pytest.fixture
def stating(tmp_path, monkeypatch):
    """A function that records what a study with these claims states in a folder; it returns what the file holds."""

    def state(*claims, files=(), typed=False, at=EARLY):
        planned = plan(root=tmp_path)
        study = next(iter(planned.config.asked))
        changed = planned.config.definitions[study].model_copy(update={"claims": [spec.Claim(**one) for one in claims]})
        monkeypatch.setitem(planned.config.definitions, study, changed)
        monkeypatch.setattr(records, "timestamp", lambda: at)
        stated.record(planned.config, tmp_path, [str(file) for file in files], typed)
        path = tmp_path / stated.path(planned.config, study)
        return store.read_json(path) if path.exists() else None

    return state


def test_a_claim_keeps_the_time_when_it_was_first_read_and_a_changed_one_is_another(stating):
    [(first, entry)] = stating(CLAIM).items()
    assert entry == {"claim": CLAIM, "at": EARLY, "commit": None}
    assert stating(CLAIM, at=LATE) == {first: entry}
    wider = CLAIM | {"all": [CLAIM["all"][0] | {"margin": 0.1}]}
    both = stating(wider, at=LATE)
    assert both[first] == entry and [one["at"] for one in both.values()] == [EARLY, LATE]


def test_a_study_without_claims_has_no_file(stating):
    assert stating() is None


def test_the_commit_is_the_one_that_holds_all_files_as_they_are(stating, tmp_path):
    repository = tmp_path / "mine"
    repository.mkdir()
    config, other = repository / "config.yaml", repository / "other.yaml"
    config.write_text("a: 1\n")
    git(repository, "init", "-q")
    [entry] = stating(CLAIM, files=[config]).values()
    assert entry["commit"] is None, "no commit yet"
    git(repository, "add", "config.yaml")
    git(repository, "commit", "-qm", "a claim")
    other.write_text("b: 1\n")
    [entry] = stating(CLAIM, files=[config, other]).values()
    assert entry["commit"] is None, "one of the files is in no commit"
    [entry] = stating(CLAIM, files=[config], typed=True).values()
    assert entry["commit"] is None, "what is typed is in no file"
    config.write_text("a: 2\n")
    [entry] = stating(CLAIM, files=[config]).values()
    assert entry["commit"] is None, "the file was changed since"
    config.write_text("a: 1\n")
    [entry] = stating(CLAIM, files=[config], at=LATE).values()
    assert (entry["commit"], entry["at"]) == (head(repository), EARLY)
    first = head(repository)
    git(repository, "add", "other.yaml")
    git(repository, "commit", "-qm", "more")
    [entry] = stating(CLAIM, files=[config]).values()
    assert entry["commit"] == first != head(repository), "the first that was found stays"


@pytest.mark.parametrize(
    ("at", "starts", "words"),
    [
        (EARLY, [LATE, LATE], "before the first run that it reads began"),
        (LATE, [LATE, LATE], "after the first run that it reads began"),
        (EARLY, [LATE, EARLY], "after the first run that it reads began"),
        (EARLY, [], "is not on record"),
        (EARLY, [LATE, ""], "is not on record"),
    ],
)
def test_a_claim_was_stated_before_only_where_it_precedes_every_run_that_it_reads(at, starts, words):
    told = verdicts.since(stated.Stated(at, "0123456789abcdef"), starts)
    assert words in told and "commit 0123456789ab holds it" in told and "no proof" in told
    assert "no commit holds it" in verdicts.since(stated.Stated(at, None), starts)


def test_what_is_read_is_what_was_recorded(stating, tmp_path):
    stating(CLAIM)
    [file] = tmp_path.glob("results/*/stated/*.json")
    assert stated.read(file) == {stated.fingerprint(spec.Claim(**CLAIM)): stated.Stated(EARLY, None)}
    assert stated.read(tmp_path / "none.json") == {} == stated.read(None)
