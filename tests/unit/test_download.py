"""Downloads with a checksum, from a server on this machine: resumed, verified before they are opened, unpacked."""

import errno
import fcntl
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import threading
import zipfile

import numpy as np
import pytest

from tests.unit.servers import served
from tests.unit.test_datasets import make, put, spec
from weight_atlas import store
from weight_atlas.datasets import archive, download, facts
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.datasets.source import Gone
from weight_atlas.plan import checks, data_lines, outdated, recipe
from weight_atlas.plan.spec import Dataset
from weight_atlas.plan.study import Plan

CONTENT = np.random.default_rng(0).bytes(3_000_000)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def web(tmp_path):
    (tmp_path / "web").mkdir()
    return tmp_path / "web"


def fetch(address, target, content=CONTENT, unpack=False, name="file", **given):
    download.fetch({"url": f"{address}/{name}", "sha256": sha256(content), **given}, target, unpack)


def refused(address, target, **how):
    """The one line that it ends in; nothing is at the target."""
    with pytest.raises(ValueError) as error:
        fetch(address, target, **how)
    assert str(error.value).isprintable() and not target.exists()
    return str(error.value)


# ------------------------------------------------------------------------------------------------------- the server


@pytest.mark.parametrize("how", [{}, {"md5": hashlib.md5(CONTENT).hexdigest(), "sha256": None}])
def test_a_file_comes_to_its_place_and_is_asked_for_once(tmp_path, web, how):
    (web / "file").write_bytes(CONTENT)
    target = tmp_path / "data/deep/file.npz"
    with served(web) as (address, server):
        fetch(address, target, **how)
        fetch(address, target, **how)
    assert target.read_bytes() == CONTENT and server.told == [None]
    assert [path.name for path in target.parent.iterdir()] == ["file.npz"]


