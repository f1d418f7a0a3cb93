from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto.s3.models import FakeKey, S3Backend

from embedded_aws.s3 import SortedKeys, list_objects_v2


class Bucket:
    def __init__(self):
        self.keys = SortedKeys()


def names(found):
    return [one if isinstance(one, str) else one.name for one in found]


def listing(backend, bucket, prefix="", delimiter=None, size=1000, start_after=None):
    """All pages."""
    found, token, more = [], None, True
    while more:
        page, more, token = list_objects_v2(
            backend, bucket, prefix, delimiter, token, start_after, size
        )
        assert len(page) <= size
        found += names(page)
    return found


def expected(keys, prefix, delimiter, start_after):
    """The same by brute force."""
    found = set()
    for key in keys:
        if not key.startswith(prefix):
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if end < 0 else key[: end + 1]
        if name > (start_after or ""):
            found.add(name)
    return sorted(found)


class Key(FakeKey):
    """A key of moto without a content."""

    def __init__(self, name):
        self.name = name

    def dispose(self, garbage=False):
        """It has no file to close."""


KEYS = st.text("ab/é", min_size=1, max_size=4)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([(False, "/"), (False, "/a")], "/", "/", 1)  # a key that is its own prefix
@given(
    st.lists(st.tuples(st.booleans(), KEYS), max_size=40),
    st.text("ab/", max_size=2),
    st.sampled_from([None, "/"]),
    st.integers(1, 3),
)
def test_pages_give_every_name_once_and_in_order(changes, prefix, delimiter, size):
    backend, bucket, present = S3Backend("aws", "123456789012"), Bucket(), set()
    for number, (delete, name) in enumerate(changes):
        if delete and name in present:
            bucket.keys.pop(name)
            present.remove(name)
        else:
            bucket.keys[name] = Key(name)
            present.add(name)
        if number % 5 == 0:
            found = listing(backend, bucket, prefix, delimiter, 1000)
            assert found == expected(present, prefix, delimiter, None)
    assert listing(backend, bucket, prefix, delimiter, size) == expected(
        present, prefix, delimiter, None
    )


def test_listing_starts_after_a_name(aws):
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    for name in ("a/1", "a/2", "b/1", "c"):
        aws.s3.put_object(Bucket=bucket, Key=name)
    answer = aws.s3.list_objects_v2(Bucket=bucket, StartAfter="a/1")
    assert [one["Key"] for one in answer["Contents"]] == ["a/2", "b/1", "c"]


def test_more_than_a_thousand_keys_come_in_pages(aws):
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    wanted = [f"runs/{n:04d}" for n in range(1005)]
    for name in reversed(wanted):
        aws.s3.put_object(Bucket=bucket, Key=name)
    aws.s3.put_object(Bucket=bucket, Key="other")
    pages = list(aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="runs/"))
    assert [len(page["Contents"]) for page in pages] == [1000, 5]
    assert [one["Key"] for page in pages for one in page["Contents"]] == wanted


def test_delimiter_gives_folders_across_pages(aws):
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    for name in ("a/1", "a/2", "b/1", "c", "d/1"):
        aws.s3.put_object(Bucket=bucket, Key=name)
    pages = aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    found = [
        one.get("Prefix") or one.get("Key")
        for page in pages
        for one in page.get("CommonPrefixes", []) + page.get("Contents", [])
    ]
    assert found == ["a/", "b/", "c", "d/"]


def test_deleted_key_is_not_listed_and_can_come_back(aws):
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    for _ in range(2):
        aws.s3.put_object(Bucket=bucket, Key="key")
        assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
        aws.s3.delete_object(Bucket=bucket, Key="key")
        assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
