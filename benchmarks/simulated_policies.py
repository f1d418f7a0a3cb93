"""The policies that scale a simulated fleet: this monitor, the reference's, and an oracle."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.simulated_case import CLUSTER, SERVICE, Case
from benchmarks.simulated_site import Site
from control.aws.ecs import ServiceState
from control.aws.fleet import FleetState
from control.aws.sqs import Counts
from control.config import Config
from control.model import JobCounts
from control.monitoring.decide import decide
from control.monitoring.facts import (
    Action,
    DeleteAlarms,
    EndBroken,
    EndCostly,
    EndMachines,
    EndRefusing,
    EndRun,
    Machine,
    Memory,
    Observed,
    PutAlarm,
    Remove,
    SetDesired,
    SetTarget,
)
from control.monitoring.pace import Pace
from embedded_aws.model import Refused
from embedded_aws.model import events as e
from embedded_aws.model.fleets import activity

UP = ("pending", "running")


class Monitor:
    """The monitor of this project: its decision function, its actions as requests to the model."""

    reports, packs = True, False

    def __init__(self, case: Case) -> None:
        self.memory, self.pace = Memory(), Pace()
        self.alarms: frozenset[str] = frozenset()
        self.config = Config(
            APP_NAME="Simulated",
            DOCKERHUB_TAG="a/b:1",
            AWS_REGION="us-east-1",
            AWS_BUCKET="bucket",
            MACHINE_TYPE=("m5.xlarge",),
            CPU_SHARES=1024,
            MEMORY=1000,
            TASKS_PER_MACHINE=case.tasks_per_machine,
            DOCKER_CORES=case.jobs_per_task,
            CLUSTER_MACHINES=case.machines,
        )

    def look(self, site: Site) -> None:
        """Take one step, as the monitor does."""
        seen = observe(site, self.alarms)
        chosen, self.memory = decide(seen, self.memory, self.config, self.pace)
        for action in chosen:
            self._carry_out(site, action)

    def _carry_out(self, site: Site, action: Action) -> None:
        match action:
            case SetDesired(tasks):
                _must(site.do(e.UpdateService(CLUSTER, SERVICE, desired=tasks)))
            case SetTarget(fleet_id, machines):
                _must(site.do(e.ModifyFleet(fleet_id, machines, keep_excess=True)))
            case Remove(machines=spare):
                _remove(site, spare)
            case EndBroken(instance_ids):
                _must(site.do(e.TerminateInstances(instance_ids)))
            case PutAlarm(machine):
                self.alarms |= {f"App_run_{machine.instance_id}"}
                site.put_alarms([machine.instance_id])
            case DeleteAlarms(names):
                self.alarms -= frozenset(names)
            case EndRun():
                end(site)
            case EndMachines() | EndRefusing() | EndCostly():
                raise RuntimeError(f"The monitor ended machines of a healthy run: {action}")


class Reference:
    """The reference's policy: alarms end machines after 15 idle minutes, and every 10 minutes the
    fleet's target follows the jobs in flight once none wait. The run ends at the first step that
    finds the queue empty.
    """

    reports, packs = True, False

    def __init__(self, case: Case) -> None:
        self.next_downscale = 0.0

    def look(self, site: Site) -> None:
        """Take one step of the reference's monitor loop, which counts once a minute."""
        waiting, in_flight = site.counted
        if not waiting and not in_flight:
            end(site)
            return
        instances = site.world.instances
        site.put_alarms(sorted(instances.keys() - site.alarms))
        if site.now >= self.next_downscale:
            self.next_downscale = site.now + 600
            up = sum(i.state in UP for i in instances.values())
            if not waiting and in_flight < up:
                _must(site.do(e.ModifyFleet(site.fleet, in_flight, keep_excess=True)))


class Oracle:
    """A policy that knows the last job of each machine, and ends the machine in that second.

    The fleet stays as it is; `oracle_seconds` counts the payment at the end.
    """

    reports, packs = False, True

    def __init__(self, case: Case) -> None:
        pass

    def look(self, site: Site) -> None:
        """End the run after the last job; scale nothing in before."""
        if site.done == len(site.case.lengths):
            end(site)


def oracle_seconds(site: Site) -> float:
    """Return the seconds from each launch to the end of the machine's last job.

    A machine without a job costs nothing.
    """
    instances = site.world.instances
    return sum(at - instances[machine].launched for machine, at in site.last_work.items())


def end(site: Site) -> None:
    """Take the service and the fleet down."""
    _must(site.do(e.DeleteService(CLUSTER, SERVICE, force=True)))
    _must(site.do(e.CancelFleet(site.fleet, terminate=True)))
    site.over = True


def observe(site: Site, alarms: frozenset[str]) -> Observed:
    """Return what the monitor would learn from AWS."""
    world, now = site.world, site.now
    up = [i for i in world.instances.values() if i.state in UP]
    live = [t for t in world.tasks.values() if t.desired == "RUNNING"]
    on = Counter(t.container_instance for t in live)
    busy_on = Counter(t.container_instance for t in live if t.protected_until > now)
    fleet = world.fleets[site.fleet]
    service = next(iter(world.services.values()))
    running = sum(t.status == "RUNNING" for t in live)
    waiting, in_flight = site.counted
    return Observed(
        now=now,
        queue=Counts(waiting, in_flight, 0),
        jobs=JobCounts(len(site.case.lengths), site.done, 0, 0),
        fleets=(
            FleetState(
                fleet.id,
                fleet.state,
                activity(world, fleet),
                fleet.target,
                tuple(i.id for i in up),
            ),
        ),
        machines=tuple(_machine(world, i, on, busy_on) for i in up),
        service=ServiceState(service.desired, running, len(live) - running),
        alarms=alarms,
        requested={fleet.id: site.requested},
    )


def _machine(world: Any, instance: Any, on: Counter[str], busy_on: Counter[str]) -> Machine:
    arn = instance.container_instance
    return Machine(
        instance_id=instance.id,
        fleet_id=instance.fleet_id,
        launched=instance.launched,
        vcpus=world.machine_types[instance.spec.instance_type].vcpus,
        container_instance=arn,
        draining=bool(arn) and world.container_instances[arn].status == "DRAINING",
        tasks=on[arn] if arn else 0,
        busy_tasks=busy_on[arn] if arn else 0,
        stopping=bool(arn) and len(world.container_instances[arn].tasks) > on[arn],
    )


def _remove(site: Site, spare: tuple[Machine, ...]) -> None:
    """Drain, look again, end; as control/actions does it."""
    _must(
        site.do(
            *(
                e.SetContainerInstanceState(CLUSTER, m.container_instance, "DRAINING")
                for m in spare
                if m.container_instance
            )
        )
    )
    occupied = {t.container_instance for t in site.world.tasks.values() if t.desired == "RUNNING"}
    free = tuple(m.instance_id for m in spare if m.container_instance not in occupied)
    _must(site.do(e.TerminateInstances(free)))


def _must(answers: list[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Refused):
            raise answer
