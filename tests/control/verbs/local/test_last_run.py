"""Test what verbs answer after runs on this computer, when no AWS can be reached."""

from __future__ import annotations

import os
import shutil

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from control.config import load_config
from control.errors import ExplainedError, UserError
from control.model import JobCounts
from control.records import store
from control.verbs.local import last_run

NO_RUN = store.NoRun("App has not been set up.", "Type setup.")


@pytest.fixture
def project(write_config, tmp_path, monkeypatch):
    """Make a project with a folder of results; return the path of its config.py."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    return load_config(write_config())


def asked(project, error):
    with last_run.explained(project.project):
        raise error


def ended(project, failed=1):
    last_run.remember(
        project,
        project.project / "out",
        JobCounts(3, 3 - failed, 0, failed),
        project.project / "out/runs/App/R/report.html",
    )


@pytest.mark.parametrize("error", [NoCredentialsError(), NO_RUN], ids=["no way", "no run"])
def test_after_a_run_on_this_computer_it_is_said_where_its_results_are(project, error):
    ended(project)

    with pytest.raises(UserError) as told:
        asked(project, error)

    assert " No run on AWS itself was found: " in told.value.what
    assert "2 jobs done, 0 skipped, 1 failed" in told.value.what
    assert "in out/, its report is out/runs/App/R/report.html, with the logs" in told.value.what
    assert "local JOBFILE --serve" in told.value.fix


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "GetCallerIdentity"),
        EndpointConnectionError(endpoint_url="https://s3.us-east-1.amazonaws.com"),
        UserError("App has no run R.", "Name another."),
        KeyError("a bug"),
    ],
    ids=["refused", "no network", "no such run", "bug"],
)
def test_what_aws_itself_answers_keeps_its_own_words(project, error):
    ended(project)

    with pytest.raises(type(error)) as told:
        asked(project, error)

    assert told.value is error


def test_no_logs_are_promised_of_a_run_without_failures(project):
    ended(project, failed=0)

    with pytest.raises(UserError, match=r"report\.html\. No run on AWS"):
        asked(project, NO_RUN)


@pytest.mark.parametrize("since", ["nothing", "another run", "results removed", "note broken"])
def test_the_error_stays_as_it_is_if_the_last_run_was_none_here(project, since):
    if since != "nothing":
        ended(project)
    if since == "another run":
        os.utime(project.project / ".runs/local.json", (1, 1))
        (project.project / ".runs/App/R").mkdir(parents=True)
    if since == "results removed":
        shutil.rmtree(project.project / "out")
    if since == "note broken":
        (project.project / ".runs/local.json").write_text('{"output"')

    with pytest.raises(NoCredentialsError):
        asked(project, NoCredentialsError())


def test_a_shell_whose_served_aws_has_ended_is_told_where_its_results_are(project, monkeypatch):
    last_run.remember(project, project.project / "out")
    monkeypatch.setenv("EMBEDDED_AWS", "1")

    with pytest.raises(ExplainedError, match="has ended.* logs of failed jobs are in out/"):
        asked(project, EndpointConnectionError(endpoint_url="http://127.0.0.1:9"))


def test_beside_a_served_aws_other_errors_stay_as_they_are(project, monkeypatch):
    last_run.remember(project, project.project / "out")
    monkeypatch.setenv("EMBEDDED_AWS", "1")

    with pytest.raises(store.NoRun, match="^App has not been set up"):
        asked(project, NO_RUN)


def test_a_project_that_cannot_be_written_to_is_no_reason_to_fail(project):
    (project.project / ".runs").write_text("a file in its place")

    ended(project)
