import http.client
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from embedded_aws import Embedded, StartError, running


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def descendants(pid):
    """Return the processes below one, as ps lists them."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
    found, left = [], [pid]
    while left:
        children = [child for child, parent in pairs if parent == left[-1]]
        left.pop()
        found += children
        left += children
    return found


def with_tasks(server, app, mode="fork"):
    """Run two tasks on another server; return their application and their ARNs."""
    other = type(app)(server)
    return other, other.up(1, 2, mode)


def test_environment_makes_boto3_use_the_server_and_nothing_else(aws, tmp_path):
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    config = tmp_path / ".aws" / "config"
    config.parent.mkdir()
    config.write_text("[default]\nretry_mode = nonsense\n")  # boto3 would refuse to work
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **aws.environment},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "123456789012\n", done.stderr


def test_server_listens_on_loopback_only(aws):
    assert aws.endpoint.startswith("http://127.0.0.1:")
    port = aws.endpoint.rsplit(":", 1)[-1]
    listing = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    wanted = f":{int(port):04X}"
    listening = [line.split()[1] for line in listing.splitlines() if line.split()[3] == "0A"]
    assert [one for one in listening if one.endswith(wanted)] == [f"0100007F{wanted}"]


def test_connections_are_kept_alive(aws):
    host = aws.endpoint.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    for _ in range(3):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        sock = connection.sock
        assert answer.version == 11 and sock is not None
    connection.close()


def test_long_polls_do_not_hold_up_other_requests(aws):
    queue = aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"]
    done = []

    def poll():
        aws.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)
        done.append(1)

    polls = [threading.Thread(target=poll) for _ in range(80)]
    for thread in polls:
        thread.start()
    assert aws.s3.list_buckets()["Buckets"] is not None
    assert len(done) == 0
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(10)]
    for _ in range(8):
        aws.sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    for thread in polls:
        thread.join(15)
    assert len(done) == 80


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("ec2", "get_spot_placement_scores", {"TargetCapacity": 1}),
        ("ecs", "execute_command", {"task": "t", "command": "c", "interactive": True}),
        ("ecs", "run_task", {"taskDefinition": "t"}),
    ],
)
def test_request_that_is_not_modelled_says_so(aws, service, call, arguments):
    with pytest.raises(ClientError, match="on this computer"):
        getattr(aws.client(service), call)(**arguments)


@pytest.mark.parametrize("way", ["input", signal.SIGTERM, signal.SIGINT], ids=str)
def test_server_ends_and_leaves_nothing(start_server, running_app, wait_for, way):
    process, server = start_server()
    app, tasks = with_tasks(server, running_app)
    left = wait_for(lambda: len(found := descendants(process.pid)) == 6 and found)
    if way == "input":
        process.stdin.close()
    else:
        process.send_signal(way)
    assert process.wait(30) == 0
    assert not any(is_alive(pid) for pid in left)
    assert all("got SIGTERM" in app.output(task) for task in tasks)


def test_server_kills_tasks_that_ignore_sigterm(start_server, running_app, wait_for):
    process, server = start_server("--grace", "0.3")
    with_tasks(server, running_app, "stubborn")
    left = wait_for(lambda: len(found := descendants(process.pid)) == 4 and found)
    process.stdin.close()
    assert process.wait(30) == 0
    assert not any(is_alive(pid) for pid in left)


def test_killed_server_leaves_no_task(start_server, running_app, wait_for):
    process, server = start_server()
    with_tasks(server, running_app)
    left = wait_for(lambda: len(found := descendants(process.pid)) == 6 and found)
    process.kill()
    process.wait()
    wait_for(lambda: not any(is_alive(pid) for pid in left))


def test_taken_port_is_an_error_with_a_cure(aws, worker_folder, tmp_path):
    port = int(aws.endpoint.rsplit(":", 1)[-1])
    with (
        pytest.raises(StartError) as error,
        running(worker_folder, tmp_path / "state", port=port),
    ):
        pass
    assert error.value.what == f"Port {port} is taken by another program."
    assert "--port" in error.value.fix


def test_missing_package_is_an_error_with_a_cure(monkeypatch, worker_folder, tmp_path):
    monkeypatch.setattr("embedded_aws.starter.NEEDED", ("no_such_package",))
    with pytest.raises(StartError) as error, running(worker_folder, tmp_path):
        pass
    assert "no_such_package" in error.value.what
    assert "pip install -r files/requirements.txt" in error.value.fix


def test_server_that_cannot_start_gives_its_last_words(monkeypatch, worker_folder, tmp_path):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with (
        pytest.raises(StartError, match="did not start") as error,
        running(worker_folder, tmp_path),
    ):
        pass
    assert "server.log" in error.value.fix


def test_environment_over_the_users_own_leaves_nothing_of_his_aws(aws):
    own = {"AWS_PROFILE": "p", "AWS_ENDPOINT_URL_S3": "u", "AWS_SESSION_TOKEN": "t", "X": "1"}
    embedded = Embedded(aws.endpoint, aws.environment, aws.pid, Path())
    assert embedded.over(own) == {"X": "1", **aws.environment}


def test_the_server_gets_no_settings_of_the_user_and_ends_with_a_block_that_fails(
    monkeypatch, worker_folder, tmp_path
):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ZeroDivisionError), running(worker_folder, tmp_path) as embedded:
        assert b"AWS_" not in Path(f"/proc/{embedded.pid}/environ").read_bytes()
        assert "AWS_PROFILE" not in embedded.environment
        raise ZeroDivisionError
    assert not is_alive(embedded.pid)