def test_what_breaks_off_goes_on_where_it_was(tmp_path, web):
    (web / "file").write_bytes(CONTENT)
    with served(web, cuts=(1_000_000, 500_000)) as (address, server):
        fetch(address, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.told == [None, "bytes=1000000-", "bytes=1500000-"]


def test_what_another_run_left_goes_on_and_what_is_whole_is_not_asked_for(tmp_path, web):
    (web / "file").write_bytes(CONTENT)
    part = tmp_path / "file.part"
    with served(web) as (address, server):
        part.write_bytes(CONTENT[:2_000_000])
        fetch(address, tmp_path / "file")
        (tmp_path / "file").rename(part)
        fetch(address, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT and not part.exists()
    assert server.told == ["bytes=2000000-"]


def test_a_server_without_ranges_begins_anew(tmp_path, web):
    (web / "file").write_bytes(CONTENT)
    with served(web, ranges=False, cuts=(1_000_000,)) as (address, server):
        fetch(address, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT and server.told == [None, "bytes=1000000-"]


def test_a_server_that_says_no_length(tmp_path, web):
    (web / "file").write_bytes(CONTENT)
    with served(web, length=False) as (address, _):
        fetch(address, tmp_path / "file")
        (tmp_path / "file").unlink()
    with served(web, length=False, cuts=(1000,)) as (address, _):
        assert "its sha256 is" in refused(address, tmp_path / "file")


def test_a_server_that_sends_nothing_more_is_left_with_what_there_is(tmp_path, web):
    (web / "file").write_bytes(CONTENT)
    with served(web, cuts=(1_000_000, 0)) as (address, server):
        said = refused(address, tmp_path / "file")
    assert said == (
        f"{address}/file: the download broke off (it ended after 1,000,000 of 3,000,000 bytes); the same command goes "
        "on from there"
    )
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:1_000_000]
    with served(web) as (address, server):
        fetch(address, tmp_path / "file")
    assert server.told == ["bytes=1000000-"]


def test_a_server_that_stalls_is_asked_again(tmp_path, web, monkeypatch):
    (web / "file").write_bytes(CONTENT)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    with served(web, cuts=(1_000_000, 400_000), stalls=True) as (address, server):
        fetch(address, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(server.told) == 3 and server.told[1].startswith("bytes=")


def test_a_wrong_checksum_is_removed_and_never_opened(tmp_path, web, monkeypatch):
    (web / "file").write_bytes(CONTENT)
    monkeypatch.setattr(archive, "unpack", None)
    with served(web) as (address, server):
        said = refused(address, tmp_path / "data/file", unpack=True, content=b"other")
        assert said == (
            f"{address}/file: its sha256 is {sha256(CONTENT)}, not {sha256(b'other')}; it was not opened, and is "
            "removed: correct sha256: if you trust it"
        )
        (tmp_path / "data/file.part").write_bytes(b"x" * 3_000_000)  # as long as it may be, and something else
        assert "its sha256 is " in refused(address, tmp_path / "data/file", unpack=True, content=b"other")
    assert not list((tmp_path / "data").iterdir())
    assert server.told == [None, "bytes=3000000-", None]


def test_a_file_that_is_longer_than_what_is_there_is_made_whole_or_begun_anew(tmp_path, web):
    """The rest of another file gives another checksum: the next time it begins anew."""
    (web / "file").write_bytes(CONTENT)
    (tmp_path / "file.part").write_bytes(b"x" * 1_000_000)
    with served(web) as (address, _):
        assert "its sha256 is" in refused(address, tmp_path / "file")
        fetch(address, tmp_path / "file")


def test_what_is_not_there_or_not_reached_is_one_line(tmp_path, web):
    with served(web) as (address, _):
        assert refused(address, tmp_path / "file") == (
            f"{address}/file: the server says 404 (Not Found); correct url:, or put the data there yourself"
        )
    said = refused(address, tmp_path / "file")  # nobody listens there any more
    assert said == (
        f"{address}/file: cannot be reached (Connection refused); try again, or put the data there yourself"
    )
    said = refused("http://no.such.host.invalid", tmp_path / "file")
    assert said.startswith("http://no.such.host.invalid/file: cannot be reached (") and "; try again" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web"]


def test_only_http_is_followed(tmp_path, web):
    (tmp_path / "secret").write_bytes(CONTENT)
    with served(web, redirect=f"file://{tmp_path}/secret") as (address, _):
        assert "the server says 302 (Found - Redirection to url 'file:" in refused(address, tmp_path / "file")
    with served(web, redirect="ftp://127.0.0.1/x") as (address, _):
        assert "which is neither http nor https" in refused(address, tmp_path / "file")
    assert "unknown url type" in refused(f"file://{tmp_path}", tmp_path / "file", name="secret")
    (web / "real").write_bytes(CONTENT)
    with served(web) as (there, _), served(web, redirect=f"{there}/real") as (address, _):
        fetch(address, tmp_path / "file")


def test_a_server_that_sends_more_than_it_says(tmp_path, web, monkeypatch):
    (web / "file").write_bytes(CONTENT)
    monkeypatch.setattr(download, "MOST_BYTES", 2_000_000)
    with served(web, length=False) as (address, _):
        assert "sends more than the 2,000,000 bytes" in refused(address, tmp_path / "file")
    (tmp_path / "file.part").unlink()
    with served(web) as (address, _):
        assert "its 3,000,000 bytes are more than the 2,000,000 that are read" in refused(address, tmp_path / "file")


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(tmp_path, web, monkeypatch):
    (web / "file").write_bytes(CONTENT)
    real, left = download._size, [1_000_000]

    def size(file):
        if real(file) > left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file)

    with served(web) as (address, server):
        monkeypatch.setattr(download, "_size", size)
        said = refused(address, tmp_path / "file")
        assert said == (f"{address}/file: the disk of {tmp_path} is full; free some space: the same command goes on")
        left[0] = 10**9
        fetch(address, tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == CONTENT and int(server.told[1][6:-1]) > 1_000_000
        (tmp_path / "file").unlink()
        monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 9}))
        assert "needs 3,000,000 bytes, and" in refused(address, tmp_path / "file")


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path, web):
    (tmp_path / "data").write_bytes(b"a file")
    with served(web) as (address, _):
        assert f"cannot be written to {tmp_path}/data (" in refused(address, tmp_path / "data/file")


