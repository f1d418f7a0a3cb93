from __future__ import annotations

from tests.trials.hello_world import TRIAL


def test_three_sentences_are_written(copy_of):
    example = copy_of(TRIAL)

    code, out, err = example.run()

    assert (code, err) == (0, "")
    assert "3 jobs done, 0 skipped, 0 failed" in out
    assert "Hello, Ada here. I like dal, and then mango ice cream." in TRIAL.check(example.output)


def test_an_empty_group_fails_with_the_name_of_what_it_lacks(copy_of):
    reasons = copy_of(TRIAL).reasons({"name": "empty"})

    assert reasons["empty"] == (
        "the job file has no 'favorite_food', neither in this group nor shared by all"
    )
