"""One receive of one job, from its message to its settling.

Requests to AWS for a job that succeeds at its first receive and downloads nothing:
ReceiveMessage, HEAD of its done record, a PUT for each output and for the log, a PUT of the done
record, DeleteMessage: five and one for each output. A later receive adds a listing of its
attempts, and one for each output that is sent in parts; CHECK_IF_DONE_BOOL adds one of the outputs
to the first, and a long job a ChangeMessageVisibility every third of SQS_MESSAGE_VISIBILITY.
"""

from __future__ import annotations

import dataclasses
import random
import time
import traceback
from typing import Any, Callable, Mapping

from plumbing import leftovers, machine, process, records, resources, upload
from plumbing import outcome as settle
from plumbing import run_in_child as perform
from plumbing.aws_clients import AWS_ERRORS, is_setup_fault
from plumbing.console import say
from plumbing.errors import Interrupted, JobFailed, LeaseLost, MachineFault
from plumbing.job_log import JobLog
from plumbing.lease import LONGEST, Lease
from plumbing.lookup import Known, is_first, look_up
from plumbing.message import Message
from plumbing.outcome import Outcome, Plan
from plumbing.report import Report
from plumbing.retrying import (
    GIVE_BACK_AFTER_STOP,
    MARK_AFTER_STOP,
    SETTLE_AFTER_STOP,
    UPLOAD_AFTER_STOP,
    Guard,
)
from plumbing.worker import Worker
from plumbing.workfolder import remove

# What is left of SQS's 12 h after the longest job: for the upload and for settling.
SECONDS_AFTER_JOB = 3600.0


