import pytest
from moto.logs.models import logs_backends

from embedded_aws import task_logs
from embedded_aws.task_logs import TaskLog
from embedded_aws.task_runner import CannotStart

ACCOUNT, REGION = "123456789012", "us-east-1"


@pytest.fixture
def group():
    backend = logs_backends[ACCOUNT][REGION]
    backend.create_log_group("group", tags={})
    yield backend.groups["group"]
    backend.reset()


def container(**options):
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return {
        "name": "worker",
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {"awslogs-group": "group", "awslogs-stream-prefix": "app", **named},
        },
    }


@pytest.fixture
def log(group, tmp_path):
    log = TaskLog(tmp_path / "task" / "log.txt", ACCOUNT, REGION, container(), "id")
    yield log
    log.close()


def messages(group):
    return [event.message for event in group.streams["app/worker/id"].events]


def test_lines_reach_file_and_stream_whole(log, group, tmp_path):
    for chunk in (b"one\ntw", "o ü".encode()[:-1], "ü".encode()[-1:], b"\n\nlast without end"):
        log.write(chunk)
    log.close()
    assert messages(group) == ["one", "two ü", "last without end"]
    assert (tmp_path / "task" / "log.txt").read_text() == "one\ntwo ü\n\nlast without end"


def test_bytes_that_are_no_text_do_no_harm(log, group):
    log.write(b"\xff\xfe\n")
    log.flush()
    assert messages(group) == ["\ufffd\ufffd"]


def test_stream_keeps_the_newest_lines_and_the_file_all(log, group, tmp_path, monkeypatch):
    monkeypatch.setattr(task_logs, "LINES_KEPT", 10)
    for first in range(0, 50, 5):
        log.write(b"".join(b"%d\n" % n for n in range(first, first + 5)))
        log.flush()
    assert messages(group) == [str(n) for n in range(40, 50)]
    assert len((tmp_path / "task" / "log.txt").read_text().splitlines()) == 50


def test_stream_keeps_a_bounded_number_of_bytes(log, group, monkeypatch):
    monkeypatch.setattr(task_logs, "BYTES_KEPT", 100)
    for number in range(20):
        log.write(b"%030d\n" % number)
        log.flush()
    assert len(messages(group)) == 3


def test_output_without_line_ends_is_cut(log, group, monkeypatch):
    monkeypatch.setattr(task_logs, "LONGEST_LINE", 10)
    for _ in range(5):
        log.write(b"x" * 8)
    log.flush()
    assert messages(group) == ["x" * 10, "x" * 10]


def test_deleted_log_group_does_not_stop_the_task(log, group, tmp_path):
    logs_backends[ACCOUNT][REGION].groups.pop("group")
    log.write(b"one\n")
    log.flush()
    assert (tmp_path / "task" / "log.txt").read_text() == "one\n"


def test_missing_log_group_keeps_the_task_from_starting(tmp_path):
    with pytest.raises(CannotStart, match="The specified log group does not exist"):
        TaskLog(tmp_path / "log.txt", ACCOUNT, REGION, container(), "id")


def test_log_group_is_made_if_the_task_definition_says_so(group, tmp_path):
    settings = container(awslogs_group="other", awslogs_create_group="true")
    log = TaskLog(tmp_path / "log.txt", ACCOUNT, REGION, settings, "id")
    log.write(b"one\n")
    log.close()
    assert "app/worker/id" in logs_backends[ACCOUNT][REGION].groups["other"].streams


def test_other_log_drivers_write_the_file_only(tmp_path):
    log = TaskLog(tmp_path / "log.txt", ACCOUNT, REGION, {"name": "worker"}, "id")
    log.write(b"one\n")
    log.close()
    assert (tmp_path / "log.txt").read_text() == "one\n"
