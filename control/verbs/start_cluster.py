"""startCluster: request the machines and wait for them."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from control import screen
from control.aws import cloudwatch, ecs, fleet, launch_template
from control.aws.fleet import FleetState
from control.aws.prices import estimate_price, price_in_words, recent_prices
from control.aws.session import AWS
from control.aws.sqs import queue_counts
from control.command import typed
from control.config import CONTROL_NODE_ONLY, Config, find_in_project
from control.errors import ExplainedError, UserError
from control.explain import no_job, no_machine
from control.explain.reason import Explained
from control.model import FleetEntry, Run
from control.monitoring import auto_monitor, observe, why_idle
from control.records import costs, fleet_requests, states
from control.text import several
from control.user_files import fleet_file
from control.verbs import setup

# AWS usually brings the first machine within two to four minutes; after this we say why not.
WAIT_SECONDS = 600

POLL_SECONDS = 10

_EVENTS_SHOWN = 5


def wait_for_machines(
    aws: AWS,
    run: Run,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    poll_seconds: float = POLL_SECONDS,
) -> bool:
    """Wait until the first container runs, with a live count; False if none came in ten minutes.

    What AWS says against the request is said as soon as AWS says it. Nothing depends on waiting:
    it may be broken off. Raises ExplainedError if no machine is up and none can come before
    something is changed.
    """
    began, said = clock(), ""
    told: set[str] = set()
    while clock() - began < WAIT_SECONDS:
        told_of = fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run))
        fleets = [one for one in told_of if one.state in fleet.LIVE_STATES]
        up = sum(len(f.instances) for f in fleets)
        service = ecs.service_state(aws.ecs, run)
        running = service.running if service else 0
        line = (
            f"Machines: {sum(f.target for f in fleets)} wanted, {up} up, "
            f"{len(ecs.machines(aws.ecs, run))} registered; containers running: {running}"
        )
        if line != said:
            screen.say(line)
            said = line
        if running:
            return True
        if not up:
            _say_new(why_none_comes(aws, run), told)
        elif service:
            _raise_without_place(service.last_word, run)
        sleep(poll_seconds)
    return False


def _raise_without_place(last_word: str, run: Run) -> None:
    """Raise ExplainedError if ECS says that no container fits on the machines that have come."""
    found = no_job.placement(last_word, run.config)
    if found and not found.waiting_helps:
        raise found.error()


def _say_new(reasons: list[Explained], said: set[str]) -> None:
    for reason in reasons:
        if not reason.waiting_helps:
            raise reason.error()
        if reason.situation not in said:
            said.add(reason.situation)
            screen.say(str(reason))


def why_none_comes(aws: AWS, run: Run) -> list[Explained]:
    """Explain the causes in the whole history of the newest fleet."""
    return no_machine.explain((e.sub_type, e.detail) for e in why_idle.history(aws, run))


def say_why_not(aws: AWS, run: Run, clock: Callable[[], float] = time.time) -> None:
    """Say why no container runs, after what AWS says in its own words."""
    seen = observe.observe(aws, run, clock())
    found = why_idle.look(aws, run, seen, patience=WAIT_SECONDS)
    if found is None:
        return
    if not seen.machines:
        screen.say(f"No machine came within {WAIT_SECONDS // 60} minutes. EC2 says:")
        lines = [str(event) for event in why_idle.history(aws, run)]
    else:
        joined = sum(bool(m.container_instance) for m in seen.machines)
        screen.say(f"No container runs on the {several(joined, 'machine')}. ECS says:")
        lines = [*ecs.events(aws.ecs, run, _EVENTS_SHOWN), *(s.why for s in seen.stopped)]
    for line in dict.fromkeys(lines):
        screen.say(f"  {line}")
    screen.say(str(found))


class Declined(Exception):
    """The user was asked and does not want the machines: no mistake, and nothing was changed."""


def wanted_machines(config: Config, jobs: int, present: int = 0) -> int:
    """CLUSTER_MACHINES beside those `present`; in all never more than the unfinished jobs fill."""
    at_once = config.TASKS_PER_MACHINE * config.DOCKER_CORES
    machines_at_most = config.CLUSTER_MACHINES
    return max(0, min(machines_at_most, math.ceil(jobs / at_once) - present))


def start(
    aws: AWS,
    config: Config,
    run: Run,
    path: Path,
    *,
    yes: bool,
    add: bool = False,
    clock: Callable[[], float] = time.time,
) -> Run:
    """Request the machines, or resize what was requested before; returns the run with its fleets.

    Raises Declined if the user, asked, does not want them, UserError if there is no terminal to
    ask on and not `yes`, ExplainedError if there is nothing to do for them.
    """
    setup.say_changes(run, config)
    unfinished = _unfinished(aws, run)
    if unfinished <= 0:
        failed = states.count(aws.s3, run).failed
        raise ExplainedError(
            f"{run.app_name} has no unfinished jobs, so machines would have nothing to do.",
            f"Fix the cause of the failed jobs, then send them again: {typed('retry')}"
            if failed
            else f"Submit jobs first: {typed('submitJob', 'files/exampleJob.json')}",
        )
    for entry in fleet_requests.past(run, clock()):
        screen.say(
            f"A request of {entry.requested} was written down, but never sent or its answer was "
            "lost, and is past MAX_RUN_HOURS: it is dropped."
        )
        run = fleet_requests.forget(aws, run, entry.template)
    live = _live(aws, run, clock())
    pending = [entry for entry in run.fleets if not entry.fleet_id]
    present = _present(run, live, pending)
    # Typed again after a break, --add finishes what it has written down, and adds no other.
    finishes = add and bool(pending)
    target = 0 if finishes else _target(run, unfinished, present if add else 0)
    total = target + present if add else target
    file = fleet_file.read(path)
    for note in file.notes:
        screen.say(f"{path}: {note}")
    dashboard = _dashboard(config) if run.config.CREATE_DASHBOARD else None
    plan = launch_template.plan(aws, _as_set_up(config, run), file)
    function_arn, same_version = auto_monitor.find(aws, run)
    if not same_version:
        screen.say("The auto-monitor is of another version than this one: run setupAWS again.")
    _say_price(aws, run, plan, total, unfinished, clock())
    asks_more = add and not finishes
    limit = _left_of_hourly_limit(run, live) if asks_more else run.config.MAX_HOURLY_COST
    if not (yes or _is_confirmed()):
        raise Declined
    run = fleet_requests.finish(aws, run)
    live = _live(aws, run, clock())
    if finishes:
        more = several(sum(entry.target for entry in pending), "machine")
        screen.say(f"Requested, as was written down before: {more}. To add others, type it again.")
    elif live and not add:
        run = fleet_requests.resize(aws, run, live, target)
        screen.say(f"Resized: {sum(f.target for f in live)} -> {several(target, 'machine')}.")
        _say_types(run, live, plan)
    else:
        run = fleet_requests.request(aws, run, plan, target, clock(), limit)
        screen.say(f"Fleet {run.fleets[-1].fleet_id} requested: {several(target, 'machine')}.")
    ecs.ensure_service(aws.ecs, run, run.task_definition)
    ecs.set_desired(aws.ecs, run, total * run.config.TASKS_PER_MACHINE)
    run = auto_monitor.begin(aws, run, function_arn)
    if run.schedule:
        screen.say("The auto-monitor watches the run from now on: your computer may be off.")
    if dashboard:
        cloudwatch.put_dashboard(aws.cloudwatch, run, dashboard)
    return run


def _dashboard(config: Config) -> Any:
    """Return the template of the dashboard, which users may change. Raise UserError if it is not
    JSON: before anything costs money."""
    path = find_in_project(config, "files/dashboard.json")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UserError(
            f"{path} is not JSON: {error}.",
            "Correct it, or write CREATE_DASHBOARD = False in config.py.",
        ) from None


def _as_set_up(config: Config, run: Run) -> Config:
    """The settings of the last setup, as the containers have them: what config.py says by now takes
    another setup, as `say_changes` says."""
    control_node = {name: getattr(config, name) for name in CONTROL_NODE_ONLY}
    return dataclasses.replace(run.config, path=config.path, **control_node)


def _unfinished(aws: AWS, run: Run) -> int:
    """How many jobs machines are for: those without a record, or those in the queue if that is
    more, as jobs that were sent again keep their record of before."""
    count = states.count(aws.s3, run)
    waiting = queue_counts(aws.sqs, run.queue_url)
    return max(count.submitted - count.finished, waiting.total if waiting else 0)


def _live(aws: AWS, run: Run, now: float) -> list[FleetState]:
    states = fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run), fleet.young(run, now))
    return [state for state in states if state.state in fleet.LIVE_STATES]


def _present(run: Run, live: Sequence[FleetState], pending: Sequence[FleetEntry]) -> int:
    """How many machines are requested or written down to be: a fleet of the latter may be there."""
    ids = {entry.fleet_id for entry in run.fleets}
    known: int = sum(state.target for state in live if state.fleet_id in ids)
    return known + sum(entry.target for entry in pending)


def _target(run: Run, unfinished: int, present: int) -> int:
    """How many machines to request. Raises ExplainedError if more would have nothing to do."""
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
        screen.say("EC2 tells no spot price for these machine types in these zones.")
    else:
        cost = estimate_price(found, total, hours, config.MACHINE_PRICE, config.MAX_HOURLY_COST)
        screen.say(price_in_words(cost, [t.name for t in plan.types], total, hours))
        expected = costs.forecast(aws.s3, run, unfinished, found)
        if expected:
            screen.say(expected)
    if config.MACHINE_PRICE is None and config.MAX_HOURLY_COST is None:
        screen.say(
            "No limit of price is set (MACHINE_PRICE, MAX_HOURLY_COST): the market price is paid, "
            "which is never above the on-demand price."
        )


def _left_of_hourly_limit(run: Run, live: Sequence[FleetState]) -> float | None:
    """What the fleets there are leave of MAX_HOURLY_COST: EC2 keeps each one's limit by itself."""
    limit: float | None = run.config.MAX_HOURLY_COST
    if limit is None or not live:
        return limit
    ids = {state.fleet_id for state in live}
    taken = [entry.hourly_limit for entry in run.fleets if entry.fleet_id in ids]
    left = limit - sum(price for price in taken if price)
    if left <= 0:
        raise UserError(
            f"MAX_HOURLY_COST = {limit:g} is what the machines that were requested may cost.",
            "Raise MAX_HOURLY_COST in config.py and run setup, before you add machines.",
        )
    return left


def _say_types(run: Run, live: Sequence[FleetState], plan: launch_template.Plan) -> None:
    """A fleet keeps what it was requested with; say it if setup has something else by now."""
    wanted = {kind.name for kind in plan.types}
    ids = {state.fleet_id for state in live}
    for entry in run.fleets:
        if entry.fleet_id in ids and entry.machine_types != wanted:
            screen.say(
                f"Fleet {entry.fleet_id} keeps the machine types that it was requested with. To "
                "have those of the last setup: stop, then startCluster."
            )


def _is_confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UserError(
            "startCluster asks before it spends money, and there is no terminal to ask on.",
            "Add --yes to the same command.",
        )
    return input("Start them? [y/N] ").strip().lower() in ("y", "yes")
