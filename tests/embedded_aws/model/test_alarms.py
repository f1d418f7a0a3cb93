"""Alarms that end idle machines."""

import pytest

from embedded_aws.model import events as e

QUARTER = 15 * 60


def alarm(sim, instance):
    sim.do(e.PutAlarm(f"A_{instance}", instance, threshold=1.0, seconds=QUARTER))


@pytest.fixture
def machine(sim):
    sim.up_and_running(1, 1)
    (instance,) = sim.instances()
    return instance


def test_machine_that_idles_for_a_quarter_of_an_hour_is_ended_and_replaced(sim, machine):
    alarm(sim, machine)
    sim.wait(QUARTER - 40)
    assert sim.states() == ["running"]
    sim.wait(40)
    assert sim.states()[0] == "shutting-down"
    sim.wait(60)
    assert sim.states() == ["terminated", "running"]


def test_machine_at_work_is_not_ended_and_idling_counts_from_the_end_of_its_work(sim, machine):
    alarm(sim, machine)
    sim.do(e.UseCpu(machine, 50.0))
    sim.wait(3 * QUARTER)
    sim.do(e.UseCpu(machine, 0.1))
    sim.wait(QUARTER - 1)
    assert sim.states() == ["running"]
    sim.wait(1)
    assert sim.states() == ["shutting-down"]


def test_idling_before_the_alarm_was_made_counts_too(sim, machine):
    sim.wait(2 * QUARTER)
    alarm(sim, machine)
    assert sim.states() == ["shutting-down"]


def test_deleted_alarm_ends_nothing(sim, machine):
    alarm(sim, machine)
    sim.do(e.DeleteAlarms((f"A_{machine}", "A_that_is_gone")))
    sim.wait(2 * QUARTER)
    assert sim.states() == ["running"]
