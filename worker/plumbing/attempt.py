"""One receive of one job, from its message to its settling.

Requests to AWS for a job that succeeds at its first receive, downloads nothing and has a log of up
to 64 KiB: ReceiveMessage, HEAD of its done record, a PUT for each output, a PUT of the done record,
DeleteMessage: four and one for each output. A larger log adds a PUT; a later receive a listing of
its attempts, and one for each output that is sent in parts; CHECK_IF_DONE_BOOL one of the outputs
at the first receive; a long job a ChangeMessageVisibility every third of SQS_MESSAGE_VISIBILITY.
"""

from __future__ import annotations

import dataclasses
import random
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, Mapping

from plumbing import job_process, machine, records, upload
from plumbing.aws_clients import AWS_ERRORS, is_setup_fault
from plumbing.console import say
from plumbing.errors import MACHINE_ERRORS, Interrupted, JobFailed, LeaseLost, failure_of
from plumbing.job_log import LONGEST_PACKED, JobLog
from plumbing.lease import LONGEST, Lease
from plumbing.message import Message
from plumbing.outcome import (
    DONE,
    EXHAUSTED,
    FAILED,
    INTERRUPTED,
    LOST,
    REFUSED,
    REPEATED,
    SKIPPED,
    Outcome,
    Plan,
    decide,
    failed,
)
from plumbing.paths import output_place
from plumbing.retrying import (
    GIVE_BACK_AFTER_STOP,
    MARK_AFTER_STOP,
    SETTLE_AFTER_STOP,
    UPLOAD_AFTER_STOP,
    Guard,
    list_pages,
    persistently,
)
from plumbing.workfolder import remove

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plumbing.settings import Settings
    from plumbing.worker import Worker

