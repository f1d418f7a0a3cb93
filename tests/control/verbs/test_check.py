"""check: every finding, in a situation built on the embedded AWS or, where moto cannot, answered
here."""

from __future__ import annotations

import dataclasses
import http.server
import io
import json
import threading
import time

import pytest
from botocore.awsrequest import AWSResponse

import run as command_line
from control.aws import session
from control.aws.s3 import list_keys
from control.aws.session import AWS
from control.checks import all_checks, image, machine_types, market, network
from control.checks.findings import FAILED, PASSED, UNKNOWN, WARNED
from control.errors import ExplainedError
from control.explain import check_findings
from control.records import store
from control.user_files.fleet_file import FleetFile
from control.verbs import setup, start_cluster, submit
from tests.conftest import BUCKET, ROOT

AUTO = FleetFile()


@pytest.fixture
def answering(embedded):
    """Gives calls of the embedded AWS's clients an answer, or an error, for the test's time."""
    registered = []

    def answer(client, operation, content):
        event = f"before-call.{client.meta.service_model.service_id.hyphenize()}.{operation}"

        def told(**_):
            status = 400 if "Error" in content else 200
            meta = {"ResponseMetadata": {"HTTPStatusCode": status}}
            return AWSResponse("", status, {}, None), {**meta, **content}

        client.meta.events.register(event, told)
        registered.append((client, event, told))

    yield answer
    for client, event, told in registered:
        client.meta.events.unregister(event, told)


@pytest.fixture
def quota(answering, embedded):
    """Sets the account's quota of standard spot machines, in vCPUs."""
    return lambda vcpus: answering(
        embedded.quotas, "GetServiceQuota", {"Quota": {"Value": float(vcpus)}}
    )


@pytest.fixture
def hub(monkeypatch):
    """A Docker Hub on loopback, which has what is put into it: path -> content."""
    images = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = images.get(self.path.removeprefix("/v2/repositories/"))
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(content or {}).encode())

        def log_message(self, *_):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(image, "HUB", f"http://127.0.0.1:{server.server_port}")
        yield images
        server.shutdown()


def image_of(*architectures):
    return {"images": [{"architecture": a, "os": "linux"} for a in architectures]}


@pytest.fixture
def found(embedded, project, hub):
    """Return the findings of one check for a project."""
    hub["somebody/image/tags/1"] = image_of("amd64")

    def find(name, file=AUTO, **changes):
        config = project(**changes)
        every = all_checks.find_all(embedded, config, file, time.time())[1]
        return [one for one in every if one.check == name]

    return find


def only(findings, outcome):
    (one,) = findings
    assert one.outcome == outcome, one
    return one


def test_a_sound_project_passes(found, embedded, project, quota, answering):
    quota(100)
    score = {"SpotPlacementScores": [{"Region": "us-east-1", "Score": 9}]}
    answering(embedded.ec2, "GetSpotPlacementScores", score)
    every = all_checks.find_all(embedded, project(), AUTO, time.time())[1]
    assert [one for one in every if one.outcome in (FAILED, WARNED)] == []
    assert {one.check for one in every} == {name for name, _ in all_checks.CHECKS}
    assert [one.check for one in every if one.outcome == UNKNOWN] == ["inputs"]


@pytest.mark.parametrize(
    ("changes", "outcome", "found_word", "what"),
    [
        ({"MEMORY": 16_000}, FAILED, "memory", "at most 15,970"),
        ({"MEMORY": 15_900}, WARNED, "memory close", "15,715 to 15,970"),
        ({"MEMORY": 15_700}, PASSED, "", "1 container"),
        ({"CPU_SHARES": 4097}, FAILED, "cpu", "it has 4096"),
        ({"GPUS_PER_TASK": 1}, FAILED, "gpus", "0 GPUs"),
        ({"TASKS_PER_MACHINE": 3}, WARNED, "tasks", "2 of TASKS_PER_MACHINE = 3"),
        ({"MEMORY": 3000, "CPU_SHARES": 512}, PASSED, "", "5 would"),
    ],
    ids=["memory", "close", "just", "cpu", "gpus", "tasks", "room"],
)
def test_what_fits_on_a_machine(found, changes, outcome, found_word, what):
    one = only(found("fit", **changes), outcome)
    assert one.found == found_word and what in one.what


