"""A whole job file looked over before anything of it is sent."""

import json

import pytest

from control.errors import UserError
from control.user_files import job_file


@pytest.fixture
def look(tmp_path):
    def look(groups, heard=lambda jobs: None):
        path = tmp_path / "job.json"
        path.write_text(json.dumps({"groups": groups}))
        return job_file.survey(job_file.read(path), heard)

    return look


def test_jobs_are_counted_and_reported_by_the_thousand(look):
    heard = []
    assert look([{"a": i} for i in range(2500)], heard.append) == job_file.Survey(2500)
    assert heard == [1000, 1000]


def test_the_same_job_twice_is_reported_not_merged_silently(look):
    found = look([{"a": 1}, {"a": 2}, {"a": 1}, {"a": 1}])
    assert (found.count, found.repeated) == (4, 2)
    assert found.first_repeated == "group 1 and group 3"
    assert len(found.repeated_ids) == 1


def test_the_same_job_with_its_values_in_another_order_is_the_same_job(look):
    found = look([{"a": 1, "b": 2}, {"b": 2, "a": 1}])
    assert (found.repeated, found.first_repeated) == (1, "group 1 and group 2")


@pytest.mark.parametrize(
    "groups",
    [
        [{"a": "x/y"}, {"a": "z"}, {"a": "x:y"}],
        [{"a": 1}, {"a": 2}, {"a": "1"}],
        [{"name": "n", "a": 1}, {"name": "m"}, {"name": "n", "a": 2}],
        [{"name": "n", "a": 1}, {"name": "n", "a": 1}, {"name": "n", "a": 2}],
    ],
)
def test_two_different_jobs_of_one_name_are_refused(look, groups):
    with pytest.raises(
        UserError, match="line 1, group 1 and group 3 are different jobs with the same name"
    ):
        look(groups)


def test_a_mistake_in_the_last_group_is_found(look):
    with pytest.raises(UserError, match="group 3"):
        look([{"a": 1}, {"a": 2}, {}])
