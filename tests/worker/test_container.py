"""The container from outside: generic-worker.py as a process, AWS on loopback."""

from __future__ import annotations

import json
import os
import signal
import textwrap
from types import SimpleNamespace

import pytest

from plumbing import container as supervising
from plumbing.shared_state import SharedState

DOCUMENT = b"one two\nthree\n"


@pytest.fixture
def job_script(tmp_path):
    """A generic-worker.py with another run_job, given by its lines."""

    def write(lines, before=""):
        body = textwrap.indent(textwrap.dedent(lines).strip(), "    ")
        path = tmp_path / "other-worker.py"
        path.write_text(
            "import os, time\nfrom pathlib import Path\nimport plumbing\n"
            "def output_prefix(job):\n    return f'out/{job.name}'\n"
            f"def run_job(job):\n{body}\n{before}\n"
            "if __name__ == '__main__':\n    plumbing.main(output_prefix, run_job)\n"
        )
        return path

    return write


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    if file.read().rpartition(")")[2].split()[1] == str(pid):
                        found.append(int(name))
            except OSError:
                continue
    return found


def test_the_shipped_worker_counts_the_words_of_a_document(cloud, start_container, until):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="documents/a b.md", Body=DOCUMENT)
    cloud.send({"document": "a b.md"}, input_location="documents", output_location="counts")

    container = start_container()
    until(lambda: cloud.states("records"))
    container.send_signal(signal.SIGTERM)

    assert container.wait(10) == 0
    table = cloud.read("counts/a_b.md/word_count.csv").decode().splitlines()
    assert table == ["document,lines,words,bytes", "a b.md,2,3,14"]
    assert cloud.states("records") == ["done.json"]
    assert cloud.waiting() == (0, 0)
    record = cloud.record("done")
    assert record["output_files"] == 1 and record["log_key"] in cloud.names()


def test_a_container_without_its_settings_says_which_and_exits_with_2(start_container, cloud):
    container = start_container(AWS_BUCKET="", RUN_ID="")

    assert container.wait(10) == 2
    assert "AWS_BUCKET, RUN_ID not set" in container.output.read_text()


def test_sigterm_in_mid_job_gives_the_message_back_at_once(
    cloud, start_container, until, job_script, tmp_path
):
    script = job_script("""
        print("started", flush=True)
        job.run(["sh", "-c", 'trap "" TERM; echo $$ > "$0"; while :; do sleep 1; done',
                 job.config["PID_FILE"]])
    """)
    cloud.send({"name": "long"})
    pid_file = tmp_path / "pid"
    container = start_container(script, PID_FILE=str(pid_file))
    until(lambda: pid_file.exists() and pid_file.read_text().strip())
    program = int(pid_file.read_text())

    container.send_signal(signal.SIGTERM)

    assert container.wait(10) == 0
    assert not _alive(program)
    assert cloud.waiting() == (1, 0)
    assert cloud.states("attempts") == ["1.1.interrupted.json"]
    assert cloud.states("records") == []
    log = cloud.log(cloud.record("interrupted", "attempts"))
    assert "started" in log and "INTERRUPTED" in log
    assert os.listdir(tmp_path / "work") == []


def test_a_stop_while_the_queue_is_empty_takes_no_message_along(cloud, start_container, until):
    container = start_container()
    until(lambda: b"workers of App" in container.output.read_bytes())

    container.send_signal(signal.SIGTERM)

    assert container.wait(5) == 0
    cloud.send({"name": "later"})
    assert cloud.waiting() == (1, 0)


def test_told_to_stop_again_in_its_last_moments_it_still_ends_with_0(
    cloud, start_container, job_script, until
):
    script = job_script("pass")
    # Python lets go of this after its signal handlers.
    late = """
import signal, sys
class Late:
    def __del__(self, kill=os.kill, own=os.getpid, pid=os.getpid(), number=signal.SIGTERM):
        if own() == pid:
            kill(pid, number)
sys.late = Late()
if __name__"""
    script.write_text(script.read_text().replace("if __name__", late.lstrip(), 1))
    container = start_container(script)
    until(lambda: b"workers of" in container.output.read_bytes())
    container.send_signal(signal.SIGTERM)
    assert container.wait(20) == 0
    assert b"container: stopped" in container.output.read_bytes()


