import pytest


def events(app):
    return [event["message"] for event in app.service()["events"]]


def test_tasks_run_on_the_machines_of_the_fleet(aws, running_app):
    app = running_app
    service = app.service(include=["TAGS"])
    assert (service["runningCount"], service["pendingCount"], service["desiredCount"]) == (2, 0, 2)
    assert service["tags"] == [{"key": "app", "value": app.name}]
    assert "tags" not in app.service()
    listed = aws.ecs.list_tags_for_resource(resourceArn=service["serviceArn"])
    assert listed["tags"] == service["tags"]
    assert service["deployments"][0]["rolloutState"] == "COMPLETED"
    assert events(app)[0] == f"(service {app.name}) has reached a steady state."
    described = app.tasks()
    assert {t["taskArn"] for t in described} == set(app.tasks_up)
    assert all(t["lastStatus"] == "RUNNING" and "startedAt" in t for t in described)
    assert all(t["group"] == f"service:{app.name}" for t in described)
    assert all(t["tags"] == [{"key": "app", "value": app.name}] for t in described)
    cluster = aws.ecs.describe_clusters(clusters=[app.name])["clusters"][0]
    assert cluster["runningTasksCount"] == cluster["registeredContainerInstancesCount"] == 2
    assert cluster["activeServicesCount"] == 1


def test_service_without_machines_says_so(app):
    app.serve(1)
    assert "No Container Instances were found in your cluster" in events(app)[0]
    assert app.service()["runningCount"] == 0


def test_the_output_of_a_worker_is_logged(aws, running_app, wait_for):
    task = running_app.tasks_up[0].rsplit("/", 1)[-1]
    name = {"logGroupName": running_app.name, "logStreamName": f"app/worker/{task}"}
    found = wait_for(lambda: aws.logs.get_log_events(**name)["events"])
    assert [one["message"] for one in found] == ["hello from loop"]


def test_scale_in_stops_by_sigterm_and_spares_protected_tasks(aws, app, wait_for):
    tasks = app.up(1, 2)
    wait_for(lambda: all("hello" in app.output(task) for task in tasks))
    aws.ecs.update_task_protection(cluster=app.name, tasks=tasks[:1], protectionEnabled=True)
    app.scale(0)
    (ended,) = wait_for(lambda: [t for t in app.tasks("STOPPED") if t["lastStatus"] == "STOPPED"])
    assert ended["taskArn"] == tasks[1]
    assert ended["stopCode"] == "ServiceSchedulerInitiated"
    assert ended["containers"][0]["exitCode"] == 0
    assert "got SIGTERM" in app.output(tasks[1])
    assert "got SIGTERM" not in app.output(tasks[0])
    aws.ecs.update_task_protection(cluster=app.name, tasks=tasks[:1], protectionEnabled=False)
    wait_for(lambda: len([t for t in app.tasks("STOPPED") if t["lastStatus"] == "STOPPED"]) == 2)


def test_task_that_ignores_sigterm_is_killed_after_its_stop_timeout(aws, app, wait_for):
    (task,) = app.up(1, 1, "stubborn")
    wait_for(lambda: "hello" in app.output(task))
    aws.ecs.update_service(cluster=app.name, service=app.name, desiredCount=0)
    assert app.tasks("STOPPED")[0]["lastStatus"] == "STOPPING"
    wait_for(lambda: app.tasks("STOPPED")[0]["lastStatus"] == "STOPPED")
    assert app.tasks("STOPPED")[0]["containers"][0]["exitCode"] == 137


def test_task_that_exits_is_replaced_and_its_exit_code_kept(app, wait_for):
    app.serve(1, "exit")
    app.request(1)
    wait_for(lambda: len(app.tasks("STOPPED")) >= 2)
    ended = app.tasks("STOPPED")[0]
    assert ended["stopCode"] == "EssentialContainerExited"
    assert ended["containers"][0]["exitCode"] == 3


def test_new_task_definition_replaces_tasks(aws, app, wait_for):
    (old,) = app.up(1, 1)
    wait_for(lambda: "hello" in app.output(old))
    newer = app.register()
    aws.ecs.update_service(cluster=app.name, service=app.name, taskDefinition=newer)
    wait_for(lambda: [t["taskDefinitionArn"] for t in app.tasks()] == [newer])
    wait_for(lambda: len(app.service()["deployments"]) == 1)
    assert "got SIGTERM" in app.output(old)