def test_two_things_that_do_not_fit_are_two_findings(found):
    both = found("fit", MEMORY=16_000, CPU_SHARES=5000)
    assert {one.found for one in both} == {"memory", "cpu"}


@pytest.mark.parametrize(("advertised", "documented"), [(8192, 7985), (32_768, 31_431)])
def test_registered_memory_holds_the_figures_that_are_public(advertised, documented):
    least, most = machine_types.registered_memory(advertised)
    assert least <= documented <= most < advertised


def test_a_machine_type_that_ec2_does_not_have(found):
    what = only(found("machine types", MACHINE_TYPE=["m5.huge"]), FAILED).what
    assert what.startswith("EC2 does not have a type of MACHINE_TYPE here")


@pytest.mark.parametrize("name", ["fit", "disk", "quota", "placement score", "price"])
def test_without_a_machine_type_what_stands_on_it_is_not_checkable(found, name):
    only(found(name, MACHINE_TYPE=["m5.huge"]), UNKNOWN)


def test_a_disk_smaller_than_the_machine_image(found, embedded, answering):
    image = {
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40}}],
    }
    answering(embedded.ec2, "DescribeImages", {"Images": [image]})
    one = only(found("disk"), WARNED)
    assert one.found == "disk" and "EBS_VOL_SIZE = 40 or more" in one.fix


@pytest.mark.parametrize(
    ("vcpus", "outcome", "word"),
    [(3, FAILED, "no quota"), (5, WARNED, "small quota"), (8, PASSED, "")],
)
def test_the_quota_of_vcpus(found, quota, embedded, answering, vcpus, outcome, word):
    quota(vcpus)
    # Other tests' machines on the same AWS would count.
    answering(embedded.ec2, "DescribeInstances", {"Reservations": []})
    assert only(found("quota"), outcome).found == word


def test_the_machines_of_others_count_for_the_quota(found, quota, embedded, answering):
    quota(12)
    machine = {"InstanceType": "c5.2xlarge", "CpuOptions": {"CoreCount": 4, "ThreadsPerCore": 2}}
    gpu = {**machine, "InstanceType": "g5.2xlarge"}
    told = {"Reservations": [{"Instances": [machine, gpu]}]}
    answering(embedded.ec2, "DescribeInstances", told)
    one = only(found("quota"), WARNED)
    assert "8 in use" in one.what and "room for 1" in one.what


@pytest.mark.parametrize(
    ("code", "word", "what"),
    [
        ("NoSuchResourceException", "quota not listed", "quota of spot machines in us-east-1"),
        ("AccessDeniedException", "quota not read", "lacks servicequotas:GetServiceQuota"),
    ],
)
def test_a_quota_that_is_not_told_is_to_be_looked_up(found, embedded, answering, code, word, what):
    raw = "The request failed because the specified resource does not exist."
    answering(embedded.quotas, "GetServiceQuota", {"Error": {"Code": code, "Message": raw}})
    one = only(found("quota"), UNKNOWN)
    assert one.found == word and what in one.what
    assert raw not in one.what and "CLUSTER_MACHINES = 2 needs 8 vCPUs" in one.fix


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        *(("m5.xlarge", "L-34B43A08"), ("im4gn.large", "L-34B43A08"), ("g5.xlarge", "L-3819A6DF")),
        *(("p4d.24xlarge", "L-7212CCBC"), ("inf2.xlarge", "L-B5D1601B"), ("mac1.metal", None)),
    ],
)
def test_which_quota_a_machine_type_counts_for(kind, code):
    known = market.quota_of(kind)
    assert (known[0] if known else None) == code