@pytest.mark.parametrize(
    ("victim", "said"),
    [("worker", b"was ended by SIGKILL"), ("fork server", b"a job may have killed it")],
)
def test_a_killed_worker_is_replaced_and_its_job_is_done_by_another(
    cloud, start_container, until, job_script, tmp_path, victim, said
):
    script = job_script("""
        marker = Path(job.config["MARKER"])
        if not marker.exists():
            marker.write_text(f"{os.getppid()} {os.getpid()}")
            job.run(["sh", "-c", "setsid sleep 300 & wait"])
        (job.output_dir / "result").write_text("complete")
    """)
    marker = tmp_path / "marker"
    cloud.send({"name": "hit"})
    container = start_container(script, MARKER=str(marker), SQS_MESSAGE_VISIBILITY="3")
    server, child = map(int, until(lambda: marker.exists() and marker.read_text()).split())
    (worker,) = _children(container.pid)
    assert _children(worker) == [server]
    program = until(lambda: _children(child))[0]
    sleeper = until(lambda: _children(program))[0]

    os.kill(worker if victim == "worker" else server, signal.SIGKILL)

    until(lambda: cloud.states("records") == ["done.json"])
    assert not _alive(worker) and not _alive(server)
    assert not _alive(child) and not _alive(sleeper)
    assert cloud.record("done")["receive"] == 2
    assert cloud.record("done")["attempt"] == 2
    assert cloud.read("out/hit/result") == b"complete"
    assert said in container.output.read_bytes()
    until(lambda: cloud.waiting() == (0, 0))


def test_killing_the_container_leaves_no_process_and_the_next_one_cleans_up(
    cloud, start_container, until, job_script, tmp_path
):
    script = job_script("""
        Path(job.config["PID_FILE"]).write_text(str(os.getpid()))
        job.run(["sleep", "300"])
    """)
    pid_file = tmp_path / "pid"
    cloud.send({"name": "hit"})
    container = start_container(script, PID_FILE=str(pid_file))
    child = int(until(lambda: pid_file.exists() and pid_file.read_text()))
    program = until(lambda: _children(child))[0]

    container.kill()
    container.wait()

    until(lambda: not _alive(child) and not _alive(program), seconds=5)
    (left,) = os.listdir(tmp_path / "work")
    second = start_container(script)
    until(lambda: b"workers of App" in second.output.read_bytes())
    assert left not in os.listdir(tmp_path / "work")
    second.send_signal(signal.SIGTERM)
    assert second.wait(10) == 0


def test_workers_start_so_many_seconds_after_each_other(start_container, until, cloud):
    container = start_container(DOCKER_CORES="3", SECONDS_TO_START="0.8")

    workers = until(lambda: (found := _children(container.pid)) and len(found) == 3 and found)

    first, second, third = sorted(map(_started, workers))
    # The first one is late by as much as its container takes to start.
    assert second - first >= 0.2 and third - second >= 0.6
    container.send_signal(signal.SIGTERM)
    assert container.wait(5) == 0


def _started(pid):
    """Seconds from the machine's start to that of a process."""
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def test_a_stop_waits_for_no_worker_that_is_not_there_yet(cloud, start_container, until):
    container = start_container(DOCKER_CORES="3", SECONDS_TO_START="600")
    until(lambda: _children(container.pid))

    container.send_signal(signal.SIGTERM)

    assert container.wait(5) == 0


