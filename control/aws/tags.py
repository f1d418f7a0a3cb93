"""The tags by which the resources of a run are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from control.model import Run

APP_TAG = "distributed-something"

RUN_TAG = "distributed-something:run"

# On EC2's resources only, so that whoever finds them knows whom to ask. A run may be taken over:
# nothing is found by it.
OWNER_TAG = "distributed-something:owner"

_LONGEST_VALUE = 256  # EC2 guide, tag restrictions


def of_run(run: Run) -> dict[str, str]:
    """What a resource of this run is tagged with: SQS and CloudWatch Logs take it as it is."""
    return {APP_TAG: run.app_name, RUN_TAG: run.run_id}


def of_ec2(run: Run) -> Any:
    named = {"Name": f"{run.app_name}Worker", OWNER_TAG: run.owner[:_LONGEST_VALUE]}
    return [{"Key": key, "Value": value} for key, value in {**named, **of_run(run)}.items()]


def of_cloudwatch(run: Run) -> Any:
    return [{"Key": key, "Value": value} for key, value in of_run(run).items()]


def filters(run: Run) -> Any:
    """What makes EC2's Describe calls give this run's own."""
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in of_run(run).items()]


def is_of_run(run: Run, carried: Any) -> bool:
    """Whether these tags of EC2 are this run's."""
    return all({"Key": key, "Value": value} in carried for key, value in of_run(run).items())


def of_ecs(run: Run) -> Any:
    return [{"key": key, "value": value} for key, value in of_run(run).items()]


def of_account() -> Any:
    """What setupAWS tags: it belongs to the account, not to a run."""
    return [{"Key": APP_TAG, "Value": "setupAWS"}]
