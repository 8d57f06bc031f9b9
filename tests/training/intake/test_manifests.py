"""A manifest says clearly which files it means, or is refused in words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.intake.manifests import MAX_FILES, ManifestError, read

SHA = "ab" * 32


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ('{"files": [{"name": "a.csv"}]}', [{"name": "a.csv"}]),
        ('["a.csv", "month=1/b.csv"]', [{"name": "a.csv"}, {"name": "month=1/b.csv"}]),
        (
            f'{{"files": [{{"name": "a", "sha256": "{SHA}", "size": 0}}]}}',
            [{"name": "a", "sha256": SHA, "size": 0}],
        ),
        ('\ufeff["ä b.csv"]', [{"name": "ä b.csv"}]),
        ('{"files": ["a", {"name": "b"}]}', [{"name": "a"}, {"name": "b"}]),
    ],
)
def test_both_forms_are_read(text, files):
    assert read(text.encode()) == files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON (JSONDecodeError)"),
        ("\x80", "no list of files"),
        ("[" * 100_000, "no JSON (RecursionError)"),
        ("null", "no list of files"),
        ("[]", "no list of files"),
        ('{"files": []}', "no list of files"),
        ('{"files": ["a"], "more": 1}', "no list of files"),
        ('{"entries": [{"url": "s3://x"}]}', "no list of files"),
        ('[{"name": "a", "mandatory": true}]', "file 1: unknown key 'mandatory'"),
        ("[5]", "file 1: name: found 5, expected a path below the manifest's folder"),
        ('["a", "../b"]', "file 2: name: found '../b'"),
        ('["/a"]', "file 1: name: found '/a'"),
        ('["a//b"]', "file 1: name: found 'a//b'"),
        ('["_MANIFEST.json"]', "file 1: name: found '_MANIFEST.json'"),
        ('["a\\u0000"]', "file 1: name"),
        ('["a\\ud800"]', "file 1: name"),
        ('["a", "a"]', "'a' is listed 2 times"),
        ('[{"name": "a", "sha256": "AB"}]', "sha256: found 'AB', expected 64 hexadecimal digits"),
        ('[{"name": "a", "size": -1}]', "size: found -1, expected a number of bytes"),
        ('[{"name": "a", "size": true}]', "size: found True, expected a number of bytes"),
        (json.dumps([f"/{number}" for number in range(5)]), "; and 2 more;"),
        (json.dumps([str(number) for number in range(MAX_FILES + 1)]), "use several folders"),
    ],
)
def test_what_is_not_clear_is_refused_with_what_is_expected(text, words):
    data = b"\x80" if text == "\x80" else text.encode()
    with pytest.raises(ManifestError) as caught:
        read(data)
    message = str(caught.value)
    assert message.startswith("_MANIFEST.json: ")
    assert words in message or text == "\x80"
    assert len(message) < 600


def test_ten_thousand_files_with_digests_fit_when_only_names_repeat_and_are_refused_when_not():
    names = [f"part-{number:05}.parquet" for number in range(10_000)]
    assert len(read(json.dumps(names).encode())) == 10_000
    digests = [{"name": name, "sha256": f"{hash(name) ** 9 % 2**256:064x}"} for name in names]
    with pytest.raises(ManifestError, match="leave out sha256, or use several folders"):
        read(json.dumps(digests).encode())


@given(
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["files", "name", "sha256", "size"]), inner)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_manifest_crashes_the_reader(data):
    try:
        files = read(data)
    except ManifestError:
        return
    assert files
    assert all(set(file) <= {"name", "sha256", "size"} and file["name"] for file in files)
