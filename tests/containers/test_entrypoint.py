"""run-worker.sh and the worker as process 1 of a container."""

from __future__ import annotations

import pytest

from tests.containers.conftest import until

# Two generations down, with sessions of their own, ended before their parents look.
ORPHANS = """
subprocess.run(["sh", "-c", "(setsid sh -c 'sleep 0.1 & sleep 0.2' &) ; (true &)"], check=True)
(job.output_dir / "x").write_text("x")
time.sleep(1)
"""
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(300)
"""
HOME = """
subprocess.run(["sh", "-c", "touch $HOME/mine"], check=True)
(job.output_dir / "user").write_text(str(os.getuid()))
"""
# The states and parents of all processes but the one that asks.
PROCESSES = "cat /proc/[0-9]*/stat | sed 's/.*) //' | cut -d' ' -f1,2"


@pytest.mark.parametrize("program", ["time.sleep(300)", DEAF], ids=["python", "deaf"])
def test_a_stop_reaches_every_worker_and_the_container_ends_with_0(site, start, program):
    for number in (1, 2):
        site.send({"name": f"job-{number}"})
    container = start(run_job=program, DOCKER_CORES="2")
    until(lambda: container.output().count("attempt 1") == 2)

    # After 10 s it would be SIGKILL, and exit code 137.
    container.engine.run("stop", "-t", "10", container.name)

    assert container.exit_code() == 0
    assert site.states("attempts") == ["1.1.interrupted.json"] * 2
    assert site.waiting() == (2, 0)


def test_what_ends_without_its_parent_is_waited_for(site, start):
    site.send({"name": "one"})
    container = start(run_job=ORPHANS)
    until(lambda: site.states("records"))

    states = until(lambda: [s for s in container.shell(PROCESSES).split("\n") if s])

    assert not [state for state in states if state.startswith("Z")]


def test_the_worker_itself_is_process_1(site, start):
    container = start()
    container.says("workers of App")

    assert "generic-worker.py" in container.shell("tr '\\0' ' ' < /proc/1/cmdline")


@pytest.mark.parametrize(("settings", "user"), [({}, b"1000"), ({"WORKER_USER": "root"}, b"0")])
def test_jobs_have_a_user_with_a_home_of_its_own_unless_it_is_to_be_root(
    site, start, settings, user
):
    site.send({"name": "one"})
    start(run_job=HOME, **settings)

    until(lambda: site.states("records"))

    assert site.states("records") == ["done.json"]
    assert site.read("out/one/user") == user


def test_a_user_that_the_image_does_not_have_is_reported(engine, worker_image):
    ended = engine.run("run", "--rm", "--env=WORKER_USER=nobody-here", worker_image, check=False)

    assert ended.returncode == 2
    assert ended.stdout == "Error: WORKER_USER = 'nobody-here' is not a user of this image.\n"
