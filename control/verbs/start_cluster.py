"""startCluster: request the machines and wait for them."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from control import cli, screen
from control.aws import cloudwatch, ecs, fleet, launch_template
from control.aws.spot_prices import estimate_price, price_in_words, recent_prices
from control.aws.sqs import queue_counts
from control.checks import all_checks
from control.checks.findings import FAILED, WARNED
from control.command import typed
from control.config import CONTROL_NODE_ONLY, find_in_project
from control.errors import ExplainedError, UserError
from control.explain import no_job, no_machine
from control.explain.reason import Explained
from control.monitoring import auto_monitor, observe, why_idle
from control.monitoring.timings import Pace
from control.records import fleet_requests, machine_costs, monitor_file, states, store
from control.text import several
from control.user_files import fleet_file, json_file
from control.verbs import project
from control.verbs.local.environment import PACE

if TYPE_CHECKING:
    from control.aws.fleet import FleetState
    from control.aws.session import AWS
    from control.config import Config
    from control.model import FleetEntry, Run
    from control.user_files.fleet_file import FleetFile

# AWS usually starts the first machine within two to four minutes.
WAIT_SECONDS = Pace.register
POLL_SECONDS = 10
_EVENTS_SHOWN = 5


@cli.command("startCluster", example=f"startCluster {cli.FLEET}")
@click.argument("file", metavar="[FLEETFILE]", default=cli.FLEET)
@click.option("--yes", is_flag=True, help="do not ask before spending money")
@click.option("--add", is_flag=True, help="add machines to those already requested")
@click.option("--no-check", is_flag=True, help="start without checking first")
def command(where: Path, file: str, yes: bool, add: bool, no_check: bool) -> None:
    """Request the machines."""
    config, aws = project.connect(where)
    run = store.live(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    path = find_in_project(config, file)
    wanted = fleet_file.read(path)
    if not no_check:
        _check(aws, config, wanted)
    for note in wanted.notes:
        screen.say(f"{path}: {note}")
    try:
        run = start(aws, config, run, wanted, yes=yes, add=add)
    except Declined:
        screen.say("No machine was requested; the jobs stay in the queue.")
        return
    path = monitor_file.write(config, run)
    screen.say(f"Written: {os.path.relpath(path)}. Ctrl-C only stops this display.")
    poll = PACE.poll if aws.is_local else POLL_SECONDS
    if not wait_for_machines(aws, run, poll_seconds=poll):
        say_why_not(aws, run)
    screen.next_command(typed("monitor"))


def _check(aws: AWS, config: Config, file: FleetFile) -> None:
    """Print what is wrong. Raise ExplainedError if a check failed."""
    _, found = all_checks.find_all(aws, config, file, time.time())
    all_checks.say(one for one in found if one.outcome in (FAILED, WARNED))
    screen.say(f"Checked: {all_checks.in_words(found)}. To see all of it: {typed('check')}")
    all_checks.raise_for_failed(found, "or start without checks: --no-check")


def wait_for_machines(
    aws: AWS,
    run: Run,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    poll_seconds: float = POLL_SECONDS,
) -> bool:
    """Wait until the first container runs, with a live count; False if none does in ten minutes.

    Why AWS starts no machine is printed as soon as AWS reports it. Nothing depends on waiting: it
    may be interrupted. Raise ExplainedError if no machine is up and none can come before something
    is changed.
    """
    began, last_line = clock(), ""
    printed: set[str] = set()
    while clock() - began < WAIT_SECONDS:
        found = fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run))
        fleets = [one for one in found if one.state in fleet.LIVE_STATES]
        up = sum(len(f.instances) for f in fleets)
        service = ecs.service_state(aws.ecs, run)
        running = service.running if service else 0
        line = (
            f"Machines: {sum(f.target for f in fleets)} wanted, {up} up, "
            f"{len(ecs.machines(aws.ecs, run))} registered; containers running: {running}"
        )
        if line != last_line:
            screen.say(line)
            last_line = line
        if running:
            return True
        if not up:
            _say_new(why_none_comes(aws, run), printed)
        elif service:
            _raise_without_place(service.last_word, run)
        sleep(poll_seconds)
    return False


def _raise_without_place(last_word: str, run: Run) -> None:
    """Raise ExplainedError if ECS reports that no container fits on the machines."""
    found = no_job.placement(last_word, run.config)
    if found and not found.waiting_helps:
        raise found.error()


def _say_new(reasons: list[Explained], printed: set[str]) -> None:
    for reason in reasons:
        if not reason.waiting_helps:
            raise reason.error()
        if reason.situation not in printed:
            printed.add(reason.situation)
            screen.say(str(reason))


def why_none_comes(aws: AWS, run: Run) -> list[Explained]:
    """Explain the causes in the whole history of the newest fleet."""
    return no_machine.explain((e.sub_type, e.detail) for e in why_idle.history(aws, run))


def say_why_not(aws: AWS, run: Run, clock: Callable[[], float] = time.time) -> None:
    """Say why no container runs, below what AWS reports in its own words."""
    seen = observe.observe(aws, run, clock())
    found = why_idle.look(aws, run, seen, patience=WAIT_SECONDS)
    if found is None:
        return
    if not seen.machines:
        screen.say(f"No machine came within {WAIT_SECONDS // 60} minutes. EC2 reports:")
        lines = [str(event) for event in why_idle.history(aws, run)]
    else:
        joined = sum(bool(m.container_instance) for m in seen.machines)
        screen.say(f"No container runs on the {several(joined, 'machine')}. ECS reports:")
        lines = [*ecs.events(aws.ecs, run, _EVENTS_SHOWN), *(s.why for s in seen.stopped)]
    for line in dict.fromkeys(lines):
        screen.say(f"  {line}")
    screen.say(str(found))


class Declined(Exception):
    """The user declined the machines: nothing was changed."""


def wanted_machines(config: Config, jobs: int, present: int = 0) -> int:
    """Return how many of CLUSTER_MACHINES to request in addition to those `present`.

    In all there are never more than the unfinished jobs can fill.
    """
    at_once = config.TASKS_PER_MACHINE * config.DOCKER_CORES
    return max(0, min(config.CLUSTER_MACHINES, math.ceil(jobs / at_once) - present))


@dataclass(frozen=True)
class _Order:
    """The decision of startCluster: how many machines to request, and how many there are then.

    `pending` were written down by an interrupted command, and are requested first. `continues`: an
    `--add` typed again after such an interruption adds no others.
    """

    add: bool
    pending: tuple[FleetEntry, ...]
    target: int
    total: int

    @property
    def continues(self) -> bool:
        return self.add and bool(self.pending)


def start(
    aws: AWS,
    config: Config,
    run: Run,
    file: FleetFile,
    *,
    yes: bool,
    add: bool = False,
    clock: Callable[[], float] = time.time,
) -> Run:
    """Request the machines, or resize what was requested before; return the run with its fleets.

    Raise Declined if the user declines, UserError if `yes` is missing and there is no terminal to
    ask on, ExplainedError if there is nothing to do for machines.
    """
    project.say_changes(run, config)
    unfinished = _unfinished(aws, run)
    run = _drop_expired(aws, run, clock())
    live = _live(aws, run, clock())
    order = _order(run, live, unfinished, add=add)
    # All that can fail comes before the request.
    dashboard = _dashboard(config, run) if run.config.CREATE_DASHBOARD else None
    plan = launch_template.plan(aws, _as_set_up(config, run), file)
    function_arn, same_version = auto_monitor.find(aws, run)
    if not same_version:
        screen.say(
            "The auto-monitor has another version than this program. To update it: "
            f"{typed('setupAWS')}"
        )
    _say_price(aws, run, plan, order.total, unfinished, clock())
    limit = run.config.MAX_HOURLY_COST
    if order.add and not order.continues:
        limit = _left_of_hourly_limit(run, live)
    if not (yes or _is_confirmed()):
        raise Declined
    run = _request(aws, run, order, plan, limit, clock)
    ecs.ensure_service(aws.ecs, run, run.task_definition)
    ecs.set_desired(aws.ecs, run, order.total * run.config.TASKS_PER_MACHINE)
    run = auto_monitor.begin(aws, run, function_arn)
    if run.schedule:
        screen.say("The auto-monitor watches the run from now on: your computer may be off.")
    if dashboard:
        cloudwatch.put_dashboard(aws.cloudwatch, run, dashboard)
    return run


def _request(
    aws: AWS,
    run: Run,
    order: _Order,
    plan: launch_template.Plan,
    limit: float | None,
    clock: Callable[[], float],
) -> Run:
    """Request the machines of an order, after those that were written down before."""
    run = fleet_requests.finish(aws, run)
    live = _live(aws, run, clock())
    if order.continues:
        more = several(sum(entry.target for entry in order.pending), "machine")
        screen.say(
            f"Requested what an interrupted command had begun: {more}. To add others, type the "
            "same command again."
        )
    elif live and not order.add:
        run = fleet_requests.resize(aws, run, live, order.target)
        before = sum(state.target for state in live)
        screen.say(f"Resized: {before} -> {several(order.target, 'machine')}.")
        _say_types(run, live, plan)
    else:
        run = fleet_requests.request(aws, run, plan, order.target, clock(), limit)
        requested = several(order.target, "machine")
        screen.say(f"Fleet {run.fleets[-1].fleet_id} requested: {requested}.")
    return run


def _drop_expired(aws: AWS, run: Run, now: float) -> Run:
    for entry in fleet_requests.past(run, now):
        screen.say(
            f"Discarded an expired fleet request from {entry.requested} that AWS never confirmed."
        )
        run = fleet_requests.forget(aws, run, entry.template)
    return run


def _order(run: Run, live: Sequence[FleetState], unfinished: int, *, add: bool) -> _Order:
    pending = tuple(entry for entry in run.fleets if not entry.fleet_id)
    present = _present(run, live, pending)
    target = 0 if add and pending else _target(run, unfinished, present if add else 0)
    return _Order(add, pending, target, target + present if add else target)


def _dashboard(config: Config, run: Run) -> Any:
    """Return the template of the dashboard, which users may change. Raise UserError if it is not
    one."""
    path = find_in_project(config, "files/dashboard.json")
    template = json_file.read(path, "dashboard", "files/dashboard.json")
    try:
        cloudwatch.dashboard_body(run, template)
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path} is not a dashboard: it needs a list of widgets, each with properties.",
            "Correct it, or write CREATE_DASHBOARD = False in config.py.",
        ) from None
    return template


def _as_set_up(config: Config, run: Run) -> Config:
    """Return the settings of the last setup, as the containers have them.

    What has changed in config.py since then needs another setup, as `say_changes` says.
    """
    control_node = {name: getattr(config, name) for name in CONTROL_NODE_ONLY}
    return dataclasses.replace(run.config, path=config.path, **control_node)


def _unfinished(aws: AWS, run: Run) -> int:
    """Return how many jobs there are for machines. Raise ExplainedError if there are none.

    They are those without a record, or those in the queue if that is more: jobs that were sent
    again keep their earlier record.
    """
    count = states.count(aws.s3, run)
    waiting = queue_counts(aws.sqs, run.queue_url)
    unfinished = max(count.unfinished, waiting.total if waiting else 0)
    if not unfinished:
        raise ExplainedError(
            f"{run.app_name} has no unfinished jobs, so machines would have nothing to do.",
            f"Fix the cause of the failed jobs, then send them again: {typed('retry')}"
            if count.failed
            else f"Submit jobs first: {typed('submitJob', cli.JOBS)}",
        )
    return unfinished


def _live(aws: AWS, run: Run, now: float) -> list[FleetState]:
    states = fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run), fleet.young(run, now))
    return [state for state in states if state.state in fleet.LIVE_STATES]


def _present(run: Run, live: Sequence[FleetState], pending: Sequence[FleetEntry]) -> int:
    """Return how many machines are requested, or written down to be requested."""
    ids = {entry.fleet_id for entry in run.fleets}
    known: int = sum(state.target for state in live if state.fleet_id in ids)
    return known + sum(entry.target for entry in pending)


def _target(run: Run, unfinished: int, present: int) -> int:
    """Return how many machines to request. Raise ExplainedError if they would have no jobs."""
    target = wanted_machines(run.config, unfinished, present)
    if target <= 0:
        raise ExplainedError(
            f"{several(unfinished, 'unfinished job')} cannot fill more than the "
            f"{several(present, 'machine')} that are requested already.",
            f"Let them do the work: {typed('monitor')}",
        )
    if target < run.config.CLUSTER_MACHINES:
        screen.say(
            f"{several(unfinished, 'job')} can fill {several(target + present, 'machine')} "
            f"(TASKS_PER_MACHINE x DOCKER_CORES jobs on each): {target} instead of "
            f"CLUSTER_MACHINES = {run.config.CLUSTER_MACHINES}."
        )
    return target


def _say_price(
    aws: AWS, run: Run, plan: launch_template.Plan, total: int, unfinished: int, now: float
) -> None:
    config = run.config
    hours = config.MAX_RUN_HOURS
    found = recent_prices(aws.ec2, plan, now)
    if found is None:
        screen.say("EC2 lists no spot price for these machine types in these zones.")
    else:
        cost = estimate_price(found, total, hours, config.MACHINE_PRICE, config.MAX_HOURLY_COST)
        screen.say(price_in_words(cost, [t.name for t in plan.types], total, hours))
        expected = machine_costs.forecast(aws.s3, run, unfinished, found)
        if expected:
            screen.say(expected)
    if config.MACHINE_PRICE is None and config.MAX_HOURLY_COST is None:
        screen.say(
            "No price limit is set (MACHINE_PRICE, MAX_HOURLY_COST): you pay the market price, "
            "which is never above the on-demand price."
        )


def _left_of_hourly_limit(run: Run, live: Sequence[FleetState]) -> float | None:
    """Return what the live fleets leave of MAX_HOURLY_COST: EC2 enforces the limit of each."""
    limit: float | None = run.config.MAX_HOURLY_COST
    if limit is None or not live:
        return limit
    ids = {state.fleet_id for state in live}
    taken = [entry.hourly_limit for entry in run.fleets if entry.fleet_id in ids]
    left = limit - sum(price for price in taken if price)
    if left <= 0:
        raise UserError(
            f"The machines already requested may cost all of MAX_HOURLY_COST = {limit:g}.",
            f"Raise MAX_HOURLY_COST in config.py, then: {typed('setup')}; then add machines.",
        )
    return left


def _say_types(run: Run, live: Sequence[FleetState], plan: launch_template.Plan) -> None:
    """Say which fleets keep machine types that the last setup no longer has."""
    wanted = {kind.name for kind in plan.types}
    ids = {state.fleet_id for state in live}
    for entry in run.fleets:
        if entry.fleet_id in ids and entry.machine_types != wanted:
            screen.say(
                f"Fleet {entry.fleet_id} keeps the machine types that it was requested with. To "
                f"have those of the last setup: {typed('stop')} && {typed('startCluster')}"
            )


def _is_confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UserError(
            "startCluster asks before it spends money, and there is no terminal to ask on.",
            "Add --yes to the same command.",
        )
    return input("Start them? [y/N] ").strip().lower() in ("y", "yes")
