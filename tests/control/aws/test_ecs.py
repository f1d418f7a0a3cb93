"""Cluster and service: taking them away is safe to repeat."""

from __future__ import annotations

from control.aws import ecs


def test_a_service_that_is_gone_is_no_error(set_up):
    aws, _, run = set_up()
    ecs.delete_service(aws.ecs, run)
    assert ecs.service_state(aws.ecs, run) is None
    ecs.delete_service(aws.ecs, run)


def test_a_cluster_with_a_service_is_kept_and_an_empty_one_deleted(set_up):
    aws, _, run = set_up()
    assert not ecs.delete_if_unused(aws.ecs, run.cluster)
    ecs.delete_service(aws.ecs, run)
    assert ecs.delete_if_unused(aws.ecs, run.cluster)
    assert ecs.delete_if_unused(aws.ecs, run.cluster)
