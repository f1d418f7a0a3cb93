from __future__ import annotations

import threading

import pytest

from plumbing.parallel import each


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_everything_is_done_once(count):
    done = []

    each(done.append, range(count), 8)

    assert sorted(done) == list(range(count))


def test_several_are_done_at_a_time():
    together = threading.Barrier(4, timeout=10)

    each(lambda item: together.wait(), range(4), 4)


def test_after_an_error_no_other_is_begun_and_it_is_raised():
    begun = []

    def fail(item):
        begun.append(item)
        raise ValueError(item)

    with pytest.raises(ValueError):
        each(fail, range(1000), 4)

    assert len(begun) <= 4
