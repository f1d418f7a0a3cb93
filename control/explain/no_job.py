"""Why no job runs: situation -> reason."""

from __future__ import annotations

from dataclasses import dataclass

from control.explain.aws_errors import Reason

_LARGER = (
    "Lower {setting} in config.py, or take larger types as MACHINE_TYPE; then: stop, setup, "
    "startCluster. check shows what fits."
)

# What the run itself is like.
RUN: dict[str, Reason] = {
    "everything done": Reason(
        "every job is finished: {done} done, {skipped} skipped.",
        "Nothing is left to do: monitor ends what is still there.",
        True,
    ),
    "dead letters only": Reason(
        "no job is left to run: {failed} of {submitted} failed for good, the others are finished.",
        "See why: python run.py failures; then send them again: python run.py retry",
        True,
    ),
    "no jobs": Reason(
        "no job has been submitted.", "Submit some: python run.py submitJob JOBFILE", True
    ),
    "queue gone": Reason(
        "the queue {queue} is gone, with jobs left ({unfinished}).",
        "Make it again and send what is missing: python run.py retry",
        True,
    ),
    "jobs lost": Reason(
        "the queue is empty, but some submitted jobs ({unfinished}) have no record. Messages in "
        "the dead-letter queue {dead_queue}: {dead}.",
        "Wait three minutes, SQS counts late; then send them again: "
        "python run.py retry --unfinished",
    ),
    "jobs delayed": Reason(
        "all jobs that are left ({delayed}) wait for their next attempt after a failure.",
        "Wait: they come back by themselves, within 15 minutes.",
    ),
}

# What the machines are like.
MACHINES: dict[str, Reason] = {
    "not asked for": Reason(
        "no machine has been asked for.", "Ask for some: python run.py startCluster", True
    ),
    "max run hours": Reason(
        "AWS has ended the machines: MAX_RUN_HOURS ({hours:g}) is over.",
        "Go on with the jobs that are left: python run.py startCluster",
        True,
    ),
    "cancelled": Reason(
        "the machines were ended by stop, by monitor, or by somebody in the account.",
        "Go on with the jobs that are left: python run.py startCluster",
        True,
    ),
    "ended by monitor": Reason(
        "the monitor has ended the machines: {why}.",
        "Mend what it says, then go on with the jobs that are left: python run.py startCluster",
        True,
    ),
    "fleet gone": Reason(
        "the machines that were asked for at {requested} have ended.",
        "Go on with the jobs that are left: python run.py startCluster",
        True,
    ),
    "target zero": Reason(
        "the fleet wants no machine any more.",
        "Ask for machines again: python run.py startCluster",
        True,
    ),
    "machines coming": Reason(
        "AWS has not started a machine yet (asked for {minutes} min ago).",
        "Wait: the first comes mostly within four minutes.",
    ),
    "no machine yet": Reason(
        "no machine has come in {minutes} min, and AWS does not say why.",
        "Wait, the request stays; or put more types into MACHINE_TYPE, then: stop, setup, "
        "startCluster.",
    ),
    "starting": Reason(
        "none of the machines that are up ({machines}) has joined the cluster {cluster} yet.",
        "Wait: a machine takes a minute or two to join.",
    ),
    "agent not registered": Reason(
        "none of the machines that are up ({machines}) has joined the cluster {cluster} within "
        "{minutes} min: they have no way to the internet, or their role does not allow it.",
        "Run check: it names what is missing. Mostly ASSIGN_IP = True, subnets with a NAT gateway "
        "or VPC endpoints, or setupAWS; then: stop, setup, startCluster.",
        True,
    ),
    "agent disconnected": Reason(
        "the ECS agents of all machines ({machines}) have lost their connection to ECS.",
        "Wait five minutes. If it stays: end the machines (stop) and begin again (startCluster).",
    ),
    "draining": Reason(
        "all machines that are up ({machines}) are being taken away.",
        "Wait: others come if jobs are left; else ask for more: python run.py startCluster",
    ),
}

# What the service and its containers are like.
CONTAINERS: dict[str, Reason] = {
    "service gone": Reason(
        "the ECS service {service} is gone.", "Make it again: python run.py startCluster", True
    ),
    "no container wanted": Reason(
        "the service {service} is set to keep no container up.",
        "Set it again: python run.py startCluster",
        True,
    ),
    "containers starting": Reason(
        "containers are starting ({pending}): the image is being loaded.",
        "Wait: a large image takes some minutes.",
    ),
    "no place yet": Reason(
        "no container runs yet on the machines that have joined ({machines}).",
        "Wait a minute. If it stays, the last words of ECS are: {message}",
    ),
}

# Words of a service event ("was unable to place a task because ...") -> reason (ECS guide,
# service event messages).
PLACEMENT: dict[str, Reason] = {
    "insufficient memory": Reason(
        "MEMORY = {MEMORY} does not fit on any machine: {message}",
        _LARGER.replace("{setting}", "MEMORY"),
        True,
    ),
    "insufficient CPU units": Reason(
        "CPU_SHARES = {CPU_SHARES} does not fit on any machine: {message}",
        _LARGER.replace("{setting}", "CPU_SHARES"),
        True,
    ),
    "insufficient GPU": Reason(
        "GPUS_PER_TASK = {GPUS_PER_TASK} does not fit on any machine: {message}",
        _LARGER.replace("{setting}", "GPUS_PER_TASK"),
        True,
    ),
    "missing an attribute": Reason(
        "the machines of the cluster are not this app's: {message}",
        "End them and begin again: stop, setup, startCluster.",
        True,
    ),
    "disconnected agent": MACHINES["agent disconnected"],
}