class Attempt:
    """One receive of one job by one worker."""

    def __init__(self, worker: Worker, message: Message, lease: Lease) -> None:
        settings = worker.settings
        self._worker = worker
        self._message = message
        self._lease = lease
        self._began = time.monotonic()
        deadline = time.monotonic() + min(settings.job_timeout + SECONDS_AFTER_JOB, LONGEST)
        self._may_begin = Guard(lease, worker.stop, deadline, after_stop=0).check
        self._may_upload = Guard(lease, worker.stop, deadline, UPLOAD_AFTER_STOP).check
        self._keys = records.Keys(
            settings.app_name,
            message.run_id,
            message.job_id,
            message.submission,
            message.receive,
        )
        self._known = Known()
        self._log: JobLog | None = None
        self._report = Report(time.time(), worker.identity)
        folder = worker.folder / f"{message.job_id}.{message.submission}.{message.receive}"
        self._order = (message.job_id, message.job_name, message.values, folder)
        self._job = worker.job_of(self._order)

    def do(self) -> Outcome:
        """Do the job, unless there is a reason not to; every way it can go is an outcome."""
        try:
            self._lease.keep()
            return self._before() or self._run() or self._upload()
        except LeaseLost as error:
            return Outcome(settle.LOST, str(error))
        except Interrupted as error:
            return Outcome(settle.INTERRUPTED, str(error))
        except JobFailed as error:
            return Outcome(
                settle.FAILED,
                str(error),
                machine=isinstance(error, MachineFault),
                final=not error.retry,
            )
        except AWS_ERRORS as error:
            return Outcome(settle.FAILED, f"AWS: {error}", machine=is_setup_fault(error))
        except OSError as error:
            return perform.os_failure(error)
        # A bug of ours: told like any other failure, instead of as a death without a word.
        except Exception as error:
            traceback.print_exc()
            what = f"error in the worker itself: {type(error).__name__}: {error}"
            return Outcome(settle.FAILED, what)

    def settle(self, outcome: Outcome) -> None:
        """Write what became of the job, and delete its message or give it back.

        Raises LeaseLost, Interrupted, or what AWS answers for good: the message then comes back
        by itself.
        """
        allowed = self._worker.settings.job_retries
        plan = settle.decide(outcome, self._known.past.counted, allowed, random.random())
        if outcome.kind != settle.DONE:
            self._tell(outcome, plan)
        if plan == Plan():
            return
        check = self._until_after_stop(SETTLE_AFTER_STOP)
        try:
            self._lease.keep()
        except MachineFault:
            check = self._lease.keeping(check)
        if plan.attempt == settle.FAILED:
            self._send_log(check)
        fields = self._report.fields(
            self._keys, self._message.job_name, outcome, self._known.past, allowed, self._log
        )
        settler = self._worker.settler
        if plan.attempt == settle.INTERRUPTED:
            self._mark_interrupted(plan, fields)
        else:
            settler.write(plan, self._message, self._keys, fields, self._known.earlier, check)
        if plan.delete:
            settler.delete(self._message, check)
        elif plan.visible_in is not None:
            self._lease.release()
            may_give_back = self._until_after_stop(GIVE_BACK_AFTER_STOP)
            settler.give_back(self._message, plan.visible_in, may_give_back)
        if outcome.kind == settle.DONE:
            say(f"DONE {self._job.name} after {self._seconds:.1f} s")
        # An interrupted job's message comes first: another machine waits for it, nobody for this.
        if plan.attempt == settle.INTERRUPTED:
            self._send_log(self._until_after_stop(SETTLE_AFTER_STOP))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def has_run(self) -> bool:
        """Whether run_job was begun."""
        return self._log is not None

    def close(self) -> None:
        """Remove everything that the job left on this machine."""
        if self._log is not None:
            self._log.close()
        remove(self._job.folder)

    def _before(self) -> Outcome | None:
        """Why the job is not to be run; None if it is."""
        worker = self._worker
        outcome = look_up(
            self._known,
            worker.clients.s3,
            worker.settings,
            self._message,
            self._keys,
            lambda: worker.output_prefix(self._job),
            self._may_begin,
        )
        if outcome and outcome.kind == settle.SKIPPED:
            self._report.found(self._known.prefix)
        return outcome

    def _run(self) -> Outcome | None:
        """Run run_job in a process of its own; None if it succeeded."""
        worker, settings = self._worker, self._worker.settings
        for folder in (self._job.input_dir, self._job.output_dir, self._job.temp_dir):
            folder.mkdir(parents=True)
        self._log = JobLog(self._job.log_path, self._job.name, settings.log_bytes)
        self._log.line(
            f"attempt {self._keys.name} ({self._known.past.counted + 1} of "
            f"{settings.job_retries}) on {worker.identity}"
        )
        worker.protect()
        self._may_begin()
        kills = resources.oom_kills()
        ending = process.watch(
            worker.fork_server.fork(self._order),
            self._log.add,
            self._job.folder,
            worker.stop,
            self._lease.lost,
            settings.job_timeout,
        )
        self._report.used(ending)
        if self._log.fault:
            say(f"[{self._job.name}] {self._log.fault}")
        oom_killed = resources.oom_kills() != kills
        outcome = perform.judge(ending, settings.job_timeout, oom_killed, settings.memory_mb)
        if outcome is None and (self._log.fault or machine.is_full(worker.folder)):
            why = self._log.fault or "the disk is full"
            return Outcome(settle.FAILED, f"{why}: outputs may be cut short", machine=True)
        if outcome and outcome.kind == settle.FAILED:
            # Asked while its files are still there: a program may only have said so in its output.
            unfit = machine.unfit(worker.folder, settings.needs_mount)
            if unfit:
                reason = f"{outcome.reason}; {unfit}"
                return dataclasses.replace(outcome, reason=reason, machine=True)
        return outcome

    def _upload(self) -> Outcome:
        """Send the outputs and the log."""
        assert self._log is not None
        settings = self._worker.settings
        started = time.monotonic()
        items = upload.items_of(
            self._job.output_dir,
            settings.destination_bucket,
            self._known.prefix,
            settings.upload_arguments,
            self._log.line,
        )
        if not items and settings.expected_files > 0:
            raise JobFailed("run_job wrote nothing into job.output_dir")
        size = sum(item.size for item in items)
        files = "1 file" if len(items) == 1 else f"{len(items):,} files"
        where = f"s3://{settings.destination_bucket}/{self._known.prefix}/"
        # The log's last line: it goes with the outputs, and the job is done only after that.
        self._log.line(
            f"run_job succeeded after {self._seconds:.1f} s; "
            f"uploading {files}, {size / 1e6:.3f} MB, to {where}"
        )
        if not is_first(self._message):
            leftovers.abort_uploads(self._worker.clients.s3, items, self._may_upload)
        upload.send_all(self._worker.clients.s3, [*items, *self._log_items()], self._may_upload)
        self._report.uploaded(self._known.prefix, len(items), size, time.monotonic() - started)
        return Outcome(settle.DONE)

    def _log_items(self) -> list[upload.Item]:
        if self._log is None:
            return []
        path = self._log.path
        if not path.exists():
            say(f"[{self._job.name}] its log is gone: the job removed it")
            return []
        kind = {"ContentType": "text/plain; charset=utf-8"}
        bucket = self._worker.settings.bucket
        return [upload.Item(path, bucket, self._keys.log, path.stat().st_size, kind)]

    def _send_log(self, check: Callable[[], None]) -> None:
        """A log that cannot be sent is no reason to lose the record of the failure."""
        try:
            upload.send_all(self._worker.clients.s3, self._log_items(), check)
        except (Interrupted, OSError, *AWS_ERRORS) as error:
            say(f"[{self._job.name}] its log was not uploaded: {error}")

    def _mark_interrupted(self, plan: Plan, fields: Mapping[str, Any]) -> None:
        """Another machine is to get the job in time even if S3 takes no mark for so long."""
        check = self._until_after_stop(MARK_AFTER_STOP)
        try:
            self._worker.settler.write(
                plan, self._message, self._keys, fields, self._known.earlier, check
            )
        except (Interrupted, *AWS_ERRORS) as error:
            say(f"[{self._job.name}] not marked as interrupted, so that it will count: {error}")

    def _until_after_stop(self, seconds: float) -> Callable[[], None]:
        """A check for settling, which may outlast the job's time: the lease alone limits it."""
        return Guard(self._lease, self._worker.stop, float("inf"), seconds).check

    def _tell(self, outcome: Outcome, plan: Plan) -> None:
        state = (plan.record or outcome.kind).upper()
        after = f" after {self._seconds:.1f} s" if self._log is not None else ""
        text = f"{state} {self._job.name}{after}: {outcome.reason}".rstrip(": ")
        if plan.visible_in:
            text += f"; again in {plan.visible_in} s"
        if plan.record == settle.FAILED:
            text += f"; {self._given_up(outcome)}"
        if self._log is not None:
            self._log.line(text)
        else:
            say(text)

    def _given_up(self, outcome: Outcome) -> str:
        tries = self._known.past.counted + (outcome.kind == settle.FAILED)
        if tries < self._worker.settings.job_retries:
            return "given up: another attempt would not help"
        return "given up after 1 attempt" if tries == 1 else f"given up after {tries} attempts"
