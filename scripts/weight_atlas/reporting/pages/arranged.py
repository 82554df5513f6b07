"""How the exhibits of a section stand on a page: behind tabs, folded behind another one, or as a sentence."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from weight_atlas.reporting.pages.gather import Json
from weight_atlas.reporting.pages.markdown import DASH, column, escape

Family = list[Json]  # exhibits that stand behind tabs, or one


class Place(NamedTuple):
    """A family of exhibits, and those that are folded behind it."""

    family: Family
    behind: list[Family]


def families(exhibits: Iterable[Json]) -> list[Family]:
    """The exhibits in lists, in order: neighbours of one title that each have a tab together, any other alone."""
    found: list[Family] = []
    for exhibit in exhibits:
        if found and exhibit.get("tab") and found[-1][0].get("tab") and found[-1][0]["title"] == exhibit["title"]:
            found[-1].append(exhibit)
        else:
            found.append([exhibit])
    return found


def arranged(exhibits: Iterable[Json]) -> list[Place]:
    """The exhibits in families, in order; one whose `behind` names another family stands behind that, if it is there
    and stands behind none itself."""
    found = families(exhibits)
    hosts = {id(family): _host(family, found) for family in found}
    places = [Place(family, []) for family in found if hosts[id(family)] is None]
    for place in places:
        place.behind.extend(family for family in found if hosts[id(family)] is place.family)
    shown = {id(family) for place in places for family in (place.family, *place.behind)}
    return [*places, *(Place(family, []) for family in found if id(family) not in shown)]


def _host(family: Family, found: Sequence[Family]) -> Family | None:
    """The first other family of the name that this one is to stand behind."""
    behind = family[0].get("behind")
    others = (other for other in found if other is not family) if behind else ()
    return next((other for other in others if f"{other[0]['name']}-".startswith(f"{behind}-")), None)


def record(header: Sequence[object], row: Sequence[object]) -> Markup:
    """The only row of a table as a line: "**network** lenet1 · **layers** 3"; what is empty is left out."""
    cells = [(escape(name), column([value])[0][0]) for name, value in zip(header, row, strict=True)]
    return Markup(" · ").join(Markup(f"**{name}** {cell}") for name, cell in cells if cell != DASH)