# Words of why a container stopped -> reason (ECS guide, stopped-task error codes; 137 is 128 +
# SIGKILL, 255 what an "exec format error" ends with).
STOPPED: dict[str, Reason] = {
    "exec format error": Reason(
        "the image is for another kind of processor than the machines: {message}",
        "Build the image for the machines (docker build --platform linux/amd64 or linux/arm64), "
        "or choose other MACHINE_TYPE; then: setup.",
        True,
    ),
    "no matching manifest": Reason(
        "the image is for another kind of processor than the machines: {message}",
        "Build the image for the machines (docker build --platform linux/amd64 or linux/arm64), "
        "or choose other MACHINE_TYPE; then: setup.",
        True,
    ),
    "toomanyrequests": Reason(
        "Docker Hub lets this address load no more images for now: {message}",
        "Wait some hours, or put the image into ECR and name it so in DOCKERHUB_TAG; then: setup.",
    ),
    "no space left on device": Reason(
        "the disk is too small for the image: {message}",
        "Raise EBS_VOL_SIZE in config.py, then: stop, setup, startCluster.",
        True,
    ),
    "pull access denied": Reason(
        "the image {image} is not there, or is private: {message}",
        "Correct DOCKERHUB_TAG in config.py, or send the image: make -C worker push; then: setup.",
        True,
    ),
    "not found": Reason(
        "the image {image} is not there: {message}",
        "Correct DOCKERHUB_TAG in config.py, or send the image: make -C worker push; then: setup.",
        True,
    ),
    "manifest unknown": Reason(
        "the image {image} is not there: {message}",
        "Correct DOCKERHUB_TAG in config.py, or send the image: make -C worker push; then: setup.",
        True,
    ),
    "no basic auth credentials": Reason(
        "the machines may not load the image {image} from ECR: {message}",
        "Run setupAWS, which makes the execution role, then setup.",
        True,
    ),
    "AccessDenied": Reason(
        "a role of the containers lacks a permission: {message}",
        "Run setupAWS, or correct TASK_ROLE_ARN and EXECUTION_ROLE_ARN in config.py; then setup.",
        True,
    ),
    "ResourceInitializationError": Reason(
        "the containers' surroundings could not be made: {message}",
        "Run check: it names a missing way out or role. Then: stop, setup, startCluster.",
        True,
    ),
    "CannotPullContainerError": Reason(
        "the image {image} cannot be loaded: {message}",
        "Correct DOCKERHUB_TAG in config.py, send the image (make -C worker push), or give the "
        "machines a way to it (check); then: setup.",
        True,
    ),
    "OutOfMemory": Reason(
        "the containers need more memory than MEMORY = {MEMORY}: {message}",
        "Raise MEMORY in config.py, then: setup.",
        True,
    ),
    "exited with code 137": Reason(
        "the containers were killed, mostly for more memory than MEMORY = {MEMORY}: {message}",
        "Raise MEMORY in config.py, then: setup.",
        True,
    ),
    "exited with code": Reason(
        "the containers end right after their start: {message}",
        "The log group {log_group} has their last lines. Mend worker/ or the image, then: make -C "
        "worker push, and setup.",
        True,
    ),
    "": Reason(
        "the containers do not start: {message}",
        "Mend what ECS says, then: setup.",
        True,
    ),
}

# These pass by themselves within minutes: nobody need be told while they are young.
PASSING = frozenset(
    {
        *("machines coming", "starting", "containers starting", "no place yet", "draining"),
        *("jobs delayed", "jobs lost"),
    }
)


@dataclass(frozen=True)
class Idle:
    """Why no job runs; `lasting`: waiting does not help, `passing`: nothing is wrong yet."""

    situation: str
    what: str
    fix: str
    lasting: bool
    passing: bool = False


def told(situation: str, reason: Reason, **words: object) -> Idle:
    """A reason with its words filled in."""
    what = reason.sentence.format(**words)
    return Idle(
        situation,
        what[0].upper() + what[1:],
        reason.cure.format(**words),
        reason.users_mistake,
        situation in PASSING,
    )


_TAKES_NONE = "the containers run, but take no job: {message}"

# The first that fits.
REFUSED: dict[str, Reason] = {
    "program not found": Reason(
        _TAKES_NONE,
        "Correct its name in worker/generic-worker.py, or install it in worker/Dockerfile; then: "
        "make -C worker push, setup, startCluster, and retry for the jobs that failed of it.",
        True,
    ),
    "no program that can be started": Reason(
        _TAKES_NONE,
        "Make it a program in worker/Dockerfile (chmod +x, a first line such as #!/bin/sh); then: "
        "make -C worker push, setup, startCluster, and retry for the jobs that failed of it.",
        True,
    ),
    "the disk is full": Reason(
        _TAKES_NONE,
        "Raise EBS_VOL_SIZE in config.py, or let the program write into job.temp_dir, which is "
        "emptied after each job; then: stop, setup, startCluster.",
        True,
    ),
    "the memory is full": Reason(
        _TAKES_NONE,
        "Lower TASKS_PER_MACHINE or DOCKER_CORES in config.py, or take larger types as "
        "MACHINE_TYPE; then: stop, setup, startCluster.",
        True,
    ),
    "is not mounted": Reason(
        _TAKES_NONE,
        "Run check: it names what SOURCE_BUCKET lacks. Or set DOWNLOAD_FILES = True in config.py, "
        "if worker/generic-worker.py downloads its files; then: setup, startCluster.",
        True,
    ),
    "AccessDenied": Reason(
        _TAKES_NONE,
        "Run setupAWS, or correct TASK_ROLE_ARN in config.py; then: setup, startCluster.",
        True,
    ),
    "": Reason(
        _TAKES_NONE,
        "Mend what it says; the log group has more lines. Then: stop, setup, startCluster.",
        True,
    ),
}