def test_what_aws_does_not_tell_is_not_checkable(found):
    said = only(found("placement score"), UNKNOWN).what
    assert said == "the AWS on this computer does not have it"


@pytest.mark.parametrize(("score", "outcome"), [(2, WARNED), (9, PASSED)])
def test_the_placement_score(found, embedded, answering, score, outcome):
    scores = [{"Region": "us-east-1", "Score": score}]
    answering(embedded.ec2, "GetSpotPlacementScores", {"SpotPlacementScores": scores})
    one = only(found("placement score"), outcome)
    assert one.found == ("score" if outcome == WARNED else "")
    assert f"{score} of 10" in one.what


@pytest.mark.parametrize(
    ("changes", "outcome", "word"),
    [
        ({"MACHINE_PRICE": 0.001}, FAILED, "price"),
        ({"MAX_HOURLY_COST": 0.001}, FAILED, "price"),
        ({"MACHINE_PRICE": 1.0}, PASSED, ""),
        (
            {"MACHINE_TYPE": ["m5.xlarge", "m5.4xlarge"], "MACHINE_PRICE": 0.1},
            WARNED,
            "price close",
        ),
    ],
)
def test_the_price_limit_beside_the_market(found, changes, outcome, word):
    assert only(found("price", **changes), outcome).found == word


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({}, "no limit is set"),
        ({"MAX_HOURLY_COST": 2.5}, "MAX_HOURLY_COST = 2.5"),
        ({"MACHINE_PRICE": 1.0, "MAX_HOURLY_COST": 9}, "MACHINE_PRICE = 1, MAX_HOURLY_COST = 9"),
    ],
)
def test_the_limits_are_named_with_the_price(found, changes, limits):
    assert only(found("price", **changes), PASSED).what.endswith(f" in the last day; {limits}")


def test_a_job_that_may_run_longer_than_machines_live(found):
    one = only(found("job timeout", MAX_RUN_HOURS=1, JOB_TIMEOUT=7200), FAILED)
    assert one.found == "timeout" and "2 hours" in one.what and "JOB_TIMEOUT" in one.fix


@pytest.mark.parametrize(
    ("images", "tag", "machines", "outcome", "word"),
    [
        ({"me/mine/tags/2": image_of("amd64")}, "me/mine:2", "m5.xlarge", PASSED, ""),
        ({}, "me/mine:2", "m5.xlarge", FAILED, "image not public"),
        (
            *({"me/mine/tags/2": image_of("arm64")}, "me/mine:2", "m5.xlarge"),
            *(FAILED, "image architecture"),
        ),
        ({"me/mine/tags/2": image_of("amd64", "arm64")}, "me/mine:2", "m6g.xlarge", PASSED, ""),
        ({"library/debian/tags/latest": image_of("amd64")}, "debian", "m5.xlarge", PASSED, ""),
        ({}, "ghcr.io/me/mine:2", "m5.xlarge", UNKNOWN, ""),
    ],
    ids=["there", "absent", "other processor", "both", "official", "other registry"],
)
def test_the_image_on_docker_hub(found, hub, images, tag, machines, outcome, word):
    hub.update(images)
    told = found("image", DOCKERHUB_TAG=tag, MACHINE_TYPE=[machines])
    assert only(told, outcome).found == word


def test_no_network_to_docker_hub(found, monkeypatch, hub):
    monkeypatch.setattr(image, "HUB", "http://127.0.0.1:1")
    assert "cannot be reached" in only(found("image"), UNKNOWN).what


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (429, "{}", "answers 429"),
        (200, "<html>Log in first</html>", "not with JSON"),
        (200, "[]", "which processors"),
    ],
    ids=["asked too often", "a page of a proxy", "strange"],
)
def test_a_docker_hub_that_does_not_tell_is_not_checkable(found, monkeypatch, status, body, what):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(image, "HUB", f"http://127.0.0.1:{server.server_port}")
        told = found("image")
        server.shutdown()
    assert told[-1].outcome == UNKNOWN and what in told[-1].what


