import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_aws.message_store import (
    BadHandle,
    Counts,
    HeldTooLong,
    MessageGone,
    MessageStore,
)

FOREVER = 10**9


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return MessageStore(clock)


def take(store, count=1, visibility=30.0, retention=FOREVER, most=None):
    return store.take(count, visibility, retention, most)[0]


def add(store, *names, **changes):
    for name in names:
        store.add(name, name, **{"sent": 1000.0, **changes})


def test_messages_come_in_the_order_they_were_sent(store):
    add(store, "a", "b", "c")
    assert [one.message for one in take(store, 2)] == ["a", "b"]
    assert [one.message for one in take(store, 2)] == ["c"]


def test_visibility_of_zero_leaves_the_message_visible_but_gives_it_once(store):
    add(store, "a")
    assert len(take(store, 10, visibility=0)) == 1
    assert len(take(store, 10)) == 1


@pytest.mark.parametrize("seconds", [0, 5, 100])
def test_visibility_can_be_shortened_lengthened_and_ended(store, clock, seconds):
    add(store, "a")
    (one,) = take(store, visibility=30)
    store.change(one.handle, seconds)
    clock.now += max(0, seconds - 0.1)
    assert len(take(store)) == (1 if seconds == 0 else 0)
    clock.now += 0.1
    assert store.counts().visible == (0 if seconds == 0 else 1)


def test_message_can_be_held_for_twelve_hours_from_its_receive(store, clock):
    add(store, "a")
    clock.now += 100_000  # time in the queue does not count
    (one,) = take(store, visibility=30)
    clock.now += 20
    store.change(one.handle, 43_180)
    with pytest.raises(HeldTooLong):
        store.change(one.handle, 43_181)


def test_deleting_again_is_fine_but_changing_says_that_it_is_gone(store):
    add(store, "a")
    (one,) = take(store)
    store.delete(one.handle)
    store.delete(one.handle)
    with pytest.raises(MessageGone):
        store.change(one.handle, 10)


def test_handle_of_another_queue_is_refused(store, clock):
    other = MessageStore(clock)
    add(other, "a")
    (one,) = take(other)
    for handle in (one.handle, "nonsense", "", "ä"):
        with pytest.raises(BadHandle):
            store.delete(handle)


def test_message_received_too_often_moves_with_its_age_and_count(store, clock):
    add(store, "a", "b")
    for _ in range(2):
        take(store, visibility=1)
        clock.now += 1
    received, dead = store.take(10, 30, FOREVER, 2)
    assert [one.message for one in received] == ["b"]
    assert store.counts() == Counts(0, 2, 0)
    other = MessageStore(clock)
    for message_id in dead:
        store.move(message_id, other)
    assert (store.counts(), other.counts()) == (Counts(0, 1, 0), Counts(1, 0, 0))
    (moved,) = take(other)
    assert (moved.message, moved.receives) == ("a", 3)


def test_message_older_than_the_retention_is_gone(store, clock):
    add(store, "a")
    clock.now += 60
    assert take(store, retention=60) == []
    assert store.counts() == Counts(0, 0, 0)


def test_purge_removes_messages_in_every_state(store):
    add(store, "a", "b")
    add(store, "c", delay=5)
    take(store)
    store.purge()
    assert store.counts() == Counts(0, 0, 0)
    assert take(store) == []


def send(store, **changes):
    add(store, "a", sent=time.time(), **changes)


def hidden(store, visibility):
    """Send a message and receive it; return the handle."""
    send(store)
    return take(store, visibility=visibility)[0].handle


def nothing(*_):
    return None


@pytest.mark.parametrize(
    ("before", "meanwhile", "got"),
    [
        (nothing, lambda store, _: send(store), ["a"]),
        (nothing, lambda store, _: send(store, delay=0.2), ["a"]),
        (lambda store: hidden(store, 0.2), nothing, ["a"]),
        (lambda store: hidden(store, 1000), lambda store, handle: store.change(handle, 0), ["a"]),
        (nothing, lambda store, _: store.close(), []),
    ],
    ids=["is sent", "is no longer delayed", "is visible again", "comes back", "loses its queue"],
)
def test_waiting_receiver_wakes_when_a_message(before, meanwhile, got):
    store, received, polls = MessageStore(), [], threading.Event()

    def poll():
        end = time.monotonic() + 20
        while not (received or store.closed) and time.monotonic() < end:
            received.extend(one.message for one in take(store, visibility=60))
            polls.set()
            store.wait(0 if received else end - time.monotonic())

    handle = before(store)
    thread = threading.Thread(target=poll)
    thread.start()
    assert polls.wait(10)
    meanwhile(store, handle)
    thread.join(10)
    assert not thread.is_alive() and received == got


def test_many_receivers_lose_and_double_nothing():
    store = MessageStore()
    count, done, lock = 3000, [], threading.Lock()

    def send(first):
        for number in range(first, count, 3):
            add(store, str(number), sent=time.time())

    def receive():
        while len(done) < count:
            for one in take(store, 7, visibility=60):
                if one.receives == 1 and hash(one.message) % 5 == 0:
                    store.change(one.handle, 0)
                else:
                    with lock:
                        done.append(one.message)
                    store.delete(one.handle)
            store.wait(0.01)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(3)]
    threads += [threading.Thread(target=receive) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done, key=int) == [str(n) for n in range(count)]
    assert store.counts() == Counts(0, 0, 0)


STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 3)),
    st.tuples(st.just("take"), st.integers(0, 20)),
    st.tuples(st.just("change"), st.integers(0, 20)),
    st.tuples(st.just("delete"), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.integers(0, 15)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_store_agrees_with_a_plain_list_of_messages(steps):
    """The plain list: name -> moment from which it is visible, and by whom it is held."""
    clock = Clock()
    store = MessageStore(clock)
    due, held, handles = {}, set(), []
    for number, (what, value) in enumerate(steps):
        visible = {name for name, at in due.items() if at <= clock.now}
        held -= visible
        if what == "wait":
            clock.now += value
        elif what == "add":
            add(store, str(number), delay=value)
            due[str(number)] = clock.now + value
        elif what == "take":
            received = take(store, 2, visibility=value)
            names = {one.message for one in received}
            assert names <= visible and len(names) == min(2, len(visible))
            handles += [(one.message, one.handle) for one in received]
            due.update(dict.fromkeys(names, clock.now + value))
            held |= names
        elif handles:
            name, handle = handles[value % len(handles)]
            if what == "delete":
                store.delete(handle)
                due.pop(name, None)
            elif name in due:
                store.change(handle, value)
                if name in held:
                    due[name] = clock.now + value
        hidden = {name for name, at in due.items() if at > clock.now}
        held &= hidden
        assert store.counts() == Counts(len(due) - len(hidden), len(held), len(hidden) - len(held))
