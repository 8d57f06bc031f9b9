"""Builds HTML and SVG in which nothing is ever taken for markup that was not meant to be.

Every element is made by ``tag``; text that is not ``Html`` is escaped there, so no caller can forget it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_VOID = frozenset({"br", "hr", "meta", "col"})
# Not allowed in HTML (controls, surrogates, which cannot be encoded either), or able to turn the text after
# them around: https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_MOST_TEXT = 4_000


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def clean(text: object, most: int = _MOST_TEXT) -> str:
    """A text without control characters, cut to a length that cannot fill the page."""
    found = _UNWANTED.sub("\ufffd", str(text))
    return found if len(found) <= most else found[: most - 1] + "…"


def escape(text: object) -> Html:
    """A text as it is written between tags and in quoted attributes."""
    return Html(html.escape(clean(text), quote=True))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """One element.

    Args:
        name: Of the element.
        children: Elements, texts, or lists of these; None is left out.
        attributes: ``class_`` becomes ``class`` and ``stroke_width`` ``stroke-width``; None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{together(children)}</{name}>")


def together(children: Iterable[object]) -> Html:
    """Elements and texts one after the other."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, (list, tuple)):
            parts.append(together(child))
        elif child is not None:
            parts.append(escape(child))
    return Html("".join(parts))


def _value(value: object) -> str:
    if isinstance(value, float):  # a coordinate: a hundredth of a pixel is not seen
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(value)