def test_an_image_that_is_named_by_its_digest_is_not_asked_for(found):
    tag = f"me/mine@sha256:{'0' * 64}"
    assert "digests" in only(found("image", DOCKERHUB_TAG=tag), UNKNOWN).what


@pytest.mark.parametrize(
    "images",
    [
        [],
        [{"imageManifest": "{}"}],
        [{"imageManifest": '{"config": {"digest": "sha256:1"}}'}],
    ],
    ids=["none", "strange", "of one processor"],
)
def test_an_ecr_that_does_not_tell_the_processor_is_not_checkable(
    found, embedded, monkeypatch, answering, images
):
    ecr = AWS.ecr(embedded, "eu-west-1")
    monkeypatch.setattr(AWS, "ecr", lambda self, region: ecr)
    answering(ecr, "DescribeImages", {"imageDetails": [{}]})
    answering(ecr, "BatchGetImage", {"images": images})
    # Where nobody listens: no network to where ECR keeps its layers.
    answering(ecr, "GetDownloadUrlForLayer", {"downloadUrl": "http://127.0.0.1:9/layer"})
    tag = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:2"
    there, processor = found("image", DOCKERHUB_TAG=tag)
    assert (there.outcome, processor.outcome) == (PASSED, UNKNOWN)


def test_security_groups_of_unknown_subnets_are_not_checkable(found):
    file = in_subnet("subnet-0123456789abcdef0")
    assert "subnets" in only(found("security groups", file=file), UNKNOWN).what


@pytest.mark.parametrize(
    ("platforms", "outcome", "word"),
    [
        (["amd64"], PASSED, ""),
        (["arm64"], FAILED, "image architecture"),
        (None, FAILED, "no image"),
    ],
    ids=["there", "other processor", "absent"],
)
def test_the_image_in_ecr(found, embedded, monkeypatch, answering, platforms, outcome, word):
    ecr = AWS.ecr(embedded, "eu-west-1")
    monkeypatch.setattr(AWS, "ecr", lambda self, region: ecr)
    if platforms is None:
        error = {"Error": {"Code": "ImageNotFoundException", "Message": "no such tag"}}
        answering(ecr, "DescribeImages", error)
    else:
        answering(ecr, "DescribeImages", {"imageDetails": [{}]})
        listed = [{"platform": {"os": "linux", "architecture": p}} for p in platforms]
        manifest = json.dumps({"manifests": listed})
        answering(ecr, "BatchGetImage", {"images": [{"imageManifest": manifest}]})
    tag = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:2"
    assert only(found("image", DOCKERHUB_TAG=tag), outcome).found == word


def test_an_image_of_one_processor_in_ecr_is_asked_for_its_own_description(monkeypatch):
    class Registry:
        def get_download_url_for_layer(self, **asked):
            assert asked == {"registryId": "1", "repositoryName": "mine", "layerDigest": "sha256:1"}
            return {"downloadUrl": "https://layer"}

    body = io.BytesIO(json.dumps({"architecture": "arm64"}).encode())
    monkeypatch.setattr(image.urllib.request, "urlopen", lambda *_, **__: body)
    where = {"registryId": "1", "repositoryName": "mine", "imageIds": []}
    manifest = {"config": {"digest": "sha256:1"}}
    assert image._of_manifest(Registry(), where, manifest) == {"arm64"}


