"""The tags that mark the resources of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from control.model import Run

APP_TAG = "distributed-something"
RUN_TAG = "distributed-something:run"
# On EC2's resources only, so that people know whom to ask. No code searches for it: a run can be
# taken over.
OWNER_TAG = "distributed-something:owner"
_LONGEST_VALUE = 256  # EC2 guide, tag restrictions


def of_run(run: Run) -> dict[str, str]:
    """Return the tags of this run in the form of SQS and CloudWatch Logs."""
    return {APP_TAG: run.app_name, RUN_TAG: run.run_id}


def of_ec2(run: Run) -> Any:
    named = {"Name": f"{run.app_name}Worker", OWNER_TAG: run.owner[:_LONGEST_VALUE]}
    return [{"Key": key, "Value": value} for key, value in {**named, **of_run(run)}.items()]


def of_cloudwatch(run: Run) -> Any:
    return [{"Key": key, "Value": value} for key, value in of_run(run).items()]


def filters(run: Run) -> Any:
    """Return the filters by which EC2's Describe calls return this run's resources."""
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in of_run(run).items()]


def is_of_run(run: Run, carried: Any) -> bool:
    """Return whether these tags of EC2 are this run's."""
    return all({"Key": key, "Value": value} in carried for key, value in of_run(run).items())


def of_ecs(run: Run) -> Any:
    return [{"key": key, "value": value} for key, value in of_run(run).items()]


def of_account() -> Any:
    """Return the tags of what setupAWS makes, which belongs to the account, not to a run."""
    return [{"Key": APP_TAG, "Value": "setupAWS"}]