def test_two_at_once_do_not_write_over_each_other(tmp_path, web):
    (web / "file").write_bytes(CONTENT)
    (tmp_path / "file.part").write_bytes(CONTENT[:10])
    with served(web) as (address, server):
        with open(tmp_path / "file.part", "rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert "file.part: another process downloads it; wait for it" in refused(address, tmp_path / "file")
        assert server.told == []
        threads = [threading.Thread(target=fetch, args=(address, tmp_path / f"file{number}")) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all((tmp_path / f"file{number}").read_bytes() == CONTENT for number in range(3))
    os.mkfifo(tmp_path / "pipe.part")
    assert "(it is a pipe, not a file)" in refused(address, tmp_path / "pipe")
    (tmp_path / "x.part").symlink_to(tmp_path / "file0")
    assert "x.part: is a link; remove it" in refused(address, tmp_path / "x")


# ---------------------------------------------------------------------------------------------------------- archives


def tar(members, mode="w:gz", **last):
    """A tar of {name: content}; last: attributes of its last member."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in last.items() if name == list(members)[-1] else ():
                setattr(info, key, value)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(members, **last):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in last.items() if name == list(members)[-1] else ():
                setattr(info, key, value)
            made.writestr(info, content)
    return file.getvalue()


FILES = {"a/1.txt": b"one", "a/b/2.txt": b"two" * 50_000, "c/3.txt": b""}


def below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("pack", [tar, zipped, *(lambda files, m=m: tar(files, m) for m in ("w", "w:bz2", "w:xz"))])
@pytest.mark.parametrize("prefix", ["", "./", "set/", "other/"])
def test_an_archive_is_unpacked_as_a_whole(tmp_path, web, pack, prefix):
    content = pack({f"{prefix}{name}": file for name, file in FILES.items()})
    (web / "file").write_bytes(content)
    with served(web) as (address, _):
        fetch(address, tmp_path / "set", content, unpack=True)
    inside = {f"other/{name}": file for name, file in FILES.items()} if prefix == "other/" else FILES
    assert below(tmp_path / "set") == inside
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "web"]


def test_what_a_killed_process_left_is_replaced(tmp_path, web):
    content = tar(FILES)
    (web / "file").write_bytes(content)
    (tmp_path / ".part-set/old").mkdir(parents=True)
    with served(web) as (address, _):
        fetch(address, tmp_path / "set", content, unpack=True)
    assert below(tmp_path / "set") == FILES and sorted(os.listdir(tmp_path)) == ["set", "web"]


def test_empty_folders_of_an_archive_are_made_and_an_empty_target_is_taken(tmp_path, web):
    content = tar({"a/1": b"1", "b": b""}, type=tarfile.DIRTYPE)
    (web / "file").write_bytes(content)
    (tmp_path / "set").mkdir()
    with served(web) as (address, _):
        fetch(address, tmp_path / "set", content, unpack=True)
        assert (tmp_path / "set/b").is_dir()
        (web / "file").write_bytes(b"never asked for")
        fetch(address, tmp_path / "set", content, unpack=True)


LINK = 0o120777 << 16
ODD = {
    "no archive": (b"text" * 999, "cannot be unpacked ("),
    "cut": (tar(FILES)[:-40], "cannot be unpacked ("),
    "a name above": (tar({"../x": b"1"}), "(../x lies outside of it)"),
    "a name above within": (tar({"a/../../x": b"1"}), "(a/../../x lies outside of it)"),
    "a name from the root": (tar({"/tmp/outside-the-archive": b"1"}), "(/tmp/outside-the-archive lies outside of it)"),
    "a name above in a zip": (zipped({"../x": b"1"}), "(../x lies outside of it)"),
    "backslashes": (zipped({"..\\x": b"1"}), "(..\\x lies outside of it)"),
    "a link": (
        tar({"a": b"", "x": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "(x is no file but a link or a",
    ),
    "a hard link": (tar({"a": b"", "x": b""}, type=tarfile.LNKTYPE, linkname="a"), "(x is no file but a link or a"),
    "a link in a zip": (zipped({"x": b"/etc/passwd"}, external_attr=LINK), "(x is no file but a link or a device)"),
    "a device": (tar({"x": b""}, type=tarfile.CHRTYPE), "(x is no file but a link or a folder)"),
    "a pipe": (tar({"x": b""}, type=tarfile.FIFOTYPE), "(x is no file but a link or a folder)"),
    "a name twice": (tar({"x": b"1", "./x": b"2"}), "(x: is there twice)"),
    "a file that is a folder": (tar({"x": b"1", "x/y": b"2"}), "(x/y: "),
    "a long name": (tar({"n" * 300: b"1"}), ": File name too long)"),
    "a bomb": (gzip.compress(tar({"x": bytes(3_000_000)}, "w")), "(it unpacks to more than the 2,000,000 bytes"),
    "a bomb in a zip": (zipped({"x": bytes(3_000_000)}), "(it has more than 20 members, or 2,000,000 bytes unpacked)"),
    "many members": (tar({str(number): b"" for number in range(30)}), "(it has more than 20 members)"),
    "many members in a zip": (zipped({str(number): b"" for number in range(30)}), "(it has more than 20 members, or"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_archive_is_refused_and_leaves_nothing(tmp_path, web, monkeypatch, name):
    content, said = ODD[name]
    monkeypatch.setattr(archive, "MOST_UNPACKED_WHOLE", 2_000_000)
    monkeypatch.setattr(archive, "MOST_MEMBERS_WHOLE", 20)
    (web / "file").write_bytes(content)
    with served(web) as (address, _):
        text = refused(address, tmp_path / "data/set", content=content, unpack=True)
    assert said in text and text.startswith(f"{tmp_path}/data/set.part: cannot be unpacked (")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["set.part"]
    assert not os.path.exists("/tmp/outside-the-archive") and not (tmp_path / "x").exists()


def test_a_disk_that_fills_while_it_is_unpacked(tmp_path, web, monkeypatch):
    content = tar(FILES)
    (web / "file").write_bytes(content)

    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(path, mode="r", **how):
        return Full(path, "x") if mode == "xb" else open(path, mode, **how)

    with served(web) as (address, server):
        monkeypatch.setattr(archive, "open", full, raising=False)
        assert f"the disk of {tmp_path} is full; free some" in refused(
            address, tmp_path / "set", content=content, unpack=True
        )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["set.part", "web"]
        monkeypatch.undo()
        fetch(address, tmp_path / "set", content, unpack=True)
    assert below(tmp_path / "set") == FILES and server.told == [None]


# --------------------------------------------------------------------------------------------------------- data sets


def packed(folder):
    """A tar of a folder's files, and its checksum."""
    content = tar({path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))})
    return content, sha256(content)