def test_the_image_and_the_makefile_name_different_ones(embedded, project, hub, tmp_path):
    config = project(DOCKERHUB_TAG="me/mine:2")
    (config.project / "worker").mkdir()
    makefile = config.project / "worker/Makefile"
    makefile.write_text("user = me\nproject = mine\ntag = 1\nimage = $(user)/$(project):$(tag)\n")
    every = all_checks.find_all(embedded, config, AUTO, time.time())[1]
    one = only([one for one in every if one.check == "image name"], WARNED)
    assert one.found == "other image" and f"{makefile} builds me/mine:1" in one.what
    assert "me/mine:2" in one.what and "DOCKERHUB_TAG = 'me/mine:1'" in one.fix


@pytest.mark.parametrize(
    ("bucket", "setting"), [("no-such-bucket", "AWS_BUCKET"), ("nor-this-one", "SOURCE_BUCKET")]
)
def test_a_bucket_that_is_not_there(found, bucket, setting):
    told = found("buckets", **{setting: bucket})
    one = next(one for one in told if one.outcome == FAILED)
    assert one.found == "no bucket" and setting in one.fix and f"aws s3 mb s3://{bucket}" in one.fix


def test_a_bucket_of_another_region(found, embedded, answering):
    answering(embedded.s3, "HeadBucket", {"BucketRegion": "eu-west-1"})
    (warned, fine) = found("buckets")
    assert (warned.outcome, warned.found) == (WARNED, "bucket elsewhere")
    assert "eu-west-1" in warned.what and fine.outcome == PASSED


@pytest.mark.parametrize(
    ("operation", "word"),
    [("ListObjectsV2", "bucket refused"), ("PutObject", "bucket not written")],
)
def test_a_bucket_that_may_not_be_used(found, embedded, answering, operation, word):
    answering(embedded.s3, operation, {"Error": {"Code": "AccessDenied", "Message": "no"}})
    assert word in [one.found for one in found("buckets")]


def test_a_bucket_that_only_the_containers_role_may_use_is_not_checkable(
    found, embedded, answering
):
    embedded.s3.create_bucket(Bucket="inputs-of-others")
    own, others = found("buckets", SOURCE_BUCKET="inputs-of-others")
    assert (own.outcome, others.outcome) == (PASSED, PASSED)
    answering(embedded.s3, "HeadBucket", {"BucketRegion": "us-east-1"})
    answering(embedded.s3, "ListObjectsV2", {"Error": {"Code": "AccessDenied", "Message": "no"}})
    told = found("buckets", SOURCE_BUCKET="inputs-of-others")
    assert [one.outcome for one in told] == [FAILED, UNKNOWN]
    assert "containers' role" in told[1].what


def test_the_check_of_writing_leaves_nothing(found, embedded):
    assert "can be read and written" in only(found("buckets"), PASSED).what
    keys = list(list_keys(embedded.s3, BUCKET, "runs/"))
    assert not [key for key in keys if key.endswith("/check")]


@pytest.mark.parametrize(
    ("file", "word"),
    [
        (FleetFile(iam_fleet_role="arn:aws:iam::1:role/none"), "no role"),
        (FleetFile(iam_instance_profile="none"), "no role"),
        (FleetFile(iam_fleet_role="arn:aws:iam::1:instance-profile/x"), "role for profile"),
        (FleetFile(iam_instance_profile="arn:aws:iam::1:role/x"), "role for profile"),
        (
            FleetFile(iam_fleet_role="arn:aws:iam::1:role/DistributedSomethingTaskRole"),
            "not trusted",
        ),
    ],
    ids=["no role", "no profile", "profile for role", "role for profile", "other role"],
)
def test_roles(found, file, word):
    told = [one for one in found("roles", file=file) if one.outcome == FAILED]
    assert [one.found for one in told] == [word] and told[0].fix


def test_an_instance_profile_for_the_role_of_the_containers(found):
    given = "arn:aws:iam::1:instance-profile/x"
    told = [one.what for one in found("roles", TASK_ROLE_ARN=given) if one.outcome == FAILED]
    assert told == [f"TASK_ROLE_ARN is {given}, which is an instance profile."]


