"""The kernel's own OOM killer, in a memory cgroup that is small."""

from __future__ import annotations

import os
import textwrap

import pytest

from plumbing import machine_health

pytestmark = pytest.mark.needs_root
LIMIT = 400_000_000
TOO_MUCH = 4 * LIMIT
SCRIPT = """
import sys
import plumbing

def take():
    return bytes(bytearray({too_much}))

# More together than there is, each smaller than the worker and its container.
HELPERS = '''
import subprocess, sys
one = [sys.executable, "-S", "-c", "x = bytearray(25_000_000); import time; time.sleep(2)"]
helpers = [subprocess.Popen(one) for _ in range(30)]
sys.exit(max(helper.wait() != 0 for helper in helpers))
'''

def run_job(job):
    if job["who"] == "helpers":
        job.run([sys.executable, "-c", HELPERS])
    elif job["who"] == "program":
        job.run([sys.executable, "-c", "bytes(bytearray({too_much}))"])
    else:
        take()

if __name__ == "__main__":
    plumbing.main(lambda job: "out", run_job)
"""


@pytest.fixture
def small_cgroup(until):
    """The file that takes the processes of a new memory cgroup of LIMIT bytes."""
    try:
        base, path = next(iter(machine_health._cgroups()))
        folder = base / path if (base / path).is_dir() else base
        own = folder / f"small-{os.getpid()}"
        own.mkdir()
    except (StopIteration, OSError) as error:
        pytest.fail(f"no memory cgroup can be made here: {error!r}")
    try:
        limits = [own / name for name in ("memory.max", "memory.limit_in_bytes")]
        limit = next((file for file in limits if file.exists()), None)
        if limit is None:
            pytest.fail(f"{own} does not limit memory")
        limit.write_text(str(LIMIT))
        for name, value in (("memory.swap.max", "0"), ("memory.memsw.limit_in_bytes", LIMIT)):
            if (own / name).exists():
                (own / name).write_text(str(value))
        yield own / "cgroup.procs"
    finally:
        until(lambda: not (own / "cgroup.procs").read_text())
        own.rmdir()


@pytest.fixture
def record_of(cloud, small_cgroup, start_container, until, tmp_path):
    """Runs a job in the small cgroup; gives its record. Container and worker must survive it."""

    def run(who):
        script = tmp_path / "worker.py"
        script.write_text(textwrap.dedent(SCRIPT).format(too_much=TOO_MUCH))
        cloud.send({"name": "A1", "who": who})

        container = start_container(script, JOB_RETRIES="1", MEMORY="400")
        small_cgroup.write_text(str(container.pid))
        until(lambda: cloud.states("records"))

        assert container.poll() is None
        container.terminate()
        assert container.wait(20) == 0
        assert "worker 0 " not in container.output.read_text(), "the kernel took the worker instead"
        return cloud.record("failed")

    return run


@pytest.mark.parametrize(("who", "named"), [("program", "python"), ("run_job", "own process")])
def test_a_job_that_the_kernel_ends_when_memory_runs_out_fails_with_that_cause(
    record_of, who, named
):
    record = record_of(who)
    assert record["reason"].startswith("out of memory: the kernel killed ")
    assert named in record["reason"] and "MEMORY is 400" in record["reason"]
    assert (record["signal"], record["cause"]) == ("SIGKILL", "out_of_memory")


def test_many_small_helpers_die_before_the_larger_worker_and_their_program_s_failure_says_why(
    record_of,
):
    record = record_of("helpers")
    assert "exited with code 1; meanwhile out of memory: the kernel killed " in record["reason"]
    assert (record["exit_code"], record["cause"]) == (1, "out_of_memory")
