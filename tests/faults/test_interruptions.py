"""Machines that are taken away with a warning: SIGTERM, or the spot interruption notice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.faults.site import BUSY_SECONDS, Container, Site, alive, until
from tests.faults.together import together
from tests.instance_metadata import NOTICE, Metadata, serving

# 30 interruptions: each round interrupts all jobs at once.
JOBS, ROUNDS = 5, 6
RETRIES = 3
# Nothing but being given back makes a message visible so soon.
VISIBILITY = 600
# What is promised: a job's program is gone so soon, and then at once its message is there again.
GONE_SECONDS = 5.0
GIVEN_BACK_SECONDS = 5.0


def _interrupt_again_and_again(
    site: Site, interrupt: Callable[[Container], float], **environ: str
) -> None:
    """Interrupt all jobs ROUNDS times, then let them finish.

    `interrupt` returns the moment at which the container received it.
    """
    gate = site.folder / "gate"
    for number in range(JOBS):
        site.send(f"job-{number}", wait=str(gate), stubborn=number == 0)
    for number in range(1, ROUNDS + 1):
        container = site.start(DOCKER_CORES=JOBS, **environ)
        until(lambda: len(site.runs()) == JOBS * number, BUSY_SECONDS)  # noqa: B023
        # Container, workers, fork servers, processes of jobs, and below these their programs.
        until(lambda: len(container.tree()) >= 1 + 4 * JOBS + 2, BUSY_SECONDS)  # noqa: B023
        ours = {*container.workers(), *container.fork_servers()}
        programs = [pid for pid in container.tree()[1:] if pid not in ours]

        heard = interrupt(container)
        until(lambda: not any(map(alive, programs)), BUSY_SECONDS, pause=0.02)  # noqa: B023
        assert time.monotonic() - heard <= GONE_SECONDS
        until(lambda: site.waiting() == (JOBS, 0), GIVEN_BACK_SECONDS, pause=0.02)
        assert site.written("records") == []
        assert container.stop() == 0
        assert site.waiting() == (JOBS, 0)
        _check_attempts(site, number)

    site.groups["job-0"]["stubborn"] = False
    gate.touch()
    last = site.start(DOCKER_CORES=JOBS)
    until(lambda: len(site.written("records")) == JOBS - 1, BUSY_SECONDS)
    # The stubborn one never ends by itself; to be done was not its part.
    assert last.stop() == 0
    for number in range(1, JOBS):
        record = site.record(f"job-{number}", "done")
        assert (record["receive"], record["attempt"]) == (ROUNDS + 1, 1)
        assert record["attempts_allowed"] == RETRIES
        assert site.lacking(f"job-{number}") == []
    assert len(site.runs()) == JOBS * (ROUNDS + 1)


def _check_attempts(site: Site, rounds: int) -> None:
    """Check that each job was interrupted in each round and never failed; the logs are on S3."""
    marks = sorted(f"1.{number}.interrupted.json" for number in range(1, rounds + 1))
    for number in range(JOBS):
        assert site.written("attempts", f"job-{number}") == marks
        attempt = site.attempt(f"job-{number}", rounds, "interrupted")
        assert (attempt["attempt"], attempt["attempts_allowed"]) == (1, RETRIES)
        log = site.log(attempt)
        assert f"attempt 1.{rounds} (1 of {RETRIES})" in log and "INTERRUPTED" in log


@together(60, SQS_MESSAGE_VISIBILITY=VISIBILITY, JOB_RETRIES=RETRIES)
def test_thirty_jobs_in_a_row_outlive_sigterm_without_a_failed_attempt(site: Site):
    def interrupt(container):
        container.process.send_signal(signal.SIGTERM)
        return time.monotonic()

    _interrupt_again_and_again(site, interrupt)


@together(90, SQS_MESSAGE_VISIBILITY=VISIBILITY, JOB_RETRIES=RETRIES)
def test_thirty_jobs_in_a_row_outlive_the_interruption_notice_without_a_failed_attempt(site: Site):
    metadata = Metadata()
    with serving(metadata) as environ:

        def interrupt(_container):
            metadata.announced = 0.0
            metadata.paths["spot/instance-action"] = NOTICE
            heard = until(lambda: metadata.announced, BUSY_SECONDS, pause=0.02)
            del metadata.paths["spot/instance-action"]
            return heard

        _interrupt_again_and_again(site, interrupt, **environ)