@pytest.mark.parametrize("path", ["birds", "birds/inner"])
def test_a_folder_is_downloaded_where_it_is_prepared(tmp_path, web, path):
    put(tmp_path / "made/inner", {"robin": 9, "wren": 9})
    content, digest = packed(tmp_path / "made")
    (web / "birds.tar.gz").write_bytes(content)
    with served(web) as (address, _):
        wanted = spec("folder", path=path, download={"url": f"{address}/birds.tar.gz", "sha256": digest, "md5": None})
        with pytest.raises(Gone, match="is not there yet; a run downloads it before it plans"):
            facts(wanted, tmp_path / "data")
        card, _ = make(tmp_path, wanted, tmp_path / "data")
    assert (
        f"The config names where it was published: {address}/birds.tar.gz, with the SHA-256 {digest}." in card["notes"]
    )
    own, _ = make(tmp_path, spec("folder", path="inner"), tmp_path / "made", "own")
    assert (card["sha256"], card["counts"], card["classes"]) == (own["sha256"], own["counts"], own["classes"])
    wrong = wanted | {"path": "birds/none"}
    with pytest.raises(Gone, match="birds/none not found .data_root is .*, or correct its name$"):
        facts(wrong, tmp_path / "data")


def test_a_path_that_an_archive_does_not_hold_is_said(tmp_path, web):
    put(tmp_path / "made", {"robin": 9, "wren": 9})
    content, digest = packed(tmp_path / "made")
    (web / "x").write_bytes(content)
    with served(web) as (address, _), pytest.raises(ValueError) as error:
        wanted = spec("folder", path="birds/other", download={"url": f"{address}/x", "sha256": digest})
        prepare_dataset(wanted, "no", tmp_path / "data", tmp_path / "no")
    root = tmp_path / "data"
    assert str(error.value) == (
        f"dataset folder: {root}/birds/other is not in what was downloaded to {root}/birds; correct path:"
    )


