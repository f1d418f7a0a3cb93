"""Findings of `check` -> reason."""

from __future__ import annotations

from control.explain import no_machine
from control.explain.aws_errors import CODES, FAILURES
from control.explain.reason import Reason

_AGAIN = "; then: {setup}"
_AUTO_GROUPS = 'Write "SecurityGroupIds": "auto" in the fleet file'
FOUND: dict[str, Reason] = {
    # config
    "settings changed": Reason("{changes}.", "Register it for the run: {setup}"),
    # credentials
    "other account": Reason(
        "These credentials belong to account {account}; the run was set up in {run_account}.",
        "Set AWS_PROFILE in config.py to a login of account {run_account}.",
    ),
    # buckets
    "no bucket": CODES["NoSuchBucket"],
    "bucket elsewhere": FAILURES["bucket elsewhere"],
    "bucket refused": FAILURES["bucket refused"],
    "bucket not written": Reason(
        "{setting}: you may not write to s3://{bucket}/{prefix}.",
        "Ask your administrator to type `{setupAWS}` with this config.py, or to allow "
        "s3:PutObject there.",
    ),
    # image
    "other image": Reason(
        "DOCKERHUB_TAG of config.py is {image}, but {makefile} builds {built}.",
        "Write the one to run into both: DOCKERHUB_TAG = '{built}', or change the Makefile.",
    ),
    "no image": Reason(
        "{image} is not in {registry}.",
        "Correct DOCKERHUB_TAG in config.py, or send it: {make:-C worker push}",
    ),
    "image not public": Reason(
        "{image} is not on Docker Hub, or is private: machines load it without a password.",
        "Send it ({make:-C worker push}), make it public, or put it into ECR.",
    ),
    "image architecture": Reason(
        "{image} is for {has}, the machines are {needs}.",
        "Build it with `docker build --platform linux/{platform}`, or choose other MACHINE_TYPE.",
    ),
    # roles
    "no role": FAILURES["no role"],
    "role for profile": Reason(
        "{setting} is {arn}, which is {kind}.",
        'Write the ARN of the {wanted} instead; in the fleet file "auto" is right, too.',
    ),
    "not trusted": Reason(
        "The role {name} does not let {service} use it.",
        "Update it ({setupAWS}), or correct who may assume the role.",
    ),
    "empty profile": Reason(
        "The instance profile {name} holds no role.",
        "Update it ({setupAWS}), or put the role into it.",
    ),
    # subnets
    "no subnet": Reason(
        no_machine.REASONS["no subnet"].what,
        'Write "SubnetIds": "auto" in the fleet file, or subnets of {region}.',
    ),
    "subnets apart": Reason(
        "The subnets belong to several VPCs: {vpcs}.",
        "Name subnets of one VPC as SubnetIds in the fleet file.",
    ),
    "no address": Reason(
        "{subnets}: the way out is an internet gateway, and machines get no public address.",
        "Write ASSIGN_IP = True in config.py, or use subnets with a NAT gateway" + _AGAIN,
    ),
    "no way out": Reason(
        "{subnets}: no way to the internet (no gateway in the route table), and no VPC endpoints "
        "for {missing}.",
        "Use other subnets, add a NAT gateway, or ask your administrator for these endpoints.",
    ),
    "few addresses": Reason(
        "The subnets have {free} free addresses for {machines}.",
        "Name larger or more subnets as SubnetIds in the fleet file.",
    ),
    # security groups
    "no group": Reason(
        "There is no security group {groups} in {region}.",
        _AUTO_GROUPS + ".",
    ),
    "group elsewhere": Reason(
        "The security group {group} belongs to {there}, the subnets to {vpc}.",
        _AUTO_GROUPS + ", or groups of {vpc}.",
    ),
    "nothing let out": Reason(
        "The security groups {groups} let nothing out.",
        "Add an outbound rule to one (HTTPS, port 443), or use another group.",
    ),
    # quota
    "no quota": Reason(
        "{quota}: {limit} vCPUs in all, {used} in use; one {type} needs {needs}.",
        "Request more at Service Quotas (Amazon EC2, '{quota}'), or use smaller MACHINE_TYPE.",
    ),
    "small quota": Reason(
        "{quota}: {limit} vCPUs in all, {used} in use: room for {fit} of CLUSTER_MACHINES = "
        "{machines}.",
        "Request more at Service Quotas (Amazon EC2, '{quota}'); until then fewer machines start.",
    ),
    "quota not listed": Reason(
        "AWS does not list this account's quota of spot machines in {region} ({quota}).",
        "Find it at Service Quotas (Amazon EC2) in the AWS console: CLUSTER_MACHINES = {machines} "
        "needs {needs} vCPUs.",
    ),
    "quota not read": Reason(
        "Your login may not read the account's quota of spot machines (it lacks {permission}).",
        "Find it at Service Quotas (Amazon EC2, '{quota}') in the AWS console: CLUSTER_MACHINES = "
        "{machines} needs {needs} vCPUs.",
    ),
    # MEMORY, CPU_SHARES, GPUS_PER_TASK, TASKS_PER_MACHINE
    "memory": Reason(
        "MEMORY = {MEMORY} does not fit on {type}: of its {advertised} MiB at most {most} are for "
        "containers.",
        "Write MEMORY = {advise} or less in config.py, or use larger MACHINE_TYPE" + _AGAIN,
    ),
    "memory close": Reason(
        "MEMORY = {MEMORY} may not fit on {type}: of its {advertised} MiB {least} to {most} are "
        "for containers.",
        "Write MEMORY = {advise} or less in config.py, to be sure" + _AGAIN,
    ),
    "cpu": Reason(
        "CPU_SHARES = {CPU_SHARES} does not fit on {type}: it has {cpu} (1,024 a vCPU).",
        "Write CPU_SHARES = {cpu_a_task} or less in config.py" + _AGAIN,
    ),
    "gpus": Reason(
        "GPUS_PER_TASK = {GPUS_PER_TASK} does not fit on {type}: it has {gpus}.",
        "Lower GPUS_PER_TASK in config.py, or use other MACHINE_TYPE" + _AGAIN,
    ),
    "tasks": Reason(
        "{fit} of TASKS_PER_MACHINE = {tasks} containers fit on {type}.",
        "Write TASKS_PER_MACHINE = {fit}, or for each container MEMORY = {memory_a_task} and "
        "CPU_SHARES = {cpu_a_task} or less" + _AGAIN,
    ),
    # EBS_VOL_SIZE
    "disk": Reason(
        "EBS_VOL_SIZE = {size} is less than the {image} GiB of the machine image {image_id}: "
        "machines get {image}.",
        "Write EBS_VOL_SIZE = {image} or more in config.py.",
    ),
    # price
    "price": Reason(
        "{setting} = {limit:g} is below every spot price of the last day (from ${low:.3f}).",
        "Raise {setting} in config.py, or set it to None" + _AGAIN,
    ),
    "price close": Reason(
        "MACHINE_PRICE = {limit:g} was above only {share} of the last day's spot prices "
        "(${low:.3f} to ${high:.3f}).",
        "Raise MACHINE_PRICE, or set it to None (the market price)" + _AGAIN,
    ),
    # placement score
    "score": Reason(
        "AWS rates the chance of {machines} of these types at {score} of 10.",
        "Put more types into MACHINE_TYPE in config.py: it helps most" + _AGAIN,
    ),
    # JOB_TIMEOUT
    "timeout": Reason(
        "JOB_TIMEOUT allows a job {timeout:g} hours, MAX_RUN_HOURS ends the machines after "
        "{hours:g}.",
        "Lower JOB_TIMEOUT (seconds) or raise MAX_RUN_HOURS in config.py" + _AGAIN,
    ),
    # inputs
    "no inputs": Reason(
        "{absent} that the first jobs name as {named} are not in s3://{bucket}, such as {first}; "
        "not checked: {others}.",
        "Correct the job file, upload the inputs, or correct SOURCE_BUCKET; then submit again.",
    ),
}
