"""Pieces all sections are made of: headings, tables, lists of facts, figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from training.report.markup import Html, tag

NUMBER, WORDS, BAR, SHORT = "n", "words", "bar", "k"


def section(name: str, title: str, *children: object) -> Html:
    """A part of the page with its heading; ``name`` is what links in the page lead to."""
    return tag("section", tag("h2", title), list(children), id=name)


def note(*words: object) -> Html:
    """A remark that explains something."""
    return tag("p", list(words), class_="soft")


def table(
    head: Sequence[object],
    lines: Iterable[Sequence[object]],
    looks: Sequence[str | None] = (),
    *,
    caption: str = "",
) -> Html:
    """A table that can be scrolled sideways on a narrow screen.

    Args:
        head: Names of the columns.
        lines: The rows; the first cell of each names it.
        looks: For each column its class, such as ``NUMBER``.
        caption: What is in it.
    """
    classes = [*looks, *[None] * (len(head) - len(looks))]
    header = [tag("th", name, class_=look, scope="col") for name, look in zip(head, classes, strict=True)]
    body = [
        tag(
            "tr",
            [
                tag("th" if i == 0 else "td", cell, class_=look, scope="row" if i == 0 else None)
                for i, (cell, look) in enumerate(zip(line, classes, strict=True))
            ],
        )
        for line in lines
    ]
    whole = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", header)),
        tag("tbody", body),
    )
    return tag("div", whole, class_="wide")


def facts(pairs: Iterable[tuple[object, object]]) -> Html | None:
    """A list of names and what is known of them; those of which nothing is known are left out."""
    known = [(name, found) for name, found in pairs if found not in (None, "")]
    return tag("dl", [(tag("dt", name), tag("dd", found)) for name, found in known]) if known else None


def code(text: object) -> Html | None:
    """A text of machines, such as a digest; None without one."""
    return tag("code", text) if text not in (None, "") else None


def figure(title: str, drawn: object, about: str = "") -> Html:
    """A drawing with its title and one line about it."""
    return tag("figure", tag("figcaption", title, tag("small", about) if about else None), drawn)


def figures(drawn: Iterable[Html | None]) -> Html | None:
    """Drawings side by side where the page is wide enough."""
    there = [one for one in drawn if one is not None]
    return tag("div", there, class_="figures") if there else None


def passed(found: bool) -> Html:
    """Yes or no, told by sign, word and colour."""
    return tag("span", "✓ yes" if found else "✕ no", class_="good" if found else "bad")


def fold(title: str, *children: object) -> Html:
    """Something long that is opened when it is wanted."""
    return tag("details", tag("summary", title), list(children))
