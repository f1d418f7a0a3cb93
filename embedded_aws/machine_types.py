"""EC2's machine types from moto, with spot prices that are invented but plausible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from moto.ec2.models.instance_types import INSTANCE_TYPES

from embedded_aws.model.things import MachineType

# Guess: about the on-demand price of a vCPU hour and a GPU hour in USD, and the usual spot share.
ON_DEMAND_VCPU = 0.048
ON_DEMAND_GPU = 0.50
SPOT_SHARE = 0.35


class MachineTypes(Mapping[str, MachineType]):
    """All of EC2's types by name, each made on access."""

    def __getitem__(self, name: str) -> MachineType:
        facts = INSTANCE_TYPES[name]
        vcpus = int(facts["VCpuInfo"]["DefaultVCpus"])
        gpus = sum(int(gpu["Count"]) for gpu in facts.get("GpuInfo", {}).get("Gpus", []))
        return MachineType(
            vcpus=vcpus,
            memory=int(facts["MemoryInfo"]["SizeInMiB"]),
            gpus=gpus,
            architecture=facts["ProcessorInfo"]["SupportedArchitectures"][-1],
            spot_price=spot_price(vcpus, gpus),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(INSTANCE_TYPES)

    def __len__(self) -> int:
        return len(INSTANCE_TYPES)


def spot_price(vcpus: int, gpus: int) -> float:
    """Return the price in USD an hour, the same in all zones and at all times."""
    return round(SPOT_SHARE * (ON_DEMAND_VCPU * vcpus + ON_DEMAND_GPU * gpus), 4)
