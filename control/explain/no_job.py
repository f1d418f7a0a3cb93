"""Reasons why no job runs: symptom of the queue, the machines and the containers -> reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from control.explain.reason import Explained, Reason, classify

if TYPE_CHECKING:
    from control.config import Config

_AGAIN = "{stop} && {setup} && {startCluster}"
_CONTINUE = "Continue with the jobs that are left: {startCluster}"
_PUSHED = "{make:-C worker push} && {setup}"
RUN: dict[str, Reason] = {
    "everything done": Reason(
        "Every job is finished: {done} done, {skipped} skipped.",
        "Nothing is left to do. To end what still exists: {monitor}",
    ),
    "dead letters only": Reason(
        "No job is left to run: {failed} of {submitted} failed for good, the others are finished.",
        "See why ({failures}), then send them again: {retry}. Or end what still exists: {monitor}",
    ),
    "no jobs": Reason("No job has been submitted.", "Submit jobs: {submitJob:JOBFILE}"),
    "queue gone": Reason(
        "The queue {queue} does not exist any longer, and jobs are left ({unfinished}).",
        "Recreate it and send the missing jobs: {retry}",
    ),
    "jobs lost": Reason(
        "The queue is empty, but some submitted jobs ({unfinished}) have no record. Messages in "
        "the dead-letter queue {dead_queue}: {dead}.",
        "SQS counts late: check again in three minutes ({status}), then send them again: "
        "{retry:--unfinished}",
        waiting_helps=True,
    ),
    "jobs delayed": Reason(
        "All jobs that are left ({delayed}) wait for their next attempt after a failure.",
        "Wait: they are tried again within 15 minutes. To see it: {status:--watch}",
        waiting_helps=True,
        passing=True,
    ),
}
_DISCONNECTED = Reason(
    "The ECS agents of all machines ({machines}) have lost their connection to ECS.",
    "Wait five minutes (to watch: {status:--watch}). If it does not change, replace the machines: "
    "{stop} && {startCluster}",
    waiting_helps=True,
)
MACHINES: dict[str, Reason] = {
    "not requested": Reason("No machines have been requested.", "Request them: {startCluster}"),
    "ended by monitor": Reason(
        "The monitor has ended the machines: {why}.",
        "Fix the cause, then continue with the jobs that are left: {startCluster}",
    ),
    "fleet gone": Reason("The machines that were requested at {requested} have ended.", _CONTINUE),
    "target zero": Reason(
        "The fleet is set to keep no machines.", "Request machines again: {startCluster}"
    ),
    "machines coming": Reason(
        "AWS has not started a machine yet (requested {minutes} min ago).",
        "Wait: the first machine usually starts within four minutes. To see it: {status:--watch}",
        waiting_helps=True,
        passing=True,
    ),
    "no machine yet": Reason(
        "No machine has started in {minutes} min, and AWS reports no reason.",
        "Wait, the request stays (to watch: {status:--watch}), or put more types into MACHINE_TYPE "
        f"in config.py, then: {_AGAIN}",
        waiting_helps=True,
    ),
    "starting": Reason(
        "None of the running machines ({machines}) has joined the cluster {cluster} yet.",
        "Wait: a machine takes a minute or two to join. To see it: {status:--watch}",
        waiting_helps=True,
        passing=True,
    ),
    "agent not registered": Reason(
        "None of the running machines ({machines}) has joined the cluster {cluster} within "
        "{minutes} min: they cannot reach the internet, or their role does not allow it.",
        "Find what is missing ({check}): usually ASSIGN_IP = True, subnets with a NAT gateway or "
        f"VPC endpoints, or the roles. Then: {_AGAIN}",
    ),
    "agent disconnected": _DISCONNECTED,
    "draining": Reason(
        "All running machines ({machines}) are being removed.",
        "Wait, others start if jobs are left (to watch: {status:--watch}). If none do, request "
        "more: {startCluster}",
        waiting_helps=True,
        passing=True,
    ),
}
CONTAINERS: dict[str, Reason] = {
    "service gone": Reason(
        "The ECS service {service} does not exist any longer.", "Recreate it: {startCluster}"
    ),
    "no container wanted": Reason(
        "The service {service} is set to keep no containers running.", "Restore it: {startCluster}"
    ),
    "containers starting": Reason(
        "Containers are starting ({pending}): the machines load the image.",
        "Wait: a large image takes some minutes. To see it: {status:--watch}",
        waiting_helps=True,
        passing=True,
    ),
    "no place yet": Reason(
        "No container runs yet on the machines that have joined ({machines}). The last message of "
        "ECS: {message}",
        "Wait a minute: {status:--watch}",
        waiting_helps=True,
        passing=True,
    ),
}


def _does_not_fit(setting: str) -> Reason:
    return Reason(
        f"{setting} = {{{setting}}} does not fit on any machine: {{message}}",
        f"Lower {setting} in config.py, or use larger types as MACHINE_TYPE; then: {_AGAIN}",
    )


# ECS's words for why it cannot place a task (ECS guide, service event messages).
_UNABLE = "unable to place a task"
_PLACEMENT_WORDS = {
    "insufficient memory": "memory does not fit",
    "insufficient CPU units": "CPU does not fit",
    "insufficient GPU": "GPUs do not fit",
    "missing an attribute": "other machines",
    "disconnected agent": "agent disconnected",
}
PLACEMENT: dict[str, Reason] = {
    "memory does not fit": _does_not_fit("MEMORY"),
    "CPU does not fit": _does_not_fit("CPU_SHARES"),
    "GPUs do not fit": _does_not_fit("GPUS_PER_TASK"),
    "other machines": Reason(
        "The machines of the cluster do not belong to this app: {message}",
        f"Replace them: {_AGAIN}",
    ),
    "agent disconnected": _DISCONNECTED,
}
# Words of why a container stopped; the first that fits counts (ECS guide, stopped-task errors).
_STOPPED_WORDS = {
    "exec format error": "other processor",
    "no matching manifest": "other processor",
    "toomanyrequests": "too many pulls",
    "no space left on device": "image too large",
    "pull access denied": "no image",
    "not found": "no image",
    "manifest unknown": "no image",
    "no basic auth credentials": "image refused",
    "AccessDenied": "container role refused",
    "ResourceInitializationError": "container not prepared",
    "CannotPullContainerError": "image not loaded",
    "OutOfMemory": "out of memory",
}
# 128 + SIGKILL.
_KILLED = 137
_OTHER_STOP = "container stopped"
_MORE_MEMORY = "Raise MEMORY in config.py, then: {setup}"
STOPPED: dict[str, Reason] = {
    "other processor": Reason(
        "The image is for another kind of processor than the machines have: {message}",
        "Choose other types as MACHINE_TYPE in config.py; or build the image for these (docker "
        "build --platform linux/amd64 or linux/arm64). Then: {setup}",
    ),
    "too many pulls": Reason(
        "Docker Hub refuses more downloads to this address for now: {message}",
        "Wait some hours (to watch: {status:--watch}), or put the image into ECR and name it so in "
        "DOCKERHUB_TAG, then: {setup}",
        waiting_helps=True,
    ),
    "image too large": Reason(
        "The disk is too small for the image: {message}",
        f"Raise EBS_VOL_SIZE in config.py, then: {_AGAIN}",
    ),
    "no image": Reason(
        "The image {image} does not exist, or is private: {message}",
        "Send the image ({make:-C worker push}), or correct DOCKERHUB_TAG in config.py; then: "
        "{setup}",
    ),
    "image refused": Reason(
        "The machines may not load the image {image} from ECR: {message}",
        "Create the execution role: {setupAWS} && {setup}",
    ),
    "container role refused": Reason(
        "A role of the containers lacks a permission: {message}",
        "Update the roles ({setupAWS}), or correct TASK_ROLE_ARN and EXECUTION_ROLE_ARN in "
        "config.py; then: {setup}",
    ),
    "container not prepared": Reason(
        "ECS could not prepare the environment of the containers: {message}",
        f"Find what is missing ({{check}}): a way to the internet or a role. Then: {_AGAIN}",
    ),
    "image not loaded": Reason(
        "The image {image} cannot be loaded: {message}",
        "Find what is wrong with the image or the way to it ({check}), and fix it; then: {setup}",
    ),
    "out of memory": Reason(
        "The containers need more memory than MEMORY = {MEMORY}: {message}", _MORE_MEMORY
    ),
    "container killed": Reason(
        "The containers were killed, usually because they need more memory than MEMORY = {MEMORY}: "
        "{message}",
        _MORE_MEMORY,
    ),
    "container exited": Reason(
        "The containers exit right after their start: {message}",
        "The log group {log_group} has their last lines. Fix worker/ or the image, then: "
        f"{_PUSHED}",
    ),
    _OTHER_STOP: Reason(
        "The containers do not start: {message}", "Fix the problem that ECS reports, then: {setup}"
    ),
}
_REFUSES = "The containers run, but accept no jobs: {message}"
_RETRIED = " && {startCluster} && {retry}"
# The cause that a worker names in its log, a word of contract 2 -> reason.
REFUSED: dict[str, Reason] = {
    "missing_program": Reason(
        _REFUSES,
        "Correct its name in worker/generic-worker.py, or install it in worker/Dockerfile (a "
        "script needs chmod +x and a first line such as #!/bin/sh). Then: " + _PUSHED + _RETRIED,
    ),
    "missing_module": Reason(
        _REFUSES,
        "Install the module in worker/Dockerfile, or correct its name in worker/generic-worker.py. "
        "Then: " + _PUSHED + _RETRIED,
    ),
    "disk_full": Reason(
        _REFUSES,
        "Raise EBS_VOL_SIZE in config.py, or let the program write into job.temp_dir, which is "
        f"emptied after each job. Then: {_AGAIN}",
    ),
    "out_of_memory": Reason(
        _REFUSES,
        "Lower TASKS_PER_MACHINE or DOCKER_CORES in config.py, or use larger types as "
        f"MACHINE_TYPE. Then: {_AGAIN}",
    ),
    "not_mounted": Reason(
        _REFUSES,
        "Find what SOURCE_BUCKET lacks ({check}); or set DOWNLOAD_FILES = True in config.py, if "
        "worker/generic-worker.py downloads its files. Then: {setup} && {startCluster}",
    ),
    "refused_by_aws": Reason(
        _REFUSES,
        "Update the role of the containers ({setupAWS}), or correct TASK_ROLE_ARN in config.py; "
        "then: {setup} && {startCluster}",
    ),
    "queue_gone": Reason(
        _REFUSES, "Recreate the queue and send the missing jobs: {retry} && {startCluster}"
    ),
    "": Reason(
        _REFUSES,
        "Fix the problem that the message names; the log group {log_group} has more lines. Then: "
        f"{_AGAIN}",
    ),
}


def placement(last_word: str, config: Config) -> Explained | None:
    """Explain ECS's last message about the service; None if the machines can take a container."""
    symptom = classify(last_word, _PLACEMENT_WORDS) if _UNABLE in last_word else ""
    if not symptom:
        return None
    names = ("MEMORY", "CPU_SHARES", "GPUS_PER_TASK")
    values = {name: getattr(config, name) for name in names}
    return PLACEMENT[symptom].fill(symptom, **values, machines="all", message=plain(last_word))