def test_an_instance_profile_without_a_role(found, embedded):
    embedded.iam.create_instance_profile(InstanceProfileName="empty")
    file = FleetFile(iam_instance_profile="empty")
    told = [one for one in found("roles", file=file) if one.outcome == FAILED]
    embedded.iam.delete_instance_profile(InstanceProfileName="empty")
    assert [one.found for one in told] == ["empty profile"]


@pytest.fixture
def vpc(embedded):
    """A VPC without a way out, and a subnet in it: (vpc id, subnet id)."""
    made = embedded.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = embedded.ec2.create_subnet(VpcId=made, CidrBlock="10.0.0.0/24")
    return made, subnet["Subnet"]["SubnetId"]


def in_subnet(subnet):
    return FleetFile(subnet_ids=(subnet,))


def test_a_subnet_without_a_way_out(found, vpc):
    one = only(found("subnets", file=in_subnet(vpc[1])), FAILED)
    assert one.found == "no way out" and "ecs-agent" in one.what and vpc[1] in one.what


def test_a_subnet_with_an_internet_gateway_but_no_addresses(found):
    one = only(found("subnets", ASSIGN_IP=False), FAILED)
    assert one.found == "no address" and "ASSIGN_IP = True" in one.fix


def test_a_subnet_with_a_nat_gateway_of_its_own_table(found, embedded, vpc):
    ec2 = embedded.ec2
    nat = ec2.create_nat_gateway(SubnetId=vpc[1], ConnectivityType="private")["NatGateway"]
    table = ec2.create_route_table(VpcId=vpc[0])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=vpc[1])
    where = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat["NatGatewayId"]}
    ec2.create_route(RouteTableId=table, **where)
    one = only(found("subnets", file=in_subnet(vpc[1]), ASSIGN_IP=False), PASSED)
    assert nat["NatGatewayId"] in one.what


def test_a_subnet_with_vpc_endpoints(found, embedded, vpc):
    names = ("ecs", "ecs-agent", "ecs-telemetry", "sqs", "logs", "s3", "ecr.api", "ecr.dkr")
    for name in names:
        embedded.ec2.create_vpc_endpoint(
            VpcId=vpc[0],
            ServiceName=f"com.amazonaws.us-east-1.{name}",
            VpcEndpointType="Gateway" if name == "s3" else "Interface",
        )
    tag = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:2"
    one = only(found("subnets", file=in_subnet(vpc[1]), DOCKERHUB_TAG=tag), PASSED)
    assert "VPC endpoints" in one.what
    hub = only(found("subnets", file=in_subnet(vpc[1])), FAILED)
    assert "the image, which is not in ECR" in hub.what


@pytest.mark.parametrize(
    ("routes", "way"),
    [
        ([{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}], "internet gateway"),
        (
            [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "blackhole"}],
            "",
        ),
        ([{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}], ""),
        ([{"DestinationCidrBlock": "0.0.0.0/0", "TransitGatewayId": "t"}], "transit gateway t"),
    ],
)
def test_ways_out(routes, way):
    main = {"Associations": [{"Main": True}], "Routes": routes}
    own = {"Associations": [{"SubnetId": "subnet-2"}], "Routes": []}
    assert network.way_out([main, own], "subnet-1") == way
    assert network.way_out([main, own], "subnet-2") == ""


def test_a_subnet_that_is_not_there_and_subnets_of_several_vpcs(found, embedded, vpc):
    told = found("subnets", file=in_subnet("subnet-0123456789abcdef0"))
    assert only(told, FAILED).found == "no subnet"
    other = embedded.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    file = FleetFile(subnet_ids=(vpc[1], other))
    assert only(found("subnets", file=file), FAILED).found == "subnets apart"


def test_too_few_addresses(found, embedded):
    vpc = embedded.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    made = embedded.ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/28")["Subnet"]
    told = found("subnets", file=in_subnet(made["SubnetId"]), CLUSTER_MACHINES=20)
    assert "few addresses" in [one.found for one in told]


