"""What submissions of a run were sending when they broke off."""

import pytest

from control.errors import ExplainedError
from control.records.journal import Journal
from control.user_files.job import make_job


def job(number):
    return make_job({}, {"n": number}, "")


def numbers(submissions):
    return {
        n: submissions[int(job(n).id, 16)] for n in range(10) if submissions[int(job(n).id, 16)]
    }


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "App" / "RUN"


@pytest.fixture
def opened(folder, tmp_path):
    journals = []

    def opened(name="job.json"):
        journals.append(Journal(folder, tmp_path / name))
        return journals[-1]

    yield opened
    for journal in journals:
        journal.close()


def leftovers(opened, name="job.json"):
    journal = opened(name)
    taken, uncertain = journal.leftovers()
    journal.close()
    return numbers(taken), numbers(uncertain)


def test_what_was_begun_is_uncertain_until_it_was_taken_or_refused(opened):
    journal = opened()
    journal.sending([(job(1), 1), (job(2), 2), (job(3), 1)])
    journal.sending([(job(4), 1)])
    journal.sent([(job(1), 1), (job(2), 2)])
    journal.refused([(job(3), 1)])
    journal.close()
    assert leftovers(opened) == ({1: 1, 2: 2}, {4: 1})


def test_what_was_refused_now_may_still_have_been_taken_before(opened):
    journal = opened()
    for _ in range(2):
        journal.sending([(job(1), 1)])
    journal.refused([(job(1), 1)])
    journal.close()
    assert leftovers(opened) == ({}, {1: 1})


def test_a_finished_journal_leaves_nothing(opened):
    journal = opened()
    journal.sending([(job(1), 1)])
    journal.sent([(job(1), 1)])
    journal.finish()
    journal.close()
    assert leftovers(opened) == ({}, {})


def test_another_job_files_journal_is_read_and_not_ended(opened):
    journal = opened("a.json")
    journal.sending([(job(1), 1)])
    journal.sent([(job(1), 1)])
    journal.close()
    journal = opened("b.json")
    assert numbers(journal.leftovers()[0]) == {1: 1}
    journal.finish()
    journal.close()
    assert leftovers(opened, "a.json") == ({1: 1}, {})


@pytest.mark.parametrize("cut", range(1, 42))
def test_a_cut_line_never_makes_another_job_of_it(opened, cut):
    journal = opened()
    journal.sending([(job(1), 1), (job(2), 12)])
    journal.close()
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-cut])
    journal = opened()
    journal.sending([(job(3), 1)])
    journal.close()
    taken, uncertain = leftovers(opened)
    assert taken == {} and uncertain[3] == 1
    assert uncertain.items() <= {1: 1, 2: 12, 3: 1}.items()


def test_only_one_submission_of_a_run_at_a_time(opened):
    opened("a.json")
    with pytest.raises(ExplainedError, match="under way"):
        opened("b.json")


def test_a_full_disk_is_an_error_before_anything_is_sent(opened, monkeypatch):
    journal = opened()

    class Full:
        def write(self, line):
            return len(line) // 2

        def close(self):
            pass

    file = journal._file
    monkeypatch.setattr(journal, "_file", Full())
    with pytest.raises(OSError, match="No space left"):
        journal.sending([(job(1), 1)])
    file.close()
