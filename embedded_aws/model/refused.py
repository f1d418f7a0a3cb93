"""What AWS says no to."""


class Refused(Exception):
    """AWS refuses a request: `code` is AWS's own error code, `message` its sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def cluster_not_found() -> Refused:
    """No such cluster (botocore: ecs, ClusterNotFoundException)."""
    return Refused("ClusterNotFoundException", "Cluster not found.")


def service_not_found() -> Refused:
    """No such service (botocore: ecs, ServiceNotFoundException)."""
    return Refused("ServiceNotFoundException", "Service not found.")


def fleet_not_found(fleet_id: str) -> Refused:
    """No such spot fleet request (EC2 API error codes, InvalidSpotFleetRequestId.NotFound)."""
    return Refused(
        "InvalidSpotFleetRequestId.NotFound",
        f"The spot fleet request ID '{fleet_id}' does not exist",
    )