def test_a_zip_an_npz_and_a_table_are_downloaded(tmp_path, web):
    put(tmp_path / "made", {"robin": 9, "wren": 9})
    images = {
        path.relative_to(tmp_path / "made").as_posix(): path.read_bytes() for path in (tmp_path / "made").rglob("*.png")
    }
    table = "path,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in sorted(images))
    np.savez(web / "a.npz", x_train=np.zeros((20, 9, 9), np.uint8), y_train=np.arange(20) % 2)
    (web / "birds.zip").write_bytes(zipped(images))
    (web / "study.tar").write_bytes(
        tar({"study/labels.csv": table.encode(), **{f"study/{n}": c for n, c in images.items()}})
    )
    with served(web) as (address, _):

        def given(name):
            return {"url": f"{address}/{name}", "md5": hashlib.md5((web / name).read_bytes()).hexdigest()}

        root, common = tmp_path / "data", {key: value for key, value in spec("digits").items() if key != "source"}
        zip_card, _ = make(tmp_path, spec("folder", path="birds.zip", download=given("birds.zip")), root)
        csv = {"source": "csv", "path": "study/labels.csv", "download": given("study.tar")}
        csv_card, _ = make(tmp_path, common | csv, root)
        npz_card, _ = make(tmp_path, common | {"source": "npz", "path": "x/a.npz", "download": given("a.npz")}, root)
    assert zip_card["sha256"] == csv_card["sha256"] and npz_card["counts"]["train"] == [7, 7]
    assert sorted(path.name for path in root.iterdir()) == ["birds.zip", "study", "x"]


