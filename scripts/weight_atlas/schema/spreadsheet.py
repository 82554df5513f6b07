"""Text that a spreadsheet would run as a formula: neutralised in the tables that are passed on, restored by our reader.

An apostrophe goes before what would begin a formula: at the start of a text, and after what other programs may take for
the end of a cell (a semicolon, a tab, a line end). Numbers stay as they are. https://owasp.org/www-community/attacks/CSV_Injection
"""

import re

ENDS = ";\t\r\n"  # of a cell, for a program that expects other separators than our commas
SKIPPED = " \"'\u00a0\u200b\ufeff"  # what a spreadsheet may drop or take for a quotation mark before it looks
BEGINS = "-=+@\t\r\n" + "＝＋－＠" + "﹦﹢﹣﹫"  # a formula, and its full-width and small forms
_RISKY = re.compile(rf"(?:^|(?<=[{ENDS}]))(?=[{SKIPPED}]*[{BEGINS}])")
_NEUTRALISED = re.compile(rf"(?:^|(?<=[{ENDS}]))'(?=[{SKIPPED}]*[{BEGINS}])")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(inf|nan)")


def neutralise(text: str) -> str:
    """The text as it may stand in a CSV file that somebody opens in a spreadsheet; `restore` gives back this text."""
    return text if _NUMBER.fullmatch(text) else _RISKY.sub("'", text)


def restore(text: str) -> str:
    """The text that `neutralise` was given."""
    return _NEUTRALISED.sub("", text) if "'" in text else text
