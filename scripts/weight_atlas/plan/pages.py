"""The pages of a report: their names, and the chapters (studies, data) whose figures and answers each shows."""

from collections.abc import Sequence

SUMMARY, DATA, RUNS, METHODS = "report", "data", "runs", "methods"
STUDY = "study-"  # before the name of a study, which may be that of another page


def is_page(name: str) -> bool:
    """Whether a page of some report has this name."""
    return name in (SUMMARY, DATA, RUNS, METHODS) or name.startswith(STUDY)


def pages(asked: Sequence[str], page: str) -> dict[str, list[str]]:
    """The pages of the studies that are asked for.

    Parameters
    ----------
    asked : names of studies
    page : "several", or "single" for one page that shows all

    Returns
    -------
    dict of str to list of str
        The chapters of each page by its name, in the order of navigation.
    """
    whole = [DATA, *asked]
    if page == "single":
        return {SUMMARY: whole}
    studies = {STUDY + name: [name] for name in asked}
    return {SUMMARY: whole, **studies, DATA: [DATA], RUNS: [], METHODS: []}
