"""Bundles that were made to do harm: each is refused in one line, and nothing of it is unpacked or run."""

import hashlib
import os
import re
import stat
import struct
import zipfile

import pytest

from tests.unit import results
from tests.unit.test_bundle import list_again, made, pack, run, unpacked  # noqa: F401 (fixtures)
from weight_atlas.export import active, bundle, check, ro_crate

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'


def said(folder, tmp_path, extra=()):
    """What is said of a folder as a bundle, whose manifest lists all, with more (ZipInfo or name, content)."""
    list_again(folder)
    with open(folder / ro_crate.MANIFEST, "a", encoding="utf-8") as file:
        for info, content in extra:
            name = info if isinstance(info, str) else info.filename
            file.write(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    return check.first_problem(pack(folder, tmp_path / "x.zip", extra))


def member(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = 3
    return info


def alter(path, name, local=True, **fields):
    """Write other values into the headers of a member: that of the list, and its own."""
    places = {"flags": ("H", 6, 8), "method": ("H", 8, 10), "packed": ("I", 18, 20), "size": ("I", 22, 24)}
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        own = archive.getinfo(name).header_offset
    listed = next(
        at.start()
        for at in re.finditer(rb"PK\x01\x02", content)
        if content[at.start() + 46 :].startswith(name.encode()) and content[at.start() + 28] == len(name)
    )
    for field, value in fields.items():
        kind, in_own, in_list = places[field]
        struct.pack_into(f"<{kind}", content, listed + in_list, value)
        if local:
            struct.pack_into(f"<{kind}", content, own + in_own, value)
    path.write_bytes(content)


MEMBERS = {
    "a link": (member("x.csv", stat.S_IFLNK | 0o777), "x.csv is a link"),
    "a device": (member("x.csv", stat.S_IFCHR | 0o666), "x.csv is no file"),
    "a pipe": (member("x.csv", stat.S_IFIFO | 0o666), "x.csv is no file"),
    "above": ("../x.csv", "../x.csv is outside the bundle"),
    "far above": ("a/../../x.csv", "a/../../x.csv is outside the bundle"),
    "absolute": ("/x.csv", "/x.csv is outside the bundle"),
    "a backslash": ("a\\x.csv", "a\\x.csv has a backslash in its name"),
    "backslashes above": ("..\\..\\x.csv", "..\\..\\x.csv has a backslash in its name"),
    "a drive": ("C:/x.csv", "C:/x.csv begins with a drive letter"),
    "a drive's folder": ("c:x.csv", "c:x.csv begins with a drive letter"),
    "a stream": ("cells.csv:x.csv", "cells.csv:x.csv has a name that is none on some systems"),
    "an empty folder name": ("a//x.csv", "a//x.csv has a name that is none on some systems"),
    "a dot": ("./x.csv", "./x.csv has a name that is none on some systems"),
    "a folder": ("empty/", "empty/ has a name that is none on some systems"),
    "a line break": ("a\nb.csv", "a\\nb.csv has a name that is none on some systems"),
    "a turned text": ("\u202evsc.x", "\\u202evsc.x has a name that is none on some systems"),
    "another case": ("Cells.csv", "cells.csv and Cells.csv differ in case alone, and are one file on some systems"),
    "a file as a folder": ("cells.csv/x.csv", "cells.csv is a file and a folder"),
    "a program": ("x.exe", "x.exe is of a kind that no bundle has"),
    "without a suffix": ("x", "x is of a kind that no bundle has"),
    "another page": ("x.html", "x.html is of a kind that no bundle has"),
    "another script": ("x.js", "x.js is of a kind that no bundle has"),
    "a notebook": ("x.ipynb", "x.ipynb is of a kind that no bundle has"),
    "a pickle": ("x.pkl", "x.pkl is of a kind that no bundle has"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_a_member_that_no_bundle_has(unpacked, tmp_path, case):  # noqa: F811
    info, line = MEMBERS[case]
    assert said(unpacked, tmp_path, [(info, b"x")]) == line


def test_names_that_are_one_where_accents_are_composed(unpacked, tmp_path):  # noqa: F811
    extra = [("\u00e9.csv", b"x"), ("e\u0301.csv", b"y")]
    assert "differ in case alone" in said(unpacked, tmp_path, extra)


HEADERS = {
    "encrypted": ({"flags": 1}, "cells.csv is encrypted"),
    "encrypted strongly": ({"flags": 0x41}, "cells.csv is encrypted"),
    "no size": ({"flags": 8}, "cells.csv does not declare its size"),
    "another method": ({"method": 14}, "cells.csv is compressed by method 14; allowed is Deflate"),
    "a bomb by what it says": ({"size": 2**32 - 2}, "it unpacks to 4,29"),
    "larger than it says": ({"size": 5}, "the archive is damaged (cells.csv is larger than it declares)"),
    "smaller than it says": ({"size": 10**6}, "the archive is damaged (cells.csv is smaller than it declares)"),
    "over others": ({"packed": 10**9}, "its files overlap, as those of a bundle do not"),
    "two sizes": (
        {"size": 5, "local": False},
        "cells.csv has a header that says something else than the archive's list",
    ),
    "two methods": (
        {"method": 0, "local": False},
        "cells.csv has a header that says something else than the archive's list",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_lie(made, tmp_path, case):  # noqa: F811
    path = tmp_path / "x.zip"
    path.write_bytes(made[1].read_bytes())
    alter(path, "cells.csv", **HEADERS[case][0])
    assert check.first_problem(path).startswith(HEADERS[case][1])


def test_a_second_name_in_an_extra_field(unpacked, tmp_path):  # noqa: F811
    info = zipfile.ZipInfo("x.csv")
    info.extra = struct.pack("<HHBI", 0x7075, 11, 1, 0) + b"../x.x"
    assert said(unpacked, tmp_path, [(info, b"x")]) == "x.csv has an extra field that no bundle has (0x7075)"


def test_more_than_may_be_unpacked(made, monkeypatch):  # noqa: F811
    with monkeypatch.context() as limits:
        limits.setattr(check, "MOST_UNPACKED", 10_000)
        assert check.first_problem(made[1]).endswith("; allowed are 10,000")
    with monkeypatch.context() as limits:
        limits.setattr(check, "MOST_MEMBERS", 5)
        assert re.fullmatch(r"it has \d\d files; allowed are 5", check.first_problem(made[1]))
    monkeypatch.setattr(check, "MOST_PAGE", 30)
    assert re.fullmatch(r"\S+ has [\d,]+ bytes; allowed are 30", check.first_problem(made[1]))


def test_a_member_before_the_archive(made, tmp_path):  # noqa: F811
    content = bytearray(made[1].read_bytes())
    place = content.rfind(b"PK\5\6") + 16
    struct.pack_into("<I", content, place, struct.unpack_from("<I", content, place)[0] + 1000)
    (tmp_path / "x.zip").write_bytes(content)
    assert check.first_problem(tmp_path / "x.zip") == "CITATION.cff begins before the archive does"


@pytest.mark.parametrize("way", ["a long list", "a list of the large kind"])
def test_a_list_that_would_fill_the_memory_is_not_read(made, tmp_path, monkeypatch, way):  # noqa: F811
    content = made[1].read_bytes()
    at = len(content) - 22
    if way == "a long list":
        content = content[: at + 12] + struct.pack("<I", 2**31) + content[at + 16 :]
    else:
        content = content[:at] + b"PK\6\7" + bytes(16) + content[at:]
    (tmp_path / "x.zip").write_bytes(content)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert check.first_problem(tmp_path / "x.zip") == (
        "its list of files has more than the 16,777,216 bytes that are read"
    )


MANIFESTS = {
    "empty": (b"", "CITATION.cff is not listed in MANIFEST.sha256"),
    "no text": (b"\xff\xfe\x00", "MANIFEST.sha256 has a line that is not in sha256sum's format: "),
    "JSON": (b"{}\n", "MANIFEST.sha256 has a line that is not in sha256sum's format: '{}'"),
    "huge": (b"\n" * (2**24 + 1), "MANIFEST.sha256 has 16,777,217 bytes; allowed are 16,777,216"),
    "two digests": (
        f"{'0' * 64}  cells.csv\n{'1' * 64}  cells.csv\n".encode(),
        "MANIFEST.sha256 lists cells.csv twice",
    ),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_is_none(unpacked, tmp_path, case):  # noqa: F811
    (unpacked / ro_crate.MANIFEST).write_bytes(MANIFESTS[case][0])
    assert check.first_problem(pack(unpacked, tmp_path / "x.zip")).startswith(MANIFESTS[case][1])


CARDS = {
    "a script": ("<script>alert(1)</script>", "has markup that no card has: '<script'"),
    "an image": ('x <img src="x" onerror="alert(1)">', "has markup that no card has: '<img'"),
    "a comment": ("<!-- x -->", "has markup that no card has: '<!--'"),
    "a link that runs something": ("[x](javascript:alert(1))", "has markup that no card has: '](javascript:alert(1'"),
    "a data link": ("![x]( data:text/html,x)", "has markup that no card has: ']( data:text/html,x'"),
    "behind a block of code": ("```yaml\nx\n```\n<b>", "has markup that no card has: '<b'"),
    "in a block without an end": ("```yaml\n<b>", "has markup that no card has: '<b'"),
    "a block of code": ("```yaml\n<b>\n```\n1 < 2, \\<b> and [x](cards/y.md) or [z](https://a.org/z)", None),
}


@pytest.mark.parametrize("case", CARDS)
def test_a_card_that_runs_something(unpacked, tmp_path, case):  # noqa: F811
    text, line = CARDS[case]
    (unpacked / "networks.md").write_text(text)
    assert said(unpacked, tmp_path) == (line and f"networks.md {line}")


def test_a_snakefile_that_is_another(unpacked, tmp_path):  # noqa: F811
    with open(unpacked / active.SNAKEFILE, "a") as file:
        file.write("print(1)\n")
    line = "workflow/Snakefile is not this version's own script or filter"
    assert said(unpacked, tmp_path) == line
    (unpacked / active.SNAKEFILE).rename(unpacked / "Snakefile")
    assert said(unpacked, tmp_path) == "Snakefile is of a kind that no bundle has"


PAGES = {
    "a script": ("<script>alert(1)</script>", "has a script that is not this version's own: 'alert(1)'"),
    "a script from elsewhere": (
        '<script src="https://a.org/x.js"></script>',
        "has a tag that no report has: <script>",
    ),
    "a script in capitals": ("<SCRIPT>alert(1)</SCRIPT>", "has markup that no report has: '<SCRIPT"),
    "a script without an end": ("<script>alert(1)", "has a tag that no report has: <script>"),
    "a handler": ('<img src="a.png" onerror="alert(1)">', "has an attribute that runs something: <img onerror='alert"),
    "a handler without quotes": ("<img src=x onerror=alert(1)>", "has markup that no report has: '<img src=x"),
    "a handler after a slash": ('<p/onclick="x">', "has markup that no report has: '<p/"),
    "a handler in capitals": ('<p ONCLICK="x">', "has an attribute that runs something: <p onclick='x'>"),
    "a frame": ('<iframe src="https://a.org"></iframe>', "has a tag that no report has: <iframe>"),
    "a frame of text": ('<p srcdoc="x">', "has an attribute that runs something: <p srcdoc='x'>"),
    "an object": ('<object data="x.svg"></object>', "has a tag that no report has: <object>"),
    "an embedded file": ('<embed src="x.svg">', "has a tag that no report has: <embed>"),
    "a form": ('<form action="https://a.org"></form>', "has a tag that no report has: <form>"),
    "a drawing": ("<svg></svg>", "has a tag that no report has: <svg>"),
    "another base": ('<base href="https://a.org">', "has a tag that no report has: <base>"),
    "another page after a while": (
        '<meta http-equiv="refresh" content="0;url=https://a.org">',
        "has an attribute that runs something: <meta http-equiv='refresh'>",
    ),
    "a link that runs": ('<a href="javascript:alert(1)">', "has a link that runs something: <a href='javascript:"),
    "one with blanks": ('<a href=" java\tscript:alert(1)">', "has a link that runs something: <a href="),
    "one in capitals": ('<a href="JAVASCRIPT:x">', "has a link that runs something: <a href='JAVASCRIPT:x'>"),
    "one in references": (
        '<a href="&#106;avascript&colon;x">',
        "has a link that runs something: <a href='javascript:x'",
    ),
    "an older one": ('<a href="vbscript:x">', "has a link that runs something: <a href='vbscript:x'>"),
    "a page in a link": ('<a href="data:text/html,x">', "has a link that runs something: <a href='data:text/html,x'>"),
    "a drawing in a link": ('<a href="data:image/svg+xml,x">', "has a link that runs something: <a href='data:image"),
    "a comment": ("<!-- <p> -->", "has markup that no report has: '<!--"),
    "an instruction": ("<?php x ?>", "has markup that no report has: '<?php"),
    "a section of characters": ("<![CDATA[x]]>", "has markup that no report has: '<![CDATA["),
    "a hidden tag": ("<style></style><math><style><img></style>", "has a tag that no report has: <style>"),
    "a text field": ('<textarea><a title="</textarea><img>">', "has a tag that no report has: <textarea>"),
    "another encoding": ('<meta charset="utf-7">', "says that it is written in 'utf-7', not in UTF-8"),
    "no text": (b"\xff", "is no UTF-8 text"),
    "an escape": ("\x1b(J", "has the control character '\\x1b'"),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_page_that_runs_something(unpacked, tmp_path, case):  # noqa: F811
    text, line = PAGES[case]
    content = text if isinstance(text, bytes) else text.encode()
    (unpacked / "report.html").write_bytes(b"<!DOCTYPE html><p>" + content)
    assert said(unpacked, tmp_path).startswith(f"report.html {line}")


def test_a_page_that_is_no_page(unpacked, tmp_path):  # noqa: F811
    (unpacked / "report.html").write_text("<p>x</p>")
    assert said(unpacked, tmp_path) == "report.html does not begin with <!DOCTYPE html>"


FIGURES = {
    "a script": ("<script>alert(1)</script>", "has the element <script>, which no figure has"),
    "a script by a prefix": (
        '<x:script xmlns:x="http://www.w3.org/2000/svg">x</x:script>',
        "has the element <script>, which no figure has",
    ),
    "a script of a page": ('<script xmlns="http://www.w3.org/1999/xhtml"/>', "has the element <script>"),
    "a page": ("<foreignObject/>", "has the element <foreignObject>, which no figure has"),
    "an image of a page": ('<p xmlns="http://www.w3.org/1999/xhtml"/>', "has the element <p>, which no figure has"),
    "a handler": ('<path onload="x"/>', "has the attribute onload='x', which no figure has"),
    "a link": ('<a href="javascript:x"/>', "has the element <a>, which no figure has"),
    "a link elsewhere": ('<use href="https://a.org/x.svg#x"/>', "has the attribute href='https://a.org/x.svg#x'"),
    "an older link": ('<image xlink:href="data:image/svg+xml,x"/>', "has the attribute href='data:image/svg+xml,x'"),
    "a change by time": ('<set attributeName="href" to="javascript:x"/>', "has the element <set>"),
    "no end": ("<g>", "is no well-formed SVG (mismatched tag"),
}


@pytest.mark.parametrize("case", FIGURES)
def test_a_figure_that_runs_something(unpacked, tmp_path, case):  # noqa: F811
    text, line = FIGURES[case]
    (unpacked / "figures/first/lines.svg").write_text(SVG.format(text))
    assert said(unpacked, tmp_path).startswith(f"figures/first/lines.svg {line}")


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ('<?xml-stylesheet href="x.xsl" type="text/xsl"?>', "has the instruction <?xml-stylesheet?>"),
        ('<!DOCTYPE svg [<!ENTITY x "<script/>">]>', "has the entity 'x', which no figure has"),
    ],
)
def test_a_figure_with_another_head(unpacked, tmp_path, head, line):  # noqa: F811
    (unpacked / "figures/first/lines.svg").write_text(head + SVG.format(""))
    assert said(unpacked, tmp_path).startswith(f"figures/first/lines.svg {line}")


DOCUMENTS = {
    "code": ("---\ntitle: x\n---\n```{python}\nimport os\n```\n", "has something that Quarto would run: '```{python}'"),
    "code in a quote": ("> ~~~ { r, echo=FALSE}\n", "has something that Quarto would run: '> ~~~ { r"),
    "a file": ("{{< include /etc/passwd >}}\n", "has something that Quarto would run: '{{< include"),
    "a filter": ("---\nfilters: [x.lua]\n---\n", "has other filters than ours in its header: ['x.lua']"),
    "an engine": ("---\nengine: knitr\n---\n", "has a key in its header that no report has: 'engine'"),
    "another format": ("---\nformat: {html: {include-in-header: x}}\n---\n", "has another format in its header"),
    "no header": ("---\n- a\n---\n", "has a header that is no mapping"),
    "a broken header": ("---\n{\n---\n", "has a header that is no YAML"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_source_that_runs_something(unpacked, tmp_path, case):  # noqa: F811
    text, line = DOCUMENTS[case]
    (unpacked / "report.qmd").write_text(text)
    assert said(unpacked, tmp_path).startswith(f"report.qmd {line}")


@pytest.mark.parametrize("name", active.OWN)
def test_our_own_scripts_and_filters_are_known_by_their_digests(unpacked, tmp_path, name):  # noqa: F811
    assert said(unpacked, tmp_path) is None
    with open(unpacked / name, "ab") as file:
        file.write(b" ")
    assert said(unpacked, tmp_path) == f"{name} is not this version's own script or filter"


def test_what_is_no_archive(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    assert check.first_problem(tmp_path / "pipe.zip") == "is no file"
    done = run("--check", tmp_path / "pipe.zip")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_page_by_another_renderer_is_rendered_again_without_its_scripts(tmp_path):
    folder = results.make(tmp_path / "work")
    page = folder / "report/report.html"
    page.write_text("<!DOCTYPE html><script>window.quarto = 1;</script><p>by Quarto")
    bundle.write(folder, tmp_path / "x.zip", "abc", "9.0")
    assert check.first_problem(tmp_path / "x.zip") is None
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        text = archive.read("report.html").decode()
    assert "<h1>x</h1>" in text and text.count("<script>") == 3 and "quarto = 1" not in text