def test_all_workers_take_jobs_and_each_is_done_once(
    cloud, start_container, until, job_script, tmp_path
):
    # No job ends before another worker has one too.
    script = job_script("""
        workers = Path(job.config["WORKERS"])
        (workers / str(os.getppid())).touch()
        while len(os.listdir(workers)) < 2:
            time.sleep(0.05)
        (job.output_dir / "result").write_text(job.name)
    """)
    workers = tmp_path / "workers"
    workers.mkdir()
    for number in range(20):
        cloud.send({"number": number})

    container = start_container(script, DOCKER_CORES="2", WORKERS=str(workers))

    until(lambda: len(cloud.states("records")) == 20)
    until(lambda: cloud.waiting() == (0, 0))
    container.send_signal(signal.SIGTERM)
    assert container.wait(5) == 0
    records = [json.loads(cloud.read(key)) for key in cloud.names(f"{cloud.run}records/")]
    assert {record["receive"] for record in records} == {1}
    assert len(cloud.names("out/")) == 20


def test_an_interruption_notice_gives_the_job_back_and_takes_no_other(
    cloud, start_container, until, job_script, tmp_path, metadata_service
):
    script = job_script(
        """
        Path(job.config["PID_FILE"]).write_text(str(os.getpid()))
        job.run(["sleep", "300"])
    """,
        "from plumbing import container; container.NOTICE_SECONDS = 0.3",
    )
    pid_file = tmp_path / "pid"
    cloud.send({"name": "hit"})
    environ = {**metadata_service.environ, "AWS_EC2_METADATA_DISABLED": "false"}
    container = start_container(script, PID_FILE=str(pid_file), **environ)
    until(lambda: pid_file.exists() and pid_file.read_text())

    metadata_service.paths["spot/instance-action"] = '{"action": "terminate", "time": "soon"}'

    until(lambda: cloud.states("attempts") == ["1.1.interrupted.json"])
    assert cloud.record("interrupted", "attempts")["machine"] == "i-1"
    assert cloud.record("interrupted", "attempts")["reason"] == "spot interruption"
    until(lambda: cloud.waiting() == (1, 0))
    assert container.poll() is None
    container.send_signal(signal.SIGTERM)
    assert container.wait(5) == 0
    assert cloud.waiting() == (1, 0)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_after_the_interruption_notice_the_container_sleeps_and_says_its_load_each_minute(
    monkeypatch, tmp_path, capfd
):
    clock, sleeps = Clock(), []
    container = supervising.Container(SharedState(1), [], set())

    def wait(container, until):
        sleeps.append(until - clock.now)
        clock.now = until
        container.stopped = len(sleeps) == 20

    monkeypatch.setattr(supervising, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(supervising, "_wait", wait)
    for name in ("_reap", "_end_strays"):
        monkeypatch.setattr(supervising, name, lambda *arguments: None)
    notices = iter(["", "spot interruption"])
    metadata = SimpleNamespace(there=True, interruption=lambda: next(notices))
    monkeypatch.delenv("ECS_AGENT_URI", raising=False)

    supervising._supervise(container, SimpleNamespace(folder=tmp_path), metadata)

    assert container.ending == "spot interruption"
    assert min(sleeps) > 0
    assert sleeps[5:] == [supervising.LOAD_SECONDS] * 15
    # The last sleep is not over yet.
    minutes = (sum(sleeps) - sleeps[-1]) // supervising.LOAD_SECONDS
    assert capfd.readouterr().out.count("machine: CPU ") == minutes


def test_a_worker_that_has_just_ended_does_not_keep_a_stop_from_the_others(monkeypatch):
    told = []

    def kill(pid, number):
        if pid == 1:
            raise ProcessLookupError
        told.append(pid)

    monkeypatch.setattr(supervising, "os", SimpleNamespace(kill=kill))
    slots = [supervising.Slot(index, 0.0, pid=index + 1) for index in range(3)]

    supervising._tell_workers(supervising.Container(None, slots, set()), "stop", signal.SIGTERM)

    assert told == [2, 3]
