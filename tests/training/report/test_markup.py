"""Text is escaped wherever it stands, and only what was built as markup is markup."""

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from tests.training.report.examples import Page
from training.report.markup import Html, clean, escape, tag, together


def test_text_is_escaped_and_elements_are_not():
    assert tag("p", "a < b", tag("b", "&")) == "<p>a &lt; b<b>&amp;</b></p>"
    assert tag("p", title='"x"') == '<p title="&quot;x&quot;"></p>'


def test_names_of_attributes_are_those_of_html():
    assert (
        tag("text", class_="a", text_anchor="end", x=1.5, y=None)
        == '<text class="a" text-anchor="end" x="1.5"></text>'
    )
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_a_coordinate_has_two_decimals_at_most():
    assert tag("line", x1=1 / 3, x2=2.0, y1=100.0) == '<line x1="0.33" x2="2" y1="100"></line>'


def test_nothing_is_left_out_and_lists_are_taken_apart():
    assert together([None, "a", ["b", (tag("i", "c"), None)], 0]) == "ab<i>c</i>0"


def test_control_and_direction_characters_do_not_reach_the_page():
    assert clean("a\x00b\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert clean("abcdef", 4) == "abc…"


@given(st.text())
def test_any_text_comes_back_as_it_was_cleaned(text):
    assert unescape(escape(text)) == clean(text)
    written = tag("p", text, title=text)
    assert isinstance(written, Html)
    found = Page(written)
    assert [name for name, _ in found.tags] == ["p"]
    assert found.tags[0][1] == {"title": clean(text)}
    assert "".join(found.text) == clean(text)
