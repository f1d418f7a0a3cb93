"""The message of many jobs, written once, with placeholders."""

import pytest

from control.errors import UserError
from control.user_files import template

VALUES = {"plate": "P1", "well": "A01", "site": "3"}


def fill(message, values=None, name=""):
    values = VALUES if values is None else values
    made = template.read(message, list(values), name)
    return made.shared, made.group(values)


def test_without_a_group_it_is_the_values_themselves():
    assert fill({"input": "in"}) == ({"input": "in"}, VALUES)


def test_placeholders_are_filled_at_any_depth():
    message = {"group": {"m": "Plate={plate},Well={well}", "l": [{"k": "{site}"}, 5, None]}}
    assert fill(message)[1] == {"m": "Plate=P1,Well=A01", "l": [{"k": "3"}, 5, None]}


def test_a_shared_value_with_a_placeholder_becomes_the_jobs_own_and_names_stay_short():
    shared, group = fill({"out": "results/{plate}", "n": 1, "group": {"w": "{well}"}})
    assert shared == {"n": 1}
    assert group == {"w": "A01", "out": "results/P1", "name": "P1-A01-3"}


def test_a_group_that_names_its_jobs_is_left_to_it():
    assert fill({"out": "{plate}", "group": {"name": "{well}"}})[1]["name"] == "A01"
    assert fill({"group": {"m": "{plate}"}}, name="{well}x")[1] == {"m": "P1", "name": "A01x"}


def test_a_placeholder_alone_keeps_the_type_of_a_table():
    values = {"n": 7, "l": [1, 2]}
    group = {"a": "{n}", "b": "{l}", "c": "n={n}"}
    assert fill({"group": group}, values)[1] == {"a": 7, "b": [1, 2], "c": "n=7"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{site:02d}", "03"),
        ("s{site:>3}", "s  3"),
        ("{{{well}}}", "{A01}"),
        ("{{}}", "{}"),
        ('{{"w": "{well}"}}', '{"w": "A01"}'),
    ],
)
def test_formats_and_braces(text, filled):
    assert fill({"group": {"t": text}})[1] == {"t": filled}


def test_only_braces_are_no_placeholders():
    assert fill({"t": "{{x}}"})[0] == {"t": "{x}"}


def test_columns_may_have_any_name():
    values = {"Plate Name": "P1", "a.b": "x", "c:d": "y"}
    assert fill({"group": {"t": "{Plate Name}/{a.b}/{c:d}"}}, values)[1] == {"t": "P1/x/y"}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"out": "{plat}"}, "'{plat}', which is not a placeholder here.*Did you mean {plate}"),
        ({"group": {"a": ["{}"]}}, "'{}', which is not a placeholder"),
        ({"out": "a{b"}, "'{', which is not a placeholder"),
        ({"out": "{plate.__class__}"}, "not a placeholder"),
        ({"groups": []}, 'one "group"'),
        ({"group": "x"}, "not an object"),
    ],
)
def test_a_mistake_is_named_before_any_job_is_made(message, says):
    with pytest.raises(UserError, match=says):
        template.read(message, list(VALUES))


def test_a_format_that_does_not_fit_is_named():
    with pytest.raises(UserError, match="'02d' does not fit the value 'A01'"):
        fill({"group": {"t": "{well:02d}"}})
