import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.deployer import paths
from sandbox.deployer.values import (
    UNKNOWN,
    Archive,
    Asset,
    Reference,
    Secret,
    from_json,
    from_struct,
    masked,
    plain,
    to_json,
    to_struct,
)

texts = st.text(max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), texts, st.builds(Secret, texts))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_values_survive_the_checkpoint_and_the_wire(properties: dict) -> None:
    assert from_json(json.loads(json.dumps(to_json(properties)))) == properties
    assert from_struct(to_struct(properties)) == properties


def test_unknowns_and_references_have_their_protocol_form() -> None:
    sent = to_struct({"a": UNKNOWN, "b": Reference("urn:x", "id")})
    assert sent["a"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    received = from_struct(sent)
    assert received["a"] is UNKNOWN
    assert received["b"] == Reference("urn:x", "id")
    assert plain(received["b"]) == "id"


def test_secrets_are_masked_wherever_they_are() -> None:
    assert masked({"a": [Secret("x"), {"b": Secret({"c": 1})}]}) == {"a": ["[secret]", {"b": "[secret]"}]}


def test_a_zip_depends_on_names_and_content_alone(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "b.py").write_text("b")
    (folder / "a.py").write_text("a")
    first = Archive.of_path(str(folder)).zipped()
    os.utime(folder / "a.py", (1, 1))
    (folder / "b.py").chmod(0o600)
    assert Archive.of_path(str(folder)).zipped() == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["a.py", "b.py"]


def test_archives_of_the_same_files_are_equal_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("1")
    from_folder = Archive.of_path(str(tmp_path))
    assert from_folder == Archive.of_assets({"x.py": Asset.of_text("1")})
    assert from_folder != Archive.of_assets({"x.py": Asset.of_text("2")})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"nowhere\.txt"):
        Asset.of_path("nowhere.txt")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ('tags["a.b"]', ("tags", "a.b")),
        ("*", ("*",)),
        ("rules[*].prefix", ("rules", "*", "prefix")),
    ],
)
def test_a_property_path_is_read_and_shown(text: str, parsed: tuple) -> None:
    assert paths.parse(text) == parsed


def test_ignored_paths_keep_the_old_value_inside_lists_and_mappings() -> None:
    old = {"tags": {"a": "1", "gone": "x"}, "rules": [{"p": "old", "q": 1}], "n": 1}
    new = {"tags": {"a": "2"}, "rules": [{"p": "new", "q": 2}], "n": 2, "added": True}
    kept = paths.keep_old(new, old, ["tags.a", "tags.gone", "rules[*].p", "added"])
    assert kept == {"tags": {"a": "1", "gone": "x"}, "rules": [{"p": "old", "q": 2}], "n": 2}
