"""startCluster: machines for the jobs that wait, after showing what they cost."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from control import (
    auto_monitor,
    cluster,
    dashboard,
    fleet,
    fleet_file,
    machines,
    prices,
    records,
    screen,
    setup,
)
from control.account import AWS
from control.errors import ExplainedError, UserError
from control.records import Run
from control.settings import Config
from control.words import several

# AWS usually brings the first machine within two to four minutes; after this we say why not.
WAIT_SECONDS = 600
POLL_SECONDS = 10
# What the monitor remembers is of the machines before these.
_FRESH: dict[str, Any] = {"memory": {}, "end_reason": "", "mailed": False}


class Declined(Exception):
    """The user was asked and does not want the machines: no mistake, and nothing was changed."""


def wanted_machines(settings: dict[str, Any], jobs: int) -> int:
    """CLUSTER_MACHINES, but never more machines than the unfinished jobs can fill."""
    at_once: int = settings["TASKS_PER_MACHINE"] * settings["DOCKER_CORES"]
    machines_at_most: int = settings["CLUSTER_MACHINES"]
    return min(machines_at_most, math.ceil(jobs / at_once))


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
    count = records.count(aws.s3, run)
    unfinished = count.submitted - count.finished
    if unfinished <= 0:
        raise ExplainedError(
            f"{run.app_name} has no unfinished jobs, so machines would have nothing to do.",
            "Submit some first: python run.py submitJob files/exampleJob.json",
        )
    target = wanted_machines(run.settings, unfinished)
    if target < run.settings["CLUSTER_MACHINES"]:
        screen.say(
            f"{several(unfinished, 'job')} fill {several(target, 'machine')} (TASKS_PER_MACHINE x "
            f"DOCKER_CORES jobs on each): {target} instead of CLUSTER_MACHINES = "
            f"{run.settings['CLUSTER_MACHINES']}."
        )
    run = _finish_request(aws, run)
    live = [f for f in fleet.describe(aws.ec2, _ids(run)) if f.state in fleet.LIVE_STATES]
    file = fleet_file.read(path)
    for note in file.notes:
        screen.say(f"{path}: {note}")
    plan = machines.plan(aws, config, file)
    function_arn, same_version = auto_monitor.find(aws, run)
    if not same_version:
        screen.say("The auto-monitor is of another version than this one: run setupAWS again.")
    _say_price(aws, run, plan, target, clock())
    if not (yes or _is_confirmed()):
        raise Declined
    if live and not add:
        run = _confirmed(aws, run, live[-1].fleet_id, target)
        fleet.set_target(aws.ec2, live[-1].fleet_id, target, terminate=False)
        screen.say(f"Fleet {live[-1].fleet_id} resized: {live[-1].target} -> {target} machines.")
    else:
        run = _request(aws, run, plan, target, clock())
        screen.say(f"Fleet {_ids(run)[-1]} requested: {several(target, 'machine')}.")
    cluster.ensure_service(aws.ecs, run, run.task_definition)
    extra = sum(f.target for f in live) if add else 0
    cluster.set_desired(aws.ecs, run, (target + extra) * int(run.settings["TASKS_PER_MACHINE"]))
    run = auto_monitor.begin(aws, run, function_arn)
    if run.schedule:
        screen.say("The auto-monitor watches the run from now on: your computer may be off.")
    if run.settings["CREATE_DASHBOARD"]:
        dashboard.put(aws.cloudwatch, run)
    return run


def _confirmed(aws: AWS, run: Run, fleet_id: str, target: int) -> Run:
    """Write down how many machines of a fleet the monitor may want from now on."""

    def resized(now: Run) -> Run:
        fleets = [{**f, "target": target} if f["fleet_id"] == fleet_id else f for f in now.fleets]
        return dataclasses.replace(now, fleets=fleets)

    return records.change(aws.s3, run, resized)


def _ids(run: Run) -> list[str]:
    return [f["fleet_id"] for f in run.fleets if f["fleet_id"]]


def _say_price(aws: AWS, run: Run, plan: machines.Plan, target: int, now: float) -> None:
    settings = run.settings
    hours = settings["MAX_RUN_HOURS"]
    found = prices.last_day(aws.ec2, plan, now)
    if found is None:
        screen.say("EC2 tells no spot price for these machine types in these zones.")
    else:
        cost = prices.estimate(
            found, target, hours, settings["MACHINE_PRICE"], settings["MAX_HOURLY_COST"]
        )
        screen.say(prices.in_words(cost, [t.name for t in plan.types], target, hours))
    if settings["MACHINE_PRICE"] is None and settings["MAX_HOURLY_COST"] is None:
        screen.say(
            "No limit of price is set (MACHINE_PRICE, MAX_HOURLY_COST): the market price is paid, "
            "which is never above the on-demand price."
        )


def _is_confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UserError(
            "startCluster asks before it spends money, and there is no terminal to ask on.",
            "Add --yes to the same command.",
        )
    return input("Start them? [y/N] ").strip().lower() in ("y", "yes")


def _request(aws: AWS, run: Run, plan: machines.Plan, target: int, now: float) -> Run:
    """Write down what will be requested, then request it: a crash in between orphans nothing."""
    number = len(run.fleets) + 1
    template = f"{run.app_name}-{run.run_id}-{number}"
    token = str(uuid.uuid4())
    valid_until = now + run.settings["MAX_RUN_HOURS"] * 3600
    request = fleet.request_config(run, plan, template, token, target, valid_until)
    entry = {
        "fleet_id": "",
        "template": template,
        "template_data": machines.launch_template_data(run, plan),
        "request": request,
        "requested": records.utc(now),
    }
    run = records.change(
        aws.s3, run, lambda r: dataclasses.replace(r, fleets=[*r.fleets, entry], **_FRESH)
    )
    records.put_json(aws.s3, run.bucket, f"{run.prefix}snapshot/fleet.json", entry)
    return _finish_request(aws, run)


def _finish_request(aws: AWS, run: Run) -> Run:
    """Request every fleet that is written down without an id: it may exist already.

    EC2 gives the same fleet for the same ClientToken, so this can be repeated.
    """
    for entry in run.fleets:
        if entry["fleet_id"]:
            continue
        fleet.ensure_launch_template(aws.ec2, run, entry["template"], entry["template_data"])
        try:
            fleet_id = fleet.request(aws.ec2, entry["request"])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                _forget(aws, run, entry["template"])
            raise

        def with_id(now: Run, template: str = entry["template"], found: str = fleet_id) -> Run:
            fleets = [
                {**f, "fleet_id": found} if f["template"] == template else f for f in now.fleets
            ]
            return dataclasses.replace(now, fleets=fleets)

        run = records.change(aws.s3, run, with_id)
    return run


def _forget(aws: AWS, run: Run, template: str) -> None:
    """EC2 refused this request for good: it must not be repeated by the next startCluster."""
    records.change(
        aws.s3,
        run,
        lambda r: dataclasses.replace(r, fleets=[f for f in r.fleets if f["template"] != template]),
    )
    fleet.delete_launch_template(aws.ec2, template)


def wait_for_machines(
    aws: AWS,
    run: Run,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    poll_seconds: float = POLL_SECONDS,
) -> bool:
    """Wait until the first container runs, with a live count; False if none came in ten minutes.

    Nothing depends on waiting: it may be broken off.
    """
    began, said = clock(), ""
    while clock() - began < WAIT_SECONDS:
        fleets = fleet.describe(aws.ec2, _ids(run))
        up = sum(len(f.instances) for f in fleets)
        registered = len(cluster.machines(aws.ecs, run))
        service = cluster.service_state(aws.ecs, run)
        running = service.running if service else 0
        line = (
            f"Machines: {sum(f.target for f in fleets)} wanted, {up} up, {registered} registered; "
            f"containers running: {running}"
        )
        if line != said:
            screen.say(line)
            said = line
        if running:
            return True
        sleep(poll_seconds)
    return False


def say_why_not(aws: AWS, run: Run) -> None:
    """Show what EC2 says about the fleets: the whole history, not its last line."""
    began = records.seconds(run.fleets[-1]["requested"])
    lines = [line for fleet_id in _ids(run) for line in fleet.history(aws.ec2, fleet_id, began)]
    screen.say(f"No container runs after {WAIT_SECONDS // 60} minutes. EC2 says:")
    for line in dict.fromkeys(lines):
        screen.say(f"  {line}")


def monitor_file(config: Config) -> Path:
    """Where startCluster writes what monitor reads when it is given no file."""
    return config.project / "files" / f"{config.APP_NAME}SpotFleetRequestId.json"


def write_monitor_file(config: Config, run: Run) -> Path:
    """Write the monitor file: which run to watch, under the names of Distributed-Something."""
    path = monitor_file(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "MONITOR_APP_NAME": run.app_name,
        "MONITOR_RUN_ID": run.run_id,
        "MONITOR_BUCKET_NAME": run.bucket,
        "MONITOR_FLEET_ID": _ids(run)[-1],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