# What is left of SQS's 12 h after the longest job: for the upload and for settling.
SECONDS_AFTER_JOB = 3600.0
# SQS itself moves a message to the dead-letter queue after 100 receives above JOB_RETRIES.
MOST_RECEIVES_ABOVE_RETRIES = 90


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
        self._earlier: records.Done | None = None
        self._past = records.NO_PAST
        self._prefix = ""
        self._log: JobLog | None = None
        self._report = records.Report(time.time(), worker.identity)
        folder = worker.folder / f"{message.job_id}.{message.submission}.{message.receive}"
        self._order = (message.job_id, message.job_name, message.values, folder)
        self._job = worker.job_of(self._order)

    def do(self) -> Outcome:
        """Do the job, unless there is a reason not to; return an outcome whatever happens."""
        try:
            self._lease.keep()
            return self._before() or self._run() or self._upload()
        except LeaseLost as error:
            return Outcome(LOST, str(error))
        except Interrupted as error:
            return Outcome(INTERRUPTED, str(error), "interrupted")
        except AWS_ERRORS as error:
            fault = is_setup_fault(error)
            return Outcome(FAILED, f"AWS: {error}", "refused_by_aws", machine=fault)
        except Exception as error:
            known = isinstance(error, OSError) and error.errno in MACHINE_ERRORS
            if known or isinstance(error, JobFailed):
                return failed(failure_of(error, ""))
            # A bug of ours: reported like any other failure, instead of ending silently.
            traceback.print_exc()
            what = f"error in the worker itself: {type(error).__name__}: {error}"
            return Outcome(FAILED, what, "worker_error")

    def settle(self, outcome: Outcome) -> None:
        """Write what became of the job, and delete its message or give it back.

        Raise LeaseLost, Interrupted, or what AWS refuses for good: the message then comes back by
        itself.
        """
        allowed = self._worker.settings.job_retries
        plan = decide(outcome, self._past.counted, allowed, random.random())
        if outcome.kind != DONE:
            self._tell(outcome, plan)
        if plan == Plan():
            return
        check = self._until_after_stop(SETTLE_AFTER_STOP)
        try:
            self._lease.keep()
        except JobFailed:
            check = self._lease.keeping(check)
        large_log = self._report_log(outcome, plan)
        if plan.attempt == FAILED:
            self._send_log(large_log, check)
        fields = self._report.fields(
            self._keys, self._message.job_name, outcome, self._past, allowed
        )
        settler = self._worker.settler
        if plan.attempt == INTERRUPTED:
            self._mark_interrupted(plan, fields)
        else:
            settler.write(plan, self._message, self._keys, fields, self._earlier, check)
        if plan.delete:
            settler.delete(self._message, check)
        elif plan.visible_in is not None:
            self._lease.release()
            may_give_back = self._until_after_stop(GIVE_BACK_AFTER_STOP)
            settler.give_back(self._message, plan.visible_in, may_give_back)
        if outcome.kind == DONE:
            say(f"DONE {self._job.name} after {self._seconds:.1f} s")
        # An interrupted job's message comes first: another machine waits for it.
        if plan.attempt == INTERRUPTED:
            self._send_log(large_log, self._until_after_stop(SETTLE_AFTER_STOP))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def has_run(self) -> bool:
        """Return whether run_job was started."""
        return self._log is not None

    def close(self) -> None:
        """Remove everything that the job left on this machine."""
        if self._log is not None:
            self._log.close()
        remove(self._job.folder)

    def _before(self) -> Outcome | None:
        """Look up what is known about the job; return why not to run it, None if it is to run."""
        message, settings = self._message, self._worker.settings
        if message.refusal:
            return Outcome(REFUSED, message.refusal)
        if message.fault:
            return Outcome(FAILED, message.fault, "not_a_job", final=True)
        s3, bucket, check = self._worker.clients.s3, settings.bucket, self._may_begin
        what = f"[{message.job_name}] reading its records"
        self._earlier = persistently(lambda: records.find_done(s3, bucket, self._keys), what, check)
        if self._earlier and self._earlier.submission >= message.submission:
            return Outcome(REPEATED, "a done record exists already")
        past = self._past = records.read_past(s3, bucket, self._keys, check)
        if past.counted >= settings.job_retries:
            reason, cause, self._report.log_key = persistently(
                lambda: records.last_attempt(s3, bucket, self._keys, past), what, check
            )
            return Outcome(EXHAUSTED, reason, cause)
        if message.receive >= settings.job_retries + MOST_RECEIVES_ABOVE_RETRIES:
            reason = (
                f"interrupted {len(past.interrupted)} times before it could end: its machines were "
                "taken away, or a program of its own ends its worker"
            )
            return Outcome(FAILED, reason, "interrupted", final=True)
        self._prefix = self._output_place()
        # Outputs of an earlier receive may be incomplete: it never came to its end.
        look = settings.check_if_done and self._is_first
        if look and outputs_are_there(s3, settings, self._prefix, check):
            self._report.output_prefix = self._prefix
            return Outcome(SKIPPED, "its outputs exist already", "already_done")
        return None

    @property
    def _is_first(self) -> bool:
        """Return whether nobody in this run can have worked on the job before."""
        return self._message.receive == 1 and self._message.submission == 1

    def _output_place(self) -> str:
        settings = self._worker.settings
        try:
            prefix = self._worker.output_prefix(self._job)
        except JobFailed:
            raise
        # Any: sys.exit() in it would end the worker, and with the message coming back all of them.
        except BaseException as error:
            traceback.print_exc()
            raise failure_of(error, "output_prefix") from error
        return output_place(prefix, beside_records=settings.destination_bucket == settings.bucket)

    def _run(self) -> Outcome | None:
        """Run run_job in a process of its own; return None if it succeeded."""
        worker, settings = self._worker, self._worker.settings
        for folder in (self._job.input_dir, self._job.output_dir, self._job.temp_dir):
            folder.mkdir(parents=True)
        self._log = JobLog(self._job.log_path, self._job.name, settings.log_bytes)
        self._log.line(
            f"attempt {self._keys.name} ({self._past.counted + 1} of "
            f"{settings.job_retries}) on {worker.identity}"
        )
        worker.protect()
        self._may_begin()
        kills = machine.oom_kills()
        try:
            child = worker.fork_server.fork(self._order)
        except OSError as error:
            reason = f"the machine cannot start a process: {error.strerror}"
            raise JobFailed(reason, cause="machine_error", machine=True) from error
        ending = job_process.watch(
            child,
            self._log.add,
            self._job.folder,
            worker.stop,
            self._lease.lost,
            settings.job_timeout,
        )
        self._report.cpu_seconds = ending.cpu_seconds
        self._report.peak_memory_mb = ending.peak_memory / 1e6
        self._report.peak_disk_mb = ending.peak_disk / 1e6
        if ending.result:
            self._report.download_seconds = ending.result["download_seconds"]
        if self._log.fault:
            say(f"[{self._job.name}] {self._log.fault}")
        oom_killed = machine.oom_kills() != kills
        outcome = job_process.judge(ending, settings.job_timeout, oom_killed, settings.memory_mb)
        if outcome is None and (self._log.fault or machine.is_full(worker.folder)):
            reason = f"{self._log.fault or 'the disk is full'}: outputs may be cut short"
            return Outcome(FAILED, reason, "disk_full", machine=True)
        if outcome and outcome.kind == FAILED:
            # Checked while its files are still there: only the program's output may name the disk.
            unfit = machine.unfit(worker.folder, settings.needs_mount)
            if unfit:
                cause = "machine_error" if unfit.cause == "not_mounted" else unfit.cause
                return dataclasses.replace(
                    outcome,
                    reason=f"{outcome.reason}; {unfit.reason}",
                    cause=outcome.cause if outcome.cause == "out_of_memory" else cause,
                    machine=True,
                )
        return outcome

    def _upload(self) -> Outcome:
        assert self._log is not None
        settings, s3 = self._worker.settings, self._worker.clients.s3
        started = time.monotonic()
        items = upload.items_of(
            self._job.output_dir,
            settings.destination_bucket,
            self._prefix,
            settings.upload_arguments,
            self._log.line,
        )
        if not items and settings.expected_files > 0:
            raise JobFailed("run_job wrote nothing into job.output_dir", cause="no_output")
        size = sum(item.size for item in items)
        files = "1 file" if len(items) == 1 else f"{len(items):,} files"
        where = f"s3://{settings.destination_bucket}/{self._prefix}/"
        # The log's last line: it is sent with the outputs, before the job is done.
        self._log.line(
            f"run_job succeeded after {self._seconds:.1f} s; "
            f"uploading {files}, {size / 1e6:.3f} MB, to {where}"
        )
        if not self._is_first:
            upload.abort_uploads(s3, items, self._may_upload)
        try:
            upload.send_all(s3, [*items, *self._large_log()], self._may_upload)
        except OSError as error:
            if error.errno in MACHINE_ERRORS:
                raise
            raise JobFailed(f"an output cannot be read: {error}", cause="bad_output") from error
        self._report.output_prefix = self._prefix
        self._report.output_files, self._report.output_bytes = len(items), size
        self._report.upload_seconds = time.monotonic() - started
        return Outcome(DONE)

    def _report_log(self, outcome: Outcome, plan: Plan) -> list[upload.Item]:
        """Report the log and where it is; return a large one, which is still to be sent."""
        if self._log is None:
            return []
        large = self._large_log()
        report, keys = self._report, self._keys
        report.last_lines = self._log.last_lines()
        report.log = self._log.packed()
        if report.log and plan.attempt:
            report.log_key = keys.attempt(plan.attempt, outcome.cause)
        elif report.log:
            report.log_key = keys.record(outcome.kind)
        else:
            report.log_key = keys.log if large else ""
        return large

    def _large_log(self) -> list[upload.Item]:
        """Return a log that is too large for a record, as a list of at most one item."""
        log = self._log
        if log is None or log.size <= LONGEST_PACKED:
            return []
        if not log.path.exists():
            say(f"[{self._job.name}] its log is gone: the job removed it")
            return []
        kind = {"ContentType": "text/plain; charset=utf-8"}
        bucket = self._worker.settings.bucket
        return [upload.Item(log.path, bucket, self._keys.log, log.size, kind)]

    def _send_log(self, large_log: list[upload.Item], check: Callable[[], None]) -> None:
        """Send it. A log that cannot be sent is no reason to lose the record of the failure."""
        try:
            upload.send_all(self._worker.clients.s3, large_log, check)
        except (Interrupted, OSError, *AWS_ERRORS) as error:
            say(f"[{self._job.name}] its log was not uploaded: {error}")

    def _mark_interrupted(self, plan: Plan, fields: Mapping[str, Any]) -> None:
        """Write the mark; without it, another machine still gets the job in time."""
        check = self._until_after_stop(MARK_AFTER_STOP)
        try:
            self._worker.settler.write(
                plan, self._message, self._keys, fields, self._earlier, check
            )
        except (Interrupted, *AWS_ERRORS) as error:
            say(f"[{self._job.name}] not marked as interrupted, so it counts as failed: {error}")

    def _until_after_stop(self, seconds: float) -> Callable[[], None]:
        """Return a check for settling, which only the lease limits, not the job's time."""
        return Guard(self._lease, self._worker.stop, float("inf"), seconds).check

    def _tell(self, outcome: Outcome, plan: Plan) -> None:
        state = (plan.record or outcome.kind).upper()
        after = f" after {self._seconds:.1f} s" if self._log is not None else ""
        text = f"{state} {self._job.name}{after}: {outcome.reason}".rstrip(": ")
        if plan.visible_in:
            text += f"; retry in {plan.visible_in} s"
        if plan.record == FAILED:
            text += f"; {self._for_good(outcome)}"
        if self._log is not None:
            self._log.line(text)
        else:
            say(text)

    def _for_good(self, outcome: Outcome) -> str:
        tries = self._past.counted + (outcome.kind == FAILED)
        if tries < self._worker.settings.job_retries:
            return "failed for good: a retry would not help"
        return f"failed for good after {tries} attempt{'s' if tries > 1 else ''}"


def is_output(name: str, size: int, settings: Settings) -> bool:
    """Return whether a file of this name (below the output prefix) and size is an output."""
    return size >= settings.min_file_bytes and settings.necessary_string in name


def outputs_are_there(
    s3: S3Client, settings: Settings, prefix: str, check: Callable[[], None]
) -> bool:
    """Return whether at least EXPECTED_NUMBER_FILES files below `prefix` are outputs.

    False where no file is expected: the job is run.
    """
    if settings.expected_files == 0:
        return False
    bucket, root = settings.destination_bucket, f"{prefix}/"
    found = 0
    for page in list_pages(s3, bucket, root, check):
        found += sum(is_output(one["Key"][len(root) :], one["Size"], settings) for one in page)
        if found >= settings.expected_files:
            return True
    return False
