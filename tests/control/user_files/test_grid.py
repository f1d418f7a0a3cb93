"""Ranges, rows and wells, and every combination of lists."""

import pytest

from control.errors import UserError
from control.user_files import grid


def test_combinations_are_all_and_the_last_list_varies_fastest():
    made = list(grid.combinations({"plate": ["P1", "P2"], "site": ["1", "2"]}))
    assert made == [
        {"plate": "P1", "site": "1"},
        {"plate": "P1", "site": "2"},
        {"plate": "P2", "site": "1"},
        {"plate": "P2", "site": "2"},
    ]


def test_combinations_of_nothing_are_one_without_values():
    assert list(grid.combinations({})) == [{}]


def test_a_million_combinations_are_made_one_at_a_time():
    many = grid.combinations({name: list(map(str, range(1000))) for name in "abc"})
    assert next(many) == {"a": "0", "b": "0", "c": "0"}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1-4", ["1", "2", "3", "4"]),
        ("1-3, 7 ,9-10", ["1", "2", "3", "7", "9", "10"]),
        ("08-11", ["08", "09", "10", "11"]),
        ("1-22,X,Y", [*map(str, range(1, 23)), "X", "Y"]),
        ("2,1,2", ["2", "1"]),
        ("sample-1", ["sample-1"]),
    ],
)
def test_numbers_may_be_ranges(text, numbers):
    assert grid.numbers(text) == numbers


def test_plain_values_are_taken_as_they_stand():
    assert grid.values("BR-1-9, 1-9") == ["BR-1-9", "1-9"]


def test_rows_go_from_a_to_z_and_on_with_aa():
    assert grid.rows("a-c,H") == ["A", "B", "C", "H"]
    assert grid.rows("Y-AB") == ["Y", "Z", "AA", "AB"]


@pytest.mark.parametrize(
    ("size", "first", "last"),
    [(6, "A01", "B03"), (24, "A01", "D06"), (96, "A01", "H12"), (384, "A01", "P24")],
)
def test_a_plate_has_all_its_wells(size, first, last):
    wells = grid.plate_wells(size)
    assert len(set(wells)) == size
    assert (wells[0], wells[-1]) == (first, last)


def test_a_plate_of_1536_wells_ends_in_row_af():
    wells = grid.plate_wells(1536, pad=False)
    assert len(set(wells)) == 1536
    assert wells[:2] == ["A1", "A2"]
    assert wells[25 * 48 : 27 * 48 : 48] == ["Z1", "AA1"]
    assert wells[-1] == "AF48"


@pytest.mark.parametrize(
    ("text", "pad", "wells"),
    [
        ("B3,C07", True, ["B03", "C07"]),
        ("B3,C07", False, ["B3", "C7"]),
        ("a1,A01", True, ["A01"]),
        ("B2-C4", True, ["B02", "B03", "B04", "C02", "C03", "C04"]),
        ("AF48", True, ["AF48"]),
        ("H9-H11", False, ["H9", "H10", "H11"]),
    ],
)
def test_wells_are_named_or_a_rectangle(text, pad, wells):
    assert grid.wells(text, pad=pad) == wells


def test_a_plate_without_its_edge():
    assert len(grid.wells("B2-G11", size=96)) == 60


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (lambda: grid.numbers(" , "), "has no value"),
        (lambda: grid.numbers("9-1"), "'9-1' is reversed"),
        (lambda: grid.rows("C-A"), "'C-A' is reversed"),
        (lambda: grid.rows("A-7"), "'A-7' is not a row"),
        (lambda: grid.wells("B11-G2"), "'B11-G2' is reversed"),
        (lambda: grid.wells("control"), "'control' is not a well"),
        (lambda: grid.wells("A0"), "'A0' is not a well"),
        (lambda: grid.wells("BA1"), "'BA1' is not a row"),
        (lambda: grid.wells("I1", size=96), "'I1' is not on a plate of 96 wells.*A1 to H12"),
        (lambda: grid.wells("A13", size=96), "'A13' is not on a plate of 96 wells"),
        (lambda: grid.plate_wells(100), "no layout for plates of 100"),
    ],
)
def test_a_mistake_is_named_with_what_was_written(how, says):
    with pytest.raises(UserError, match=says):
        how()
