"""AWS on this computer: moto on loopback, and an honest model of fleets, machines and services.

`running` starts it as a process of its own; other modules use only the names below.
"""

from embedded_aws.container_engine import ContainerEngine, NoEngine, find_engine
from embedded_aws.starter import Embedded, StartError, running

__all__ = ["ContainerEngine", "Embedded", "NoEngine", "StartError", "find_engine", "running"]
