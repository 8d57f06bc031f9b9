import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from rich.console import Console

from upkeep import render

ROWS = [["flights", 1234, None], ["a", 5, True]]


def printed(out):
    render.show_table(out, ["model", "rows", "ok"], ROWS, right=["rows"])
    return out.file.getvalue()


def test_a_table_in_a_pipe_is_aligned_plain_text():
    assert printed(render.console(io.StringIO())) == (
        "MODEL     ROWS  OK\nflights  1,234  -\na            5  yes\n"
    )


def test_long_cells_are_never_cut_in_a_pipe():
    out = render.console(io.StringIO())
    render.show_table(out, ["reason"], [["x" * 500]])
    assert "x" * 500 in out.file.getvalue()


def test_a_table_on_a_terminal_is_styled():
    out = Console(file=io.StringIO(), force_terminal=True, width=80)
    assert "\033[1m" in printed(out)


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = render.console(Terminal())
    out.print(render.styled("released"))
    assert "\033[3" not in out.file.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.42, "0.4 s"),
        (11.4, "11 s"),
        (59.7, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (None, "-"),
    ],
)
def test_durations_are_for_people(value, shown):
    assert render.seconds(value) == shown


@pytest.mark.parametrize(("count", "shown"), [(12, "12 B"), (2_600_000, "2.6 MB"), (3e15, "3000.0 TB")])
def test_sizes_are_for_people(count, shown):
    assert render.size(int(count)) == shown


def test_times_are_utc():
    here = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=1)))
    assert render.text(here) == "2026-01-01 00:00:00"
    assert render.iso(here) == "2026-01-01T00:00:00.000Z"


def test_json_is_one_document_with_times_as_text(capsys):
    render.show_json({"at": datetime(2026, 1, 1, tzinfo=UTC), "name": "ü"})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-01T00:00:00.000Z", "name": "ü"}
