from __future__ import annotations

import threading

import pytest
from botocore.exceptions import EndpointConnectionError

from plumbing.errors import LeaseLost
from plumbing.lease import LONGEST, Lease, boot_clock, margin


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Sqs:
    """Takes extensions, or is unreachable."""

    def __init__(self):
        self.asked = []
        self.reachable = True
        self.called = threading.Event()

    def __call__(self, seconds):
        self.asked.append(seconds)
        self.called.set()
        if not self.reachable:
            raise EndpointConnectionError(endpoint_url="http://sqs")


@pytest.fixture
def made():
    leases = []

    def make(visibility=60, clock=None):
        sqs, clock = Sqs(), clock or Clock()
        lease = Lease(sqs, visibility, clock(), clock)
        leases.append(lease)
        return lease, sqs, clock

    yield make
    for lease in leases:
        lease.close()


def test_it_holds_until_ten_seconds_before_its_visibility_ends(made):
    lease, _, clock = made(visibility=60)

    clock.now += 49.9
    lease.check()
    clock.now += 0.2
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_third_of_the_visibility_is_when_it_is_extended(made):
    lease, sqs, clock = made(visibility=60)

    clock.now += 19
    lease.keep_if_due()
    assert sqs.asked == []
    clock.now += 1
    lease.keep_if_due()

    assert sqs.asked == [60]
    clock.now += 49
    lease.check()


def test_an_extension_that_fails_does_not_count(made):
    lease, sqs, clock = made(visibility=60)
    sqs.reachable = False
    clock.now += 30
    lease.keep_if_due()

    clock.now += 21
    with pytest.raises(LeaseLost):
        lease.check()


def test_an_extension_counts_from_its_request_not_from_its_answer(made):
    lease, sqs, clock = made(visibility=60)

    def paused(seconds):
        clock.now += 300  # the process is stopped while the answer is on its way

    lease._extend = paused
    clock.now += 25
    lease.keep_if_due()

    with pytest.raises(LeaseLost):
        lease.check()


def test_a_lease_that_has_ended_is_not_had_again(made):
    lease, sqs, clock = made(visibility=60)
    clock.now += 51
    lease.keep_if_due()

    assert sqs.asked == []
    with pytest.raises(LeaseLost):
        lease.check()


def test_an_extension_that_may_have_come_after_the_end_does_not_count(made):
    lease, _, clock = made(visibility=60)

    def paused(seconds):
        clock.now += 10

    lease._extend = paused
    clock.now += 45
    lease.keep_if_due()

    with pytest.raises(LeaseLost):
        lease.check()


def test_it_is_never_extended_beyond_twelve_hours_from_the_receive(made):
    lease, sqs, clock = made(visibility=3600)
    start = clock.now
    while clock.now < start + LONGEST - 3600:
        clock.now += 1200
        lease.keep_if_due()
        lease.check()

    clock.now = start + LONGEST - 600
    lease.keep_if_due()

    assert sqs.asked[-1] == 599
    assert lease.ends <= start + LONGEST


def test_after_twelve_hours_it_is_lost(made):
    lease, sqs, clock = made(visibility=3600)
    clock.now += LONGEST
    lease.keep_if_due()

    assert sqs.asked == []
    with pytest.raises(LeaseLost):
        lease.check()


def test_after_a_release_it_can_be_kept_again(made, until):
    lease, sqs, _ = made(visibility=1.2, clock=boot_clock)
    lease.keep()
    lease.release()

    lease.keep()

    until(lambda: sqs.asked)


def test_a_thread_keeps_it_until_it_is_released(made, until):
    lease, sqs, _ = made(visibility=1.2, clock=boot_clock)
    lease.keep()
    until(lambda: len(sqs.asked) >= 2)
    lease.check()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "lease"]

    lease.release()

    assert not thread.is_alive()


def test_a_release_waits_for_an_extension_that_is_under_way(made):
    lease, _, _ = made(visibility=1.2, clock=boot_clock)
    under_way, answer, ended = threading.Event(), threading.Event(), []

    def extend(seconds):
        under_way.set()
        answer.wait(10)
        ended.append(seconds)

    lease._extend = extend
    lease.keep()
    assert under_way.wait(10)
    threading.Timer(0.2, answer.set).start()

    lease.release()

    assert len(ended) == 1


def test_the_thread_says_when_it_is_lost(made):
    lease, sqs, _ = made(visibility=1.2, clock=boot_clock)
    sqs.reachable = False
    lease.keep()

    assert lease.lost.wait(10)
    assert "no extension" in lease.lost.reason
    assert len(sqs.asked) > 2  # it did not give up after the first


def test_whatever_goes_wrong_with_an_extension_the_thread_goes_on(made, until, capfd):
    lease, sqs, _ = made(visibility=1.2, clock=boot_clock)

    def extend(seconds):
        sqs(seconds)
        if len(sqs.asked) == 1:
            raise RuntimeError("nobody expects this")

    lease._extend = extend
    lease.keep()

    until(lambda: len(sqs.asked) >= 3)
    lease.check()
    assert "nobody expects this" in capfd.readouterr().out


@pytest.mark.parametrize(("visibility", "seconds"), [(600, 10), (40, 10), (20, 5), (4, 1)])
def test_the_margin_is_ten_seconds_or_a_quarter_of_a_short_visibility(visibility, seconds):
    assert margin(visibility) == seconds
