"""A worker whose jobs do what their groups say, and note each run in a file that only grows."""

import os
import time

import plumbing
from plumbing import JobFailed

# It does not end by SIGTERM, nor does what it starts in a session of its own.
STUBBORN = 'trap "" TERM; setsid sh -c \'trap "" TERM; sleep 300\' & sleep 300'
# It runs until there is a file.
PATIENT = 'while [ ! -e "$0" ]; do sleep 0.1; done'


def worker_pid():
    """Return the pid of the worker: its child is the fork server, which forked this process."""
    with open(f"/proc/{os.getppid()}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def output_prefix(job):
    return f"{job.get('place', 'out')}/{job.name}"


def run_job(job):
    with open(job.config["RUNS"], "a+") as runs:
        runs.write(f"{job.name} {worker_pid()} {os.getpid()}\n")
        runs.flush()
        runs.seek(0)
        number = sum(line.split()[0] == job.name for line in runs)
    if "inputs" in job.values["group"]:
        job.download(job["inputs"])
    print("x" * job.get("log_bytes", 0))
    if job.get("failure"):
        raise JobFailed(job["failure"])
    if job.get("kill_worker"):
        os.kill(worker_pid(), 9)
        time.sleep(60)
    if job.get("stubborn"):
        job.run(["sh", "-c", STUBBORN])
    if job.get("wait"):
        job.run(["sh", "-c", PATIENT, job["wait"].format(run=number)])
    if job.get("seconds"):
        job.run(["sleep", job["seconds"]])
    for name, size in job.get("files", {}).items():
        line = f"{job.name}/{name}\n".encode()
        (job.output_dir / name).write_bytes((line * (size // len(line) + 1))[:size])
    if job.get("program"):
        job.run(job["program"])


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
