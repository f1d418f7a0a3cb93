import pytest


def arns(aws, app, **changes):
    return aws.ecs.list_container_instances(cluster=app.name, **changes)["containerInstanceArns"]


def describe(aws, app):
    return aws.ecs.describe_container_instances(
        cluster=app.name, containerInstances=arns(aws, app)
    )["containerInstances"]


def amount(resources, name):
    return next(r["integerValue"] for r in resources if r["name"] == name)


def test_instance_shows_its_resources_and_what_is_left(aws, running_app):
    hosts = describe(aws, running_app)
    assert {host["status"] for host in hosts} == {"ACTIVE"}
    (found,) = [host for host in hosts if host["runningTasksCount"]]
    assert found["runningTasksCount"] == 2 and found["pendingTasksCount"] == 0
    assert found["agentConnected"]
    assert amount(found["registeredResources"], "MEMORY") == 7985
    assert amount(found["remainingResources"], "MEMORY") == 7985 - 6000
    assert amount(found["remainingResources"], "CPU") == 0
    attributes = {one["name"]: one["value"] for one in found["attributes"]}
    assert attributes["app"] == running_app.name
    fleet = running_app.fleets[0]
    active = aws.ec2.describe_spot_fleet_instances(SpotFleetRequestId=fleet)["ActiveInstances"]
    ids = {one["InstanceId"] for one in active}
    assert {host["ec2InstanceId"] for host in hosts} == ids


def test_instances_are_listed_by_status_and_attribute(aws, running_app):
    ours = f"attribute:app == {running_app.name}"
    assert len(arns(aws, running_app, filter=ours)) == 2
    assert arns(aws, running_app, filter="attribute:app == other") == []
    assert arns(aws, running_app, status="DRAINING") == []


def test_drained_instance_gives_its_tasks_away(aws, app, wait_for):
    tasks = app.up(2, 1)
    wait_for(lambda: len(arns(aws, app)) == 2)
    host = app.tasks()[0]["containerInstanceArn"]
    answer = aws.ecs.update_container_instances_state(
        cluster=app.name, containerInstances=[host, "absent"], status="DRAINING"
    )
    assert [one["status"] for one in answer["containerInstances"]] == ["DRAINING"]
    assert answer["failures"][0]["reason"] == "MISSING"
    assert arns(aws, app, status="DRAINING") == [host]
    wait_for(lambda: [t["containerInstanceArn"] for t in app.tasks() if t["taskArn"] not in tasks])
    moved = [t for t in app.tasks() if t["taskArn"] not in tasks]
    assert moved[0]["containerInstanceArn"] != host


def test_tasks_are_listed_by_service_and_machine(aws, running_app):
    app, tasks = running_app, running_app.tasks_up
    host = app.tasks()[0]["containerInstanceArn"]
    for chosen in (
        {"serviceName": app.name},
        {"containerInstance": host},
        {"family": app.name},
        {"desiredStatus": "RUNNING"},
    ):
        listed = aws.ecs.list_tasks(cluster=app.name, **chosen)["taskArns"]
        assert sorted(listed) == sorted(tasks)
    assert aws.ecs.list_tasks(cluster=app.name, desiredStatus="STOPPED")["taskArns"] == []
    assert aws.ecs.list_tasks(cluster=app.name, family="other")["taskArns"] == []


def test_machines_leave_the_cluster_and_only_an_empty_one_is_deleted(aws, app, wait_for):
    ecs, errors = aws.ecs, aws.ecs.exceptions
    app.up(1, 1)
    (host,) = arns(aws, app)
    with pytest.raises(errors.InvalidParameterException):
        ecs.deregister_container_instance(cluster=app.name, containerInstance=host)
    with pytest.raises(errors.ClusterContainsContainerInstancesException):
        ecs.delete_cluster(cluster=app.name)
    answer = ecs.deregister_container_instance(cluster=app.name, containerInstance=host, force=True)
    assert answer["containerInstance"]["status"] == "INACTIVE"
    assert arns(aws, app) == []
    with pytest.raises(errors.ClusterContainsServicesException):
        ecs.delete_cluster(cluster=app.name)
    ecs.delete_service(cluster=app.name, service=app.name, force=True)
    answer = wait_for(lambda: ecs.delete_cluster(cluster=app.name))
    assert answer["cluster"]["status"] == "INACTIVE"
    assert not [a for a in ecs.list_clusters()["clusterArns"] if a.endswith("/" + app.name)]


def test_creating_a_cluster_again_keeps_it(aws, app):
    tags = [{"key": "k", "value": "v"}]
    name = aws.name("cluster")
    aws.ecs.create_cluster(clusterName=name, tags=tags)
    assert aws.ecs.create_cluster(clusterName=name)["cluster"]["tags"] == tags
    found = aws.ecs.describe_clusters(clusters=[name], include=["TAGS"])["clusters"][0]
    assert found["tags"] == tags and found["status"] == "ACTIVE"