def test_security_groups(found, embedded, vpc):
    gone = FleetFile(security_group_ids=("sg-0123456789abcdef0",))
    assert only(found("security groups", file=gone), FAILED).found == "no group"
    made = {"GroupName": "closed", "Description": "lets nothing out", "VpcId": vpc[0]}
    group = embedded.ec2.create_security_group(**made)["GroupId"]
    elsewhere = found("security groups", file=FleetFile(security_group_ids=(group,)))
    assert elsewhere[0].found == "group elsewhere" and elsewhere[0].outcome == FAILED
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    embedded.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
    file = FleetFile(subnet_ids=(vpc[1],), security_group_ids=(group,))
    assert only(found("security groups", file=file), FAILED).found == "nothing let out"


def test_settings_changed_since_setup_and_another_account(embedded, project, hub):
    config = project()
    run = setup.setup(embedded, config)
    changed = dataclasses.replace(config, MEMORY=3000)
    every = all_checks.find_all(embedded, changed, AUTO, time.time())[1]
    assert next(one for one in every if one.check == "config").found == "settings changed"
    store.change(embedded.s3, run, lambda r: dataclasses.replace(r, account="999999999999"))
    every = all_checks.find_all(embedded, config, AUTO, time.time())[1]
    one = next(one for one in every if one.check == "credentials")
    assert one.found == "other account" and one.outcome == FAILED


@pytest.mark.parametrize(
    ("shared", "groups", "outcome", "what"),
    [
        (
            *({"input_location": "images", "output_location": "x"}, [{"plate": 7, "well": "A1"}]),
            *(PASSED, "name as input_location is in s3://test-bucket: 1 of 1 there"),
        ),
        (
            *({}, [{"input": "images/a.tif", "well": 1}, {"input": "images/missing.tif"}]),
            *(WARNED, "1 of 2 that the first jobs name as input are not in s3://test-bucket, "),
        ),
        (
            *({"source": "images"}, [{"plate": 7, "well": "A1"}]),
            *(UNKNOWN, "no value whose name begins with `input` is in the first jobs"),
        ),
    ],
    ids=["there", "one is missing", "none is named"],
)
def test_inputs_of_the_first_jobs(embedded, project, hub, tmp_path, shared, groups, outcome, what):
    embedded.s3.put_object(Bucket=BUCKET, Key="images/a.tif", Body=b"")
    config = project()
    run = setup.setup(embedded, config)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({**shared, "groups": groups}))
    submit.submit(embedded, run, submit.read_jobs(path), tmp_path)
    every = all_checks.find_all(embedded, config, AUTO, time.time())[1]
    one = only([one for one in every if one.check == "inputs"], outcome)
    assert what in one.what
    # What cannot be checked is listed; nobody expects outputs in that list.
    others = one.what.rstrip(".").partition("; not checked: ")[2].split(", ")
    assert others == [*(["source"] if "source" in shared else []), *_others(groups)]
    if outcome == WARNED:
        assert one.found == "no inputs" and "such as images/missing.tif" in one.what


def _others(groups):
    return [name for name in groups[0] if not name.startswith("input")]


def test_every_finding_there_is_was_built_here():
    """So that a new sentence comes with its situation."""
    text = (ROOT / "tests/control/verbs/test_check.py").read_text(encoding="utf-8")
    unseen = [word for word in check_findings.FOUND if f'"{word}"' not in text]
    assert unseen == []


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [("ExpiredToken", "has expired", "needs credentials"), ("Unavailable", "refused", "needs AWS")],
)
def test_where_aws_does_not_know_who_asks_that_is_said_once(
    embedded, project, answering, typed, code, said, why
):
    answering(embedded.sts, "GetCallerIdentity", {"Error": {"Code": code, "Message": "no"}})
    exit_code, out = typed(project(), "check", "--json")
    told = json.loads(out)
    assert exit_code == 1 and told["outcome"] == "failed"
    checks = {one["check"]: one for one in told["checks"]}
    assert list(checks) == [name for name, _ in all_checks.CHECKS]
    assert len(told["checks"]) == len(checks)
    assert said in checks["credentials"]["what"].lower() and checks["credentials"]["fix"]
    local = {name for name, one in checks.items() if one["outcome"] == PASSED}
    assert local == {"config", "image name", "job timeout"}
    rest = [one for name, one in checks.items() if name not in {*local, "credentials"}]
    assert {(one["outcome"], one["what"]) for one in rest} == {(UNKNOWN, why)}


