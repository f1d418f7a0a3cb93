"""The pools of a fleet's instances: a type in a zone, with a price and a capacity."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from embedded_aws.model import instances
from embedded_aws.model.fleet_history import record
from embedded_aws.model.things import NEVER, Fleet, Instance, LaunchSpec
from embedded_aws.model.world import Turn, World

UP = ("pending", "running")
NO_CAPACITY = (
    "There is no Spot capacity available that matches your request. "
    "(Service: AmazonEC2; Status Code: 500; Error Code: InsufficientInstanceCapacity)"
)


def members(world: World) -> dict[str, list[Instance]]:
    """Return the pending and running instances of each fleet."""
    found: dict[str, list[Instance]] = defaultdict(list)
    for instance in world.instances.values():
        if instance.state in UP:
            found[instance.fleet_id].append(instance)
    return found


def launch(turn: Turn, fleet: Fleet, up: list[Instance]) -> Fleet:
    """Launch what the fleet lacks, within prices, quota and capacity; record why it cannot."""
    market = _Market(turn.world)
    weight = sum(i.spec.weight for i in up)
    problems: dict[str, str] = {}
    while weight < fleet.target:
        spec = market.choose(fleet, problems)
        if spec is None:
            break
        instance = instances.launch(turn, fleet, spec)
        market.take(spec)
        weight += spec.weight
        fleet = record(
            fleet,
            turn.now,
            "instanceChange",
            "launched",
            f'{{"instanceType":"{spec.instance_type}","image":"{spec.image_id}",'
            f'"productDescription":"Linux/UNIX","availabilityZone":"{spec.availability_zone}"}}',
            instance.id,
        )
    if weight >= fleet.target:
        return replace(fleet, placed=True, next_launch=NEVER, last_problem="")
    fleet = _record_problems(fleet, turn.now, problems)
    retry = turn.now + turn.world.timings.retry_capacity
    return replace(fleet, placed=True, next_launch=retry if fleet.maintain else NEVER)


def _record_problems(fleet: Fleet, now: float, problems: dict[str, str]) -> Fleet:
    """Record each problem once, until it changes; sub types as botocore's ec2.EventInformation."""
    key = "; ".join(sorted(problems))
    if key == fleet.last_problem:
        return fleet
    for text, sub_type in problems.items():
        kind = "information" if sub_type in INFORMATION else "error"
        fleet = record(fleet, now, kind, sub_type, text)
    if "launchSpecTemporarilyBlacklisted" in problems.values():
        fleet = record(
            fleet,
            now,
            "error",
            "allLaunchSpecsTemporarilyBlacklisted",
            "Several attempts to launch instances have failed. Either the request could not be "
            "satisfied or the configuration is not valid. We will retry the request again later.",
        )
    return replace(fleet, last_problem=key)


INFORMATION = ("launchSpecTemporarilyBlacklisted", "launchSpecUnusable", "fleetProgressHalted")


class _Market:
    """The capacity left at one moment, counted down with each launch."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.used: Counter[str] = Counter()
        self.vcpus = 0
        self.hourly: dict[str, float] = defaultdict(float)
        for instance in world.instances.values():
            if instance.state in UP:
                self._count(instance.spec)
                self.hourly[instance.fleet_id] += self._price(instance.spec)

    def choose(self, fleet: Fleet, problems: dict[str, str]) -> LaunchSpec | None:
        """Return the best pool that can launch one more; `problems` gets why others cannot."""
        best: tuple[tuple[float, ...], LaunchSpec] | None = None
        for order, spec in enumerate(fleet.specs):
            problem = self._problem(fleet, spec)
            if problem:
                problems.setdefault(problem[1], problem[0])
                continue
            rank = (*self._rank(fleet, spec), order)
            if best is None or rank < best[0]:
                best = rank, spec
        if best is None:
            return None
        problems.clear()
        self.hourly[fleet.id] += self._price(best[1])
        return best[1]

    def take(self, spec: LaunchSpec) -> None:
        """Count one more instance of this pool."""
        self._count(spec)

    def _count(self, spec: LaunchSpec) -> None:
        for name in _names(spec):
            self.used[name] += 1
        self.vcpus += self.world.machine_types[spec.instance_type].vcpus

    def _price(self, spec: LaunchSpec) -> float:
        return self.world.machine_types[spec.instance_type].spot_price

    def _rank(self, fleet: Fleet, spec: LaunchSpec) -> tuple[float, ...]:
        """Return a rank, lower is better (ec2.SpotFleetRequestConfigData.AllocationStrategy)."""
        name = f"{spec.instance_type}/{spec.availability_zone}"
        price = self._price(spec) / spec.weight
        if fleet.strategy == "diversified":
            return self.used[name], price
        if fleet.strategy.startswith("capacityOptimized"):
            return -self._left(spec), price
        return price, self.used[name]

    def _left(self, spec: LaunchSpec) -> float:
        capacity = self.world.capacity
        return min(
            (capacity[n] - self.used[n] for n in _names(spec) if n in capacity), default=NEVER
        )

    def _problem(self, fleet: Fleet, spec: LaunchSpec) -> tuple[str, str] | None:
        """Return why this pool cannot launch one more: (sub type, description)."""
        place = f"{spec.instance_type}, {spec.image_id}, Linux/UNIX, {spec.availability_zone}"
        if spec.fault:
            return "spotFleetRequestConfigurationInvalid", f"{place}: {spec.fault}"
        price = self._price(spec)
        limit = spec.max_price if spec.max_price is not None else fleet.max_price
        if limit is not None and price > limit * spec.weight:
            return (
                "launchSpecUnusable",
                f"{place}: Spot price {price:.4f} is above the maximum price {limit:.4f}",
            )
        total = self.hourly[fleet.id] + price
        if fleet.max_total_price is not None and total > fleet.max_total_price:
            return (
                "fleetProgressHalted",
                f"{total:.4f} would exceed the maximum total price {fleet.max_total_price:.4f}",
            )
        vcpus = self.vcpus + self.world.machine_types[spec.instance_type].vcpus
        if self.world.vcpu_quota is not None and vcpus > self.world.vcpu_quota:
            return "spotInstanceCountLimitExceeded", "Max spot instance count exceeded"
        if self._left(spec) <= 0:
            return "launchSpecTemporarilyBlacklisted", f"{place}: {NO_CAPACITY}"
        return None


def _names(spec: LaunchSpec) -> tuple[str, ...]:
    kind, zone = spec.instance_type, spec.availability_zone
    return f"{kind}/{zone}", kind, zone, "*"
