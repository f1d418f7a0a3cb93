"""AWS on this computer: moto on loopback, and an honest model of fleets, machines and services.

`running` starts it as a process of its own; nothing else here is for use from outside.
"""

from embedded_aws.starter import Embedded, StartError, running

__all__ = ["Embedded", "StartError", "running"]
