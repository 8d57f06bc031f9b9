"""The page tells what was found, escapes what it repeats, and needs nothing from outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

from inference.preflight import report, shadow
from inference.preflight.measure import Latency
from inference.preflight.outcome import Outcome
from inference.preflight.recorded import Recorded
from inference.preflight.rows import split
from inference.preflight.settings import Side
from tests.inference.preflight.fakes import predictions
from tests.inference.preflight.test_result import SETTINGS

COMPARED = replace(SETTINGS, champion=Side(name="1.0.0", environment={}))


def page(outcome: Outcome) -> str:
    return report.render(outcome.to_dict(COMPARED))


def compared(labels: bool = True) -> Outcome:
    request = Recorded(b'{"instances": [{"carrier": "<b>UA</b>", "size": 2}, {"carrier": null, "size": 3}]}')
    old, new = predictions(0.2, 0.9, labels=labels), predictions(0.7, 0.8, labels=labels)
    found = shadow.compare(shadow.pairs([split(request, ())], [old], [new]))
    return Outcome(passed=True, reason="fine", latency=Latency(100, 1.0, 2.5), shadow=found, requests=1)


class Tags(HTMLParser):
    """The tags left open at the end, and all attributes that lead somewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_outside() -> None:
    text = page(compared())
    tags = Tags(text)
    assert tags.open == []
    assert tags.links == []
    assert "http" not in text
    assert "url(" not in text


def test_the_chart_is_a_drawing_of_the_differences() -> None:
    drawing = re.search(r"<svg.*?</svg>", page(compared()), re.DOTALL)
    assert drawing is not None
    root = ET.fromstring(drawing[0])
    assert root.findtext("title") == "Score of the new version minus score now"
    assert "+0.5" in root.findtext("desc", "")
    told = [rect.findtext("title", "") for rect in root.findall("rect")]
    assert len(told) == 2
    assert all("50.0 %" in words for words in told)


def test_every_class_of_the_chart_has_a_look() -> None:
    text = page(compared())
    style = text[text.index("<style>") : text.index("</style>")]
    drawing = text[text.index("<svg") : text.index("</svg>")]
    for name in re.findall(r'class="([\w ]+)"', drawing):
        assert any(f".{part}" in style for part in name.split()) or name in ("label", "tick"), name


def test_labels_scores_and_the_rows_that_change_most_are_shown() -> None:
    text = page(compared())
    assert '<td>Labels that change</td><td class="n">1 (50.0 %)</td>' in text
    assert "What would change from 1.0.0 to 1.1.0" in text
    assert "<th>carrier</th><th>size</th>" in text
    cells = re.findall(r'<td class="n">([^<]*)</td>', text[text.index("<th>carrier</th>") :])
    assert [float(cell) for cell in cells[:5]] == [0.5, 0.2, 0.7, 0.0, 1.0]


def test_values_of_requests_are_no_markup() -> None:
    assert "&lt;b&gt;UA&lt;/b&gt;" in page(compared())
    assert "<b>UA" not in page(compared())


def test_a_regression_has_no_labels() -> None:
    text = page(compared(labels=False))
    assert "Labels that change" not in text
    assert "label now" not in text


def test_equal_answers_are_drawn_too() -> None:
    same = shadow.compare(shadow.pairs([[]], [predictions(0.2)], [predictions(0.2)]))
    text = page(Outcome(passed=True, shadow=same))
    assert "<svg" in text
    assert "No row is answered otherwise." in text


def test_a_refusal_shows_its_reason_and_the_last_words_of_the_server() -> None:
    text = page(Outcome(reason="it <ended>", log=["line & one", "line two"]))
    assert '<div class="verdict bad"><p><b>Refused.</b> it &lt;ended&gt;</p></div>' in text
    assert "<pre>line &amp; one\nline two</pre>" in text
    assert "Nothing was compared." in text