def test_task_without_its_log_group_does_not_start_and_says_why(aws, app, wait_for):
    aws.logs.delete_log_group(logGroupName=app.name)
    app.serve(1)
    app.request(1)
    ended = wait_for(lambda: app.tasks("STOPPED"))[0]
    assert ended["stopCode"] == "TaskFailedToStart"
    assert "The specified log group does not exist" in ended["stoppedReason"]


@pytest.mark.parametrize("way", ["StopTask", "TerminateInstances", "cancel"])
def test_task_ends_with_a_reason(aws, app, wait_for, way):
    (task,) = app.up(1, 1)
    wait_for(lambda: "hello" in app.output(task))
    instances = aws.ec2.describe_spot_fleet_instances(SpotFleetRequestId=app.fleets[0])
    if way == "StopTask":
        aws.ecs.stop_task(cluster=app.name, task=task, reason="because")
    elif way == "TerminateInstances":
        ids = [one["InstanceId"] for one in instances["ActiveInstances"]]
        aws.ec2.terminate_instances(InstanceIds=ids)
    else:
        app.end()
    ended = wait_for(lambda: [t for t in app.tasks("STOPPED") if t["lastStatus"] == "STOPPED"])[0]
    assert "got SIGTERM" in app.output(task)
    if way == "StopTask":
        assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "because")
    else:
        assert ended["stoppedReason"].startswith("Host EC2 (instance i-")


def test_deleted_service_is_inactive_and_its_name_free(aws, app, wait_for):
    app.up(1, 1)
    with pytest.raises(aws.ecs.exceptions.InvalidParameterException, match="scaled above 0"):
        aws.ecs.delete_service(cluster=app.name, service=app.name)
    aws.ecs.delete_service(cluster=app.name, service=app.name, force=True)
    wait_for(lambda: app.service()["status"] == "INACTIVE")
    assert aws.ecs.list_services(cluster=app.name)["serviceArns"] == []
    with pytest.raises(aws.ecs.exceptions.ServiceNotActiveException):
        app.scale(1)
    app.serve(0)
    assert app.service()["status"] == "ACTIVE"


def test_services_are_listed_ten_a_page(aws, app):
    definition = app.register()
    for number in range(12):
        aws.ecs.create_service(
            cluster=app.name, serviceName=f"s{number}", taskDefinition=definition, desiredCount=0
        )
    answer = aws.ecs.list_services(cluster=app.name)
    assert len(answer["serviceArns"]) == 10
    answer = aws.ecs.list_services(cluster=app.name, nextToken=answer["nextToken"])
    assert len(answer["serviceArns"]) == 2 and "nextToken" not in answer


def test_what_is_missing_is_named(aws, app):
    ecs, errors = aws.ecs, aws.ecs.exceptions
    definition = app.register()
    with pytest.raises(errors.ClusterNotFoundException):
        ecs.list_services(cluster="absent")
    with pytest.raises(errors.ClusterNotFoundException):
        ecs.create_service(cluster="absent", serviceName="s", taskDefinition=definition)
    with pytest.raises(errors.ServiceNotFoundException):
        ecs.update_service(cluster=app.name, service="absent")
    with pytest.raises(errors.ServiceNotFoundException):
        ecs.list_tasks(cluster=app.name, serviceName="absent")
    with pytest.raises(errors.ClientException):
        ecs.create_service(cluster=app.name, serviceName="s", taskDefinition="absent")
    answer = ecs.describe_services(cluster=app.name, services=["absent"])
    assert answer["failures"][0]["reason"] == "MISSING"
    answer = ecs.describe_tasks(cluster=app.name, tasks=["absent"])
    assert answer["failures"][0]["reason"] == "MISSING"


def test_deregistered_task_definition_cannot_be_used_for_a_new_service(aws, app):
    definition = app.register()
    aws.ecs.deregister_task_definition(taskDefinition=definition)
    for wanted in (definition, app.name):
        with pytest.raises(aws.ecs.exceptions.ClientException):
            aws.ecs.create_service(cluster=app.name, serviceName="s", taskDefinition=wanted)


def test_placement_is_given_back_as_it_was_given(app):
    service = app.serve(0, availabilityZoneRebalancing="DISABLED", launchType="EC2")
    assert service["placementStrategy"] == [{"type": "binpack", "field": "memory"}]
    assert service["placementConstraints"] == [
        {"type": "memberOf", "expression": f"attribute:app == {app.name}"}
    ]
    assert service["deploymentConfiguration"]["minimumHealthyPercent"] == 0
    assert service["availabilityZoneRebalancing"] == "DISABLED"
