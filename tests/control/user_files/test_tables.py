"""CSV, TSV and JSON-lines files of jobs, and every way in which they are wrong."""

import pytest

from control.errors import UserError
from control.user_files import tables


def read(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    return list(tables.read(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "plate,well\nP1,A01\nP1,A02\n"),
        ("t.CSV", "plate,well\r\nP1,A01\r\nP1,A02\r\n"),
        ("t.csv", "\ufeffplate,well\nP1,A01\nP1,A02"),
        ("t.csv", "plate;well\nP1;A01\nP1;A02\n"),
        ("t.tsv", "plate\twell\nP1\tA01\nP1\tA02\n"),
        ("t.jsonl", '{"plate": "P1", "well": "A01"}\n{"plate": "P1", "well": "A02"}\n'),
    ],
)
def test_each_row_is_a_group(tmp_path, name, content):
    assert read(tmp_path / name, content) == [
        ("line 2" if "csv" in name.lower() or "tsv" in name else "line 1", FIRST),
        ("line 3" if "csv" in name.lower() or "tsv" in name else "line 2", SECOND),
    ]


FIRST, SECOND = {"plate": "P1", "well": "A01"}, {"plate": "P1", "well": "A02"}


def test_quotes_keep_separators_and_blank_lines_are_skipped(tmp_path):
    rows = read(tmp_path / "t.csv", 'a,b\n"x, y",1\n\n,\nz,2\n')
    assert rows == [("line 2", {"a": "x, y", "b": "1"}), ("line 5", {"a": "z", "b": "2"})]


def test_a_json_line_may_hold_any_values(tmp_path):
    assert read(tmp_path / "t.jsonl", '{"a": [1, {"b": null}]}\n\n') == [
        ("line 1", {"a": [1, {"b": None}]})
    ]


def test_a_value_may_be_as_long_as_a_message(tmp_path):
    long = "x" * 500_000
    assert read(tmp_path / "t.csv", f"a,b\n{long},1\n")[0][1]["a"] == long


def test_a_table_is_read_as_a_stream(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")
    rows = tables.read(path)
    assert next(rows)[1] == {"a": "1", "b": "2"}
    with pytest.raises(UserError, match="line 3"):
        next(rows)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "", "line 1"),
        ("t.csv", "a,b\n", "no rows"),
        ("t.csv", "a,a\n1,2\n", "line 1"),
        ("t.csv", "a,\n1,2\n", "line 1"),
        ("t.csv", "a,b\n1,2\n1\n", "line 3: 1 value for 2 columns"),
        ("t.csv", "a,b\n1,2,3\n", "line 2: 3 values for 2 columns"),
        ("t.jsonl", "\n", "no rows"),
        ("t.jsonl", '{"a": 1}\n{"a": \n', "line 2"),
        ("t.jsonl", "[1]\n", "line 1: .* is not an object"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path, name, content, says):
    with pytest.raises(UserError, match=says) as error:
        read(tmp_path / name, content)
    assert str(tmp_path / name) in error.value.what


def test_another_encoding_is_explained(tmp_path):
    with pytest.raises(UserError, match="UTF-8"):
        read(tmp_path / "t.csv", "a,b\nü,1\n", "latin-1")


def test_a_missing_table_is_explained(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        list(tables.read(tmp_path / "t.csv"))
