"""Deliver jobs to the queue of a run: record them, send them, and report what was sent."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from control import screen
from control.errors import ExplainedError
from control.explain import aws_errors
from control.records import states, store, submissions
from control.records.failed_jobs import Retiring
from control.records.sending import Sender, Sent
from control.text import several
from control.user_files.job import Job

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import Run
    from control.records.job_objects import Read
    from control.records.sending import Pair

# In the project's folder: for each run a lock against two commands at the same time.
STATE_FOLDER = ".runs"
_SHOWN = 5
# A command whose last part is older does not run any longer.
_LONGEST_PART_SECONDS = 900
# What is reported of each number of an Outcome.
_SENTENCES = {
    "resent": "of an interrupted command sent, perhaps for the second time; a job that is done is "
    "not run again",
    "elsewhere": "are being sent by a command on another computer; if that was interrupted, run "
    "this command again in 15 minutes",
    "already": "skipped: already submitted in this run (use --again to resend)",
    "sent_before": "skipped: sent again already by a command that was interrupted",
    "done_before": "skipped: done in an earlier run",
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
    resent: int = 0
    elsewhere: int = 0
    already: int = 0
    sent_before: int = 0
    done_before: int = 0
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

    A context in which no other command of this computer sends to the run. Each part of
    `submitted/` is written before its jobs are sent, and the next part after that. So whenever the
    process ends, at most the last part is uncertain: the next command sends it again. If the
    command was one of another computer, which may still run, that waits until the part is old.
    """

    def __init__(self, aws: AWS, run: Run, folder: Path, command: str) -> None:
        self.aws, self.run, self.command = aws, run, command
        self.outcome = Outcome()
        self._lock = _locked(folder / run.app_name / run.run_id)
        # It has the number of the last command of this computer.
        self._last_command = int(self._lock.read() or 0)
        self._confirmed = 0

    def __enter__(self) -> Delivery:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def begin(
        self,
        failed: Iterable[Read] = (),
        *,
        again: bool = False,
        lost: bool = False,
        **changes: Any,
    ) -> None:
        """Complete what interrupted commands began, and count this one in run.json with `changes`.

        `failed` are the failed records that sent jobs lose. `again`: this is an --again, which
        continues those that were interrupted. If all messages are `lost`, there is nothing to
        complete. Raise ExplainedError if AWS fails.
        """
        self._sender = Sender(self.aws.sqs, self.run)
        self._retiring = Retiring(failed)
        self._again = again
        for key, written in submissions.unconfirmed(self.aws.s3, self.run):
            named = submissions.parse_part(key)
            is_old = time.time() > states.written_seconds(written) + _LONGEST_PART_SECONDS
            if not lost and named.command != self._last_command and not is_old:
                self.outcome.elsewhere += named.new + named.again
                continue
            if not lost:
                self._resend(key)
            self._note(named.command, named.number)

        def count(run: Run) -> Run:
            number = run.submissions + 1
            return dataclasses.replace(
                run,
                submissions=number,
                sending={**run.sending, str(number): 0},
                sending_again=[*run.sending_again, number] if again else run.sending_again,
                **changes,
            )

        self._change(count)
        self._number = self.run.submissions
        self._lock.truncate(0)
        self._lock.write(b"%d" % self._number)
        self._lock.flush()

    def _resend(self, key: str) -> None:
        sent = Sent()
        try:
            part = submissions.jobs_of_part(self.aws.s3, self.run, key)
            self._sender.send(part, sent)
            self._keep_only_sent(key, part, sent)
        except (BotoCoreError, ClientError) as error:
            raise self._interrupted(error) from error
        self.outcome.resent += len(sent.accepted)
        self.outcome.refused += sent.refused

    def retire(self, job: Job, last: int) -> None:
        """Remove the failed record of a job that was sent before as its `last` submission."""
        self._retiring.sent([(job, last)])

    def send(self, chosen: Iterable[Pair]) -> None:
        """Record and send the chosen jobs, each as the submission of this number.

        Raise ExplainedError if AWS fails in the middle: it says what was sent and how to continue.
        """
        try:
            for part in submissions.split(chosen):
                self._send_part(part)
            self._retiring.finish(self.aws.s3, self.run)
            self._change(self._finished)
        except (BotoCoreError, ClientError) as error:
            self._confirm()
            raise self._interrupted(error) from error
        except KeyboardInterrupt:
            self._confirm()
            screen.say(f"{self.outcome.sent:,} of {self.outcome.in_file:,} jobs were sent so far.")
            raise

    def _send_part(self, part: list[Pair]) -> None:
        number, sent = self._confirmed + 1, Sent()
        key = submissions.write_part(self.aws.s3, self.run, self._number, number, part)
        try:
            self._sender.send(part, sent)
        except BaseException:
            with contextlib.suppress(BotoCoreError, ClientError):
                self._settle(key, part, sent)
            raise
        self._settle(key, part, sent)

    def _settle(self, key: str, part: list[Pair], sent: Sent) -> None:
        self.outcome.sent += len(sent.accepted)
        self.outcome.refused += sent.refused
        self._retiring.sent(sent.accepted)
        self._keep_only_sent(key, part, sent)
        self._confirmed += 1

    def _keep_only_sent(self, key: str, part: list[Pair], sent: Sent) -> None:
        """Leave out of a part the jobs that were not sent."""
        if len(sent.accepted) == len(part):
            return
        # In this order: a run with a job that is only in submitted/ never ends.
        self.aws.s3.delete_object(Bucket=self.run.bucket, Key=key)
        if sent.accepted:
            named = submissions.parse_part(key)
            submissions.write_part(
                self.aws.s3, self.run, named.command, named.number, sent.accepted
            )

    def _finished(self, run: Run) -> Run:
        left = {key: part for key, part in run.sending.items() if key != str(self._number)}
        again = run.sending_again
        # The next --again sends the jobs that SQS refused, and only those.
        if self._again and not self.outcome.refused:
            again = [number for number in again if number > self._number]
        return dataclasses.replace(run, sending=left, sending_again=again)

    def _confirm(self) -> None:
        """Note how far this command came, so that the next one sends nothing twice.

        Without an answer of AWS, the next one sends the last part again.
        """
        with contextlib.suppress(BotoCoreError, ClientError, ExplainedError):
            self._note(self._number, self._confirmed)

    def _note(self, command: int, part: int) -> None:
        def how(run: Run) -> Run:
            return dataclasses.replace(run, sending={**run.sending, str(command): part})

        self._change(how)

    def _change(self, how: Callable[[Run], Run]) -> None:
        self.run = store.change(self.aws.s3, self.run, how)

    def _interrupted(self, error: Exception) -> ExplainedError:
        why = aws_errors.explain(error) or ExplainedError(str(error), "")
        return ExplainedError(
            f"{self.outcome.sent:,} of {self.outcome.in_file:,} jobs were sent, then: {why.what}",
            f"{why.fix} Then, to continue: {self.command}",
        )


def _locked(folder: Path) -> IO[bytes]:
    """Return the lock of a run. Raise ExplainedError if another command holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ExplainedError(
            "Another submitJob for this run is under way on this computer.",
            "Wait until it has finished, then run this command again.",
        ) from None
    lock.seek(0)
    return lock
