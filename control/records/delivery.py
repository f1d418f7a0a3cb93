"""Deliver jobs to the queue of a run: send them, record them, and report what was sent."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from control import screen
from control.errors import ExplainedError
from control.explain import aws_errors
from control.records import sending, store
from control.records.failed_jobs import Retiring
from control.records.journal import Journal
from control.records.submissions import Parts
from control.text import several
from control.user_files.job import Job

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import Run
    from control.records.job_objects import Read

# In the project's folder: what this computer must remember of a run.
STATE_FOLDER = ".runs"

_SHOWN = 5

# What is reported of each number of an Outcome.
_SENTENCES = {
    "already": "skipped: already submitted in this run (use --again to resend)",
    "already_again": "skipped: sent again before, and not failed for good since",
    "done_before": "skipped: done in an earlier run",
    "sent_before_break": "sent already by the command that was interrupted",
    "not_in_file": "not in this file, but sent by an interrupted command; submit their own file "
    "again to record them",
    "maybe_twice": "possibly in the queue twice, on their way when the command or the connection "
    "was interrupted; a job that is done is not run again",
    "same_name": "with the name of an earlier job of this run but other values; their results "
    "replace its results",
    "not_on_record": "not sent: they were not submitted by submitJob, so their values are not on "
    "record; see the dead-letter queue",
}


@dataclass
class Outcome:
    """The result of one command, in numbers of jobs."""

    in_file: int = 0
    sent: int = 0
    already: int = 0
    already_again: int = 0
    done_before: int = 0
    sent_before_break: int = 0
    not_in_file: int = 0
    maybe_twice: int = 0
    same_name: int = 0
    not_on_record: int = 0
    refused: list[tuple[Job, str]] = field(default_factory=list)

    def report(self, first_line: str, command: str) -> None:
        """Print exactly what was and was not sent.

        Raise ExplainedError if SQS refused some jobs: `command` sends only those.
        """
        screen.say(first_line)
        for name, words in _SENTENCES.items():
            number = getattr(self, name)
            if number:
                screen.say(f"{several(number, 'job')} {words}.")
        if self.refused:
            shown = "; ".join(f"{job.name}: {why}" for job, why in self.refused[:_SHOWN])
            raise ExplainedError(
                f"SQS refused {several(len(self.refused), 'job')} ({shown}).",
                f"Fix the cause, then send only those again: {command}",
            )


class Delivery:
    """One command that sends jobs to a run; `command` is what continues it.

    A context in which no other command of this computer sends to the run. `taken` and `uncertain`
    are what interrupted commands have sent, or may have sent, without recording it.
    """

    def __init__(self, aws: AWS, run: Run, folder: Path, source: Path, command: str) -> None:
        self.aws, self.run, self.command = aws, run, command
        self.journal = Journal(folder / run.app_name / run.run_id, source)
        self.taken, self.uncertain = self.journal.leftovers()
        self.outcome = Outcome()

    def __enter__(self) -> Delivery:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def begin(self, failed: Iterable[Read], **changes: Any) -> None:
        """Count the command in run.json, with `changes`.

        `failed` are failed records: those of jobs that are sent again are removed.
        """
        self.run = store.change(
            self.aws.s3,
            self.run,
            lambda run: dataclasses.replace(run, submissions=run.submissions + 1, **changes),
        )
        self._parts = Parts(self.aws.s3, self.run, self.run.submissions)
        self._retiring = Retiring(failed)

    def record(self, job: Job, number: int) -> None:
        """Record that this job was sent by an interrupted command, as submission `number`."""
        self._parts.add([(job, number)])

    def retire(self, job: Job) -> None:
        """Remove the failed record of a job that was sent by an interrupted command."""
        self._retiring.sent([(job, 0)])

    def send(self, chosen: Iterable[tuple[Job, int]]) -> None:
        """Send the chosen jobs, each as the submission of this number, and record them.

        Raise ExplainedError if AWS fails in the middle: it says what was sent and how to continue.
        """
        outcome, run = self.outcome, self.run
        batches = sending.batches(chosen)
        try:
            for sent in sending.send_all(self.aws.sqs, run, batches, self.journal):
                self._parts.add(sent.taken)
                self._retiring.sent(sent.taken)
                outcome.sent += len(sent.taken)
                outcome.refused += sent.refused
                outcome.maybe_twice += len(sent.taken) if sent.doubtful else 0
            self._parts.flush()
            self._retiring.finish(self.aws.s3, run)
        except (BotoCoreError, ClientError) as error:
            raise self._interrupted(error) from error
        except KeyboardInterrupt:
            screen.say(f"{outcome.sent:,} of {outcome.in_file:,} jobs were sent so far.")
            raise

    def finish(self) -> None:
        """Forget what the journal holds: everything is on S3."""
        self.journal.finish()

    def _interrupted(self, error: Exception) -> ExplainedError:
        with contextlib.suppress(BotoCoreError, ClientError):
            self._parts.flush()  # the journal has them too, but only on this computer
        why = aws_errors.explain(error) or ExplainedError(str(error), "")
        return ExplainedError(
            f"{self.outcome.sent:,} of {self.outcome.in_file:,} jobs were sent, then: {why.what}",
            f"{why.fix} Then, to continue: {self.command}",
        )
