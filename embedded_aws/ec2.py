"""moto's EC2 with the model's fleets and instances in it."""

from __future__ import annotations

import time
from typing import Any

import moto.ec2.urls as urls
from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response

from embedded_aws.actions import at
from embedded_aws.ec2_fleets import FleetActions
from embedded_aws.ec2_instances import InstanceActions
from embedded_aws.engine import Engine
from embedded_aws.prices import MachineTypes

DEFAULT_ZONES = "abc"
_moto_default_vpc = EC2Backend.create_default_vpc


class EC2Actions(FleetActions, InstanceActions, EC2Response):
    """What is not in the two classes before it is moto's own."""

    def describe_spot_price_history(self) -> ActionResult:
        """DescribeSpotPriceHistory: the invented price of prices.py, as of now."""
        types = MachineTypes()
        filters = self._filters_from_querystring()
        wanted = self.param("InstanceTypes") or filters.get("instance-type") or list(types)
        zone = self.param("AvailabilityZone")
        zones = [zone] if zone else filters.get("availability-zone")
        zones = zones or [f"{self.region}{letter}" for letter in DEFAULT_ZONES]
        products = self.param("ProductDescriptions") or ["Linux/UNIX"]
        history = [
            {
                "InstanceType": name,
                "AvailabilityZone": place,
                "ProductDescription": products[0],
                "SpotPrice": f"{types[name].spot_price:.6f}",
                "Timestamp": at(time.time()),
            }
            for name in wanted
            if name in types
            for place in zones
        ]
        page, more = self.page(history, "MaxResults", "NextToken", 1000)
        return ActionResult({"SpotPriceHistory": page, **more})


def create_default_vpc(self: Any) -> Any:
    """The default VPC has a way out, which moto's has not (VPC guide, default VPC components)."""
    vpc = _moto_default_vpc(self)
    gateway = self.create_internet_gateway()
    self.attach_internet_gateway(gateway.id, vpc.id)
    (main,) = self.describe_route_tables(filters={"vpc-id": vpc.id})
    self.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)
    return vpc


def install(engine: Engine) -> None:
    """Make moto's server use it. Call it before the first request."""
    setattr(EC2Backend, create_default_vpc.__name__, create_default_vpc)
    EC2Actions.engine = engine
    urls.url_paths = {"{0}/": EC2Actions.dispatch}
