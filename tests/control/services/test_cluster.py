"""Cluster and service: taking them away is safe to repeat."""

from __future__ import annotations

from control.services import cluster


def test_a_service_that_is_gone_is_no_error(set_up):
    aws, _, run = set_up()
    cluster.delete_service(aws.ecs, run)
    assert cluster.service_state(aws.ecs, run) is None
    cluster.delete_service(aws.ecs, run)


def test_a_cluster_with_a_service_is_kept_and_an_empty_one_deleted(set_up):
    aws, _, run = set_up()
    assert not cluster.delete_if_unused(aws.ecs, run.cluster)
    cluster.delete_service(aws.ecs, run)
    assert cluster.delete_if_unused(aws.ecs, run.cluster)
    assert cluster.delete_if_unused(aws.ecs, run.cluster)