def stop_symptom(why: str, exit_code: int | None) -> str:
    """Return the symptom in ECS's reason why a container stopped, or in its exit code if it ran.

    "" for one not known here.
    """
    symptom = classify(why, _STOPPED_WORDS)
    if symptom or exit_code is None:
        return symptom
    return "container killed" if exit_code == _KILLED else "container exited"


def stopped(why: str, exit_code: int | None, config: Config) -> Explained:
    """Explain ECS's reason why a container stopped, and its exit code if it ran."""
    symptom = stop_symptom(why, exit_code) or _OTHER_STOP
    return STOPPED[symptom].fill(
        symptom,
        message=why.rstrip(".") + ".",
        image=config.DOCKERHUB_TAG,
        MEMORY=config.MEMORY,
        log_group=config.LOG_GROUP_NAME,
    )


def refused(refusals: Sequence[tuple[str, str]], config: Config) -> Explained:
    """Explain why running containers accept no jobs, by (cause, reason) pairs, the newest last."""
    cause, why = refusals[-1] if refusals else ("", "their log has no reason")
    reason = REFUSED.get(cause, REFUSED[""])
    message = why.rstrip(".") + "."
    return reason.fill(cause or "accept no jobs", message=message, log_group=config.LOG_GROUP_NAME)


def plain(message: str) -> str:
    """Return ECS's message without the name of the service before it and the advice after it."""
    text = message.split(") ", 1)[-1] if message.startswith("(service") else message
    return text.split(" For more information", 1)[0]
