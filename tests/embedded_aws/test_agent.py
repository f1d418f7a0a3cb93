import json
import urllib.error
import urllib.request

import pytest


@pytest.fixture
def task(running_app):
    return running_app.tasks_up[0]


def ask(aws, task, path="task-protection/v1/state", body=None):
    """Return status and answer of a request from within the task."""
    url = f"{aws.endpoint}/ecs-agent/{task.rsplit('/', 1)[-1]}/{path}"
    method = "GET" if body is None else "PUT"
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data, method=method), timeout=10
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_task_protects_itself(aws, running_app, task):
    status, answer = ask(aws, task, body={"ProtectionEnabled": True, "ExpiresInMinutes": 60})
    assert (status, answer["protection"]["ProtectionEnabled"]) == (200, True)
    assert answer["protection"]["TaskArn"] == task
    assert ask(aws, task) == (200, answer)
    seen = aws.ecs.get_task_protection(cluster=running_app.name, tasks=[task])["protectedTasks"]
    assert [(one["taskArn"], one["protectionEnabled"]) for one in seen] == [(task, True)]
    every = aws.ecs.get_task_protection(cluster=running_app.name)["protectedTasks"]
    assert [one["protectionEnabled"] for one in every].count(True) == 1
    ask(aws, task, body={"ProtectionEnabled": False})
    assert ask(aws, task)[1]["protection"] == {"ProtectionEnabled": False, "TaskArn": task}


def test_worker_finds_the_endpoint_in_its_environment(app, wait_for):
    (task,) = app.up(1, 1, "protect")
    wait_for(lambda: f'"TaskArn": "{task}"' in app.output(task))


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        {},
        {"ProtectionEnabled": "yes"},
        {"ProtectionEnabled": True, "ExpiresInMinutes": 0},
        [],
    ],
    ids=["no JSON", "empty", "text", "too short", "list"],
)
def test_wrong_request_is_refused(aws, task, body):
    status, answer = ask(aws, task, body=body)
    assert (status, answer["error"]["Code"]) == (400, "InvalidParameterException")


def test_task_that_is_to_stop_gets_no_protection(aws, app):
    (task,) = app.up(1, 1)
    aws.ecs.update_task_protection(cluster=app.name, tasks=[task], protectionEnabled=True)
    aws.ecs.stop_task(cluster=app.name, task=task)
    status, answer = ask(aws, task, body={"ProtectionEnabled": True})
    assert (status, answer["failure"]["Reason"]) == (200, "TASK_NOT_VALID")
    answer = aws.ecs.update_task_protection(
        cluster=app.name, tasks=[task, "absent"], protectionEnabled=True
    )
    assert [one["reason"] for one in answer["failures"]] == ["TASK_NOT_VALID", "MISSING"]


def test_metadata_names_task_and_container(aws, running_app, task):
    assert ask(aws, task, "v4")[1]["Name"] == "worker"
    status, answer = ask(aws, task, "v4/task")
    assert (status, answer["TaskARN"], answer["Family"]) == (200, task, running_app.name)
    assert ask(aws, "unknown")[0] == 404
    assert ask(aws, task, "nonsense")[0] == 404