@pytest.mark.parametrize("downloaded", [True, False])
def test_what_can_be_downloaded_again_may_go_once_it_is_prepared(tmp_path, web, downloaded):
    put(tmp_path / "root/birds", {"robin": 9, "wren": 9})
    given = {"url": "http://127.0.0.1:9/x", "md5": "0" * 32}
    grid = {"dataset": ["birds"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}
    birds = {"source": "folder", "path": "birds", "size": 28} | ({"download": given} if downloaded else {})
    config = {
        "name": "birds",
        "data_root": str(tmp_path / "root"),
        "datasets": {"birds": birds},
        "networks": {"lenet5": {}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "definitions": {"first": {"grid": grid}},
    }
    [data] = Plan(config, tmp_path).datasets.values()
    tensors = tmp_path / f"data/{data.dataset_id}.safetensors"
    card = prepare_dataset(data.spec, data.dataset_id, config["data_root"], tensors)
    store.write_json(tensors.with_suffix(".json"), card | {"recipe": recipe.dataset(data.spec, card["fingerprint"])})
    shutil.rmtree(tmp_path / "root")
    plan = Plan(config, tmp_path)
    told = data_lines.warnings(plan)
    assert outdated.outdated(plan).keys() == {f"results/cells/{name}/seeds_0-2" for name in plan.cells}
    if downloaded:
        assert told == []
    else:
        assert len(told) == 1 and "what was prepared from it is used, but: dataset folder: " in told[0]


def test_a_run_downloads_before_it_plans_and_once(tmp_path, web, capsys):
    put(tmp_path / "made", {"robin": 9, "wren": 9})
    content, digest = packed(tmp_path / "made")
    (web / "birds.tar.gz").write_bytes(content)
    with served(web) as (address, server):
        birds = {"source": "folder", "path": "birds", "size": 28, "download": {"url": f"{address}/x", "sha256": digest}}
        config = {
            "name": "birds",
            "data_root": str(tmp_path / "data"),
            "datasets": {"birds": birds, "some": birds | {"per_class": {"train": 2}}},
            "networks": {"lenet5": {}},
            "optimizers": {"sgd": {"type": "sgd"}},
            "definitions": {
                "first": {
                    "grid": {
                        "dataset": ["birds", "some"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]
                    }
                }
            },
        }  # fmt: skip
        with pytest.raises(
            checks.ConfigError, match="^datasets.birds: dataset folder: .* is not there yet; a run downl"
        ):
            Plan(config, tmp_path)
        with pytest.raises(checks.ConfigError) as error:
            Plan(config, tmp_path, fetch=True)
        said = "the server says 404 (Not Found); correct url:, or put the data there yourself"
        assert str(error.value) == f"datasets.birds: {address}/x: {said}"
        birds["download"]["url"] = f"{address}/birds.tar.gz"
        plan = Plan(config, tmp_path, fetch=True)
        again = Plan(config, tmp_path)
    assert [data.facts["counts"]["train"] for data in plan.datasets.values()] == [12, 4]
    assert plan.datasets.keys() == again.datasets.keys()
    assert server.told == [None, None]
    assert f"downloading the data set birds to {tmp_path}/data\n" in capsys.readouterr().err
    del birds["download"], config["datasets"]["some"]["download"]
    assert Plan(config, tmp_path).datasets.keys() == plan.datasets.keys()  # where it came from makes no other data set


FOLDER = {"source": "folder", "path": "a"}
GIVEN = {"url": "https://example.org/a.zip", "md5": "0" * 32}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            FOLDER | {"download": {"url": "https://example.org/a.zip"}},
            "download: names neither or both of `sha256` and",
        ),
        (FOLDER | {"download": GIVEN | {"sha256": "0" * 64}}, "download: names neither or both of `sha256` and `md5`"),
        (FOLDER | {"download": {"md5": "0" * 32}}, "download.url: is missing; the config must give it"),
        (
            FOLDER | {"download": GIVEN | {"md5": "x"}},
            "download.md5: 'x' is not allowed; give the 32 hexadecimal digits",
        ),
        (
            FOLDER | {"download": GIVEN | {"url": "file:///etc/passwd"}},
            "is not a URL that begins with http:// or https",
        ),
        (
            FOLDER | {"download": GIVEN | {"url": "ftp://example.org/a"}},
            "is not a URL that begins with http:// or http",
        ),
        (FOLDER | {"download": GIVEN | {"url": "https:///a.zip"}}, "is not a URL that begins with http:// or https://"),
        (
            FOLDER | {"download": GIVEN | {"url": "http://a b/"}},
            "is not a URL that begins with http:// or https://; gi",
        ),
        (
            FOLDER | {"download": GIVEN | {"url": "http://h:99999/"}},
            "is not a URL that begins with http:// or https://",
        ),
        (FOLDER | {"download": GIVEN | {"url": "http://me:secret@h/"}}, "download.url: names a user; give a URL that"),
        (FOLDER | {"download": True}, "download: True is not allowed; give a mapping"),
        (
            {"source": "folder", "train": ["a"], "download": GIVEN},
            "download: is for one `path`; unpack what `train`, `va",
        ),
        (
            {"source": "csv", "path": "a.csv", "download": GIVEN},
            "path: 'a.csv' has no folder to unpack to; give one, such",
        ),
        (
            {"source": "torchvision", "dataset": "MNIST", "instead": FOLDER | {"download": GIVEN}},
            "instead.download: is not read; give the folder alone",
        ),
    ],
)
def test_downloads_are_checked_with_the_config(keys, said):
    from pydantic import TypeAdapter

    with pytest.raises(checks.ConfigError) as error:
        checks.check_overlaid(TypeAdapter(Dataset), [checks.Overlay("datasets.a", keys)])
    assert said in str(error.value)