@pytest.fixture
def typed(embedded, monkeypatch, capsys):
    """Types a verb for a config; returns (exit code, what it said)."""
    monkeypatch.setattr(session, "connect", lambda config: embedded)

    def type_(config, *words):
        capsys.readouterr()
        try:
            command_line.main(["--config", str(config.path.parent), *words])
        except ExplainedError as error:
            return error.exit_code, f"{capsys.readouterr().out}"
        return 0, capsys.readouterr().out

    return type_


def test_a_failure_is_exit_code_1_and_stands_with_its_cure(typed, project, hub):
    hub["somebody/image/tags/1"] = image_of("amd64")
    code, out = typed(project(MEMORY=16_000), "check")
    lines = out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("fit "))
    assert code == 1 and "failed" in lines[at] and "Fix: Write MEMORY" in lines[at + 1]
    code, out = typed(project(), "check")
    assert code == 0 and out.splitlines()[-1].startswith("Next: ")
    assert all(line.isprintable() for line in out.splitlines())


def test_startcluster_checks_first_and_can_be_told_not_to(
    typed, project, embedded, hub, tmp_path, monkeypatch
):
    hub["somebody/image/tags/1"] = image_of("amd64")
    config = project(JOB_TIMEOUT=7200, MAX_RUN_HOURS=1, MEMORY=900_000)
    run = setup.setup(embedded, config)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": 1}]}))
    submit.submit(embedded, run, submit.read_jobs(path), tmp_path)
    fleet = str(ROOT / "files/exampleFleet.json")
    code, out = typed(config, "startCluster", fleet, "--yes")
    assert code == 1 and "job timeout" in out and "passed" not in out.split("Checked:")[0]
    assert store.live(embedded.s3, BUCKET, config.APP_NAME).fleets == ()
    monkeypatch.setattr(start_cluster, "wait_for_machines", lambda *_, **__: True)
    code, out = typed(config, "startCluster", fleet, "--yes", "--no-check")
    assert code == 0 and "Checked" not in out
    typed(config, "stop")


def test_a_denied_call_makes_its_check_not_checkable_and_names_the_permission(
    embedded, project, hub, answering
):
    denied = {"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized."}}
    for operation in ("DescribeRouteTables", "DescribeSpotPriceHistory", "DescribeImages"):
        answering(embedded.ec2, operation, denied)
    every = all_checks.find_all(embedded, project(), AUTO, time.time())[1]
    told = {one.check: one.what for one in every if one.outcome == UNKNOWN}
    assert "ec2:DescribeRouteTables" in told["subnets"]
    assert "ec2:DescribeSpotPriceHistory" in told["price"]
    assert "ec2:DescribeImages" in told["disk"]


def test_the_json_is_what_its_page_describes(typed, project, hub):
    page = (ROOT / "documentation/json.md").read_text(encoding="utf-8")
    section = page.split("\n## check\n")[1].split("\n## ")[0]
    described = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    told = json.loads(typed(project(), "check", "--json")[1])
    found = set(told) | {f"checks[].{name}" for name in told["checks"][0]}
    assert found | {f"counts.{name}" for name in told["counts"]} == described
    (named,) = (line for line in section.splitlines() if line.startswith("| `checks[].check`"))
    assert set(named.split("`")[3::2]) == {name for name, _ in all_checks.CHECKS}
