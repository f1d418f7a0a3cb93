"""Job files: read, refused with file, line and group, and written."""

import json

import pytest

from control.errors import UserError
from control.user_files import job_file


@pytest.fixture
def write(tmp_path):
    def write(content, name="job.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def bodies(path):
    return [json.loads(job.body) for job in job_file.read(path).jobs()]


def test_each_group_is_a_job_with_the_shared_values_and_without_comments(write):
    path = write(
        {
            "_comment1": "x",
            "input": "in",
            "groups": [{"a": 1, "my_comment": "x"}, {"a": 2}],
        }
    )
    assert bodies(path) == [
        {"input": "in", "group": {"a": 1}},
        {"input": "in", "group": {"a": 2}},
    ]
    assert [job.where for job in job_file.read(path).jobs()] == ["group 1", "group 2"]


def test_groups_may_be_a_table_next_to_the_job_file(write):
    write("a,b_comment\n1,x\n2,y\n", "t.csv")
    path = write({"input": "in", "groups": "t.csv"})
    file = job_file.read(path)
    assert bodies(path) == [
        {"input": "in", "group": {"a": "1"}},
        {"input": "in", "group": {"a": "2"}},
    ]
    assert file.groups_path == path.parent / "t.csv"
    assert len(list(file.jobs())) == len(list(file.jobs())) == 2


def test_text_in_all_scripts_stays_as_it_is(write):
    path = write('\ufeff{"größe": "日本", "groups": [{"a": "\\u00fc\\ud83d\\ude00\\u0000"}]}')
    (job,) = job_file.read(path).jobs()
    assert json.loads(job.body) == {"größe": "日本", "group": {"a": "ü😀\0"}}
    assert "日本" in job.body and "😀" in job.body


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ('{"a": 1,\n"groups": [{"a": 1}\n', "line 3"),
        ("[1]", "is a list"),
        ("{}", 'no "groups"'),
        ({"groups": []}, 'no "groups"'),
        ({"groups": {"a": 1}}, 'no "groups"'),
        ({"group": {"a": 1}}, 'has "group"'),
        ({"groups": "t.txt"}, "is not a table"),
        ({"groups": "t.csv"}, "there is no file"),
    ],
)
def test_a_job_file_without_jobs_is_refused(write, content, says):
    path = write(content)
    with pytest.raises(UserError, match=says) as error:
        job_file.read(path)
    assert str(path) in error.value.what and error.value.fix


def test_a_missing_job_file_a_folder_and_a_picture_are_refused(tmp_path):
    picture = tmp_path / "picture.json"
    picture.write_bytes(b"\x89PNG\xff")
    for path, says in (
        (tmp_path / "none.json", "no such job file"),
        (tmp_path, "is a folder, not a file"),
        (picture, "not a text file"),
    ):
        with pytest.raises(UserError, match=says):
            job_file.read(path)


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ("A01", 'group 2: "A01" is not an object'),
        ({}, "group 2: the group is empty"),
        ({"_comment": "x"}, "group 2: the group is empty"),
        ({"a": "\ufffe"}, "group 2: .* SQS refuses"),
        ({"a": "x" * (1024 * 1024 - 4096)}, "group 2: the job is 1,044,498 bytes"),
    ],
)
def test_a_bad_group_is_named_with_its_number(write, group, says):
    path = write('{"groups": [\n{"a": 1}\n,\n' + json.dumps(group) + "]}")
    with pytest.raises(UserError, match=f"line 4, {says}"):
        list(job_file.read(path).jobs())


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", '"\\ud800"'])
def test_what_json_does_not_know_is_refused(write, value):
    path = write(f'{{"groups": [{{"a": {value}}}]}}')
    with pytest.raises(UserError, match="group 1: a value cannot be written as JSON"):
        list(job_file.read(path).jobs())


def test_a_message_may_be_exactly_as_long_as_sqs_takes(write):
    room = job_file.MAX_BODY_BYTES - len('{"group":{"a":"","name":"n"}}')
    for text, fits in (("x" * room, 1), ("x" * (room + 1), 0), ("ü" * (room // 2 + 1), 0)):
        path = write({"groups": [{"a": text, "name": "n"}]})
        if fits:
            assert len(bodies(path)) == 1
        else:
            with pytest.raises(UserError, match="as a message"):
                bodies(path)


def test_a_written_job_file_is_read_back_the_same(tmp_path):
    groups = [{"a": i, "b": "ü"} for i in range(3)]
    path = tmp_path / "new" / "job.json"
    assert job_file.write(path, {"x": [1], "y": "z"}, iter(groups)) == 3
    assert bodies(path) == [{"x": [1], "y": "z", "group": group} for group in groups]
    assert [p.name for p in path.parent.iterdir()] == ["job.json"]


def test_many_groups_are_written_as_a_table_next_to_the_job_file(tmp_path):
    path = tmp_path / "job.json"
    assert job_file.write(path, {"x": 1}, ({"a": i} for i in range(11)), listed=10) == 11
    assert json.loads(path.read_text()) == {"x": 1, "groups": "job.jsonl"}
    assert bodies(path) == [{"x": 1, "group": {"a": i}} for i in range(11)]


def test_a_job_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "job.json"
    path.write_text("old")

    def groups():
        yield from ({"a": i} for i in range(20))
        raise UserError("What.", "Fix.")

    with pytest.raises(UserError):
        job_file.write(path, {}, groups(), listed=10)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["job.json"]


def test_the_fix_for_a_table_alone_is_a_job_file(write):
    path = write("a,b\n1,2\n", "plates.csv")
    with pytest.raises(UserError) as error:
        job_file.read(path)
    assert "is a table of jobs" in error.value.what
    assert "plates.json" in error.value.fix and '"groups": "plates.csv"' in error.value.fix
