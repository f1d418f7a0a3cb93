"""run_batch_general.py: jobs for grids and tables, shown, written, or sent."""

import json
import tracemalloc

import pytest

import run_batch_general
from control import cli
from control.records import states
from control.user_files import job_file


@pytest.fixture
def run_it(capsys):
    """Runs the command line: (exit code, what it printed, what it printed as errors)."""

    def run_it(*argv):
        code = cli.run_main(run_batch_general.main, [str(word) for word in argv])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_it


@pytest.fixture
def output(run_it, tmp_path):
    """Writes a job file and returns the bodies of its messages."""

    def output(*argv):
        path = tmp_path / "made.json"
        assert run_it(*argv, "--output", path, "--overwrite")[0] == 0
        return [json.loads(job.body) for job in job_file.read(path).jobs()]

    return output


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_plates_wells_and_sites(output):
    made = output("--plates", "P1,P2", "--plate-format", "384", "--sites", "1-9")
    assert len(made) == 2 * 384 * 9
    assert made[0] == {"group": {"plate": "P1", "well": "A01", "site": "1"}}
    assert made[-1] == {"group": {"plate": "P2", "well": "P24", "site": "9"}}


@pytest.mark.parametrize(
    ("argv", "wells"),
    [
        (["--wells", "B3,C7"], ["B03", "C07"]),
        (["--wells", "B3,C7", "--no-pad"], ["B3", "C7"]),
        (["--rows", "A-B", "--columns", "1-2"], ["A01", "A02", "B01", "B02"]),
        (["--plate-format", "6", "--no-pad"], ["A1", "A2", "A3", "B1", "B2", "B3"]),
        (["--plate-format", "96", "--columns", "12", "--rows", "G,H"], ["G12", "H12"]),
        (["--plate-format", "6", "--columns", "2"], ["A02", "B02"]),
        (["--plate-format", "6", "--rows", "b"], ["B01", "B02", "B03"]),
    ],
)
def test_wells_in_every_way(output, argv, wells):
    assert [made["group"]["well"] for made in output(*argv)] == wells


def test_any_lists_and_shared_values(output):
    made = output("--list", "sample=S1,S2", "--list", "chr=1-2,X", "--set", "ref=hg38")
    assert len(made) == 6
    assert made[5] == {"ref": "hg38", "group": {"sample": "S2", "chr": "X"}}


def test_a_template_with_placeholders_in_shared_and_group_values(output, tmp_path):
    template = write(
        tmp_path / "message.json",
        {
            "_comment": "dropped",
            "pipeline": "a.cppipe",
            "output": "results/{plate}",
            "group": {"Metadata": "Plate={plate},Well={well}"},
        },
    )
    argv = ["--plates", "P1,P2", "--wells", "A1", "--template", template]
    assert output(*argv, "--set", "input=in", "--group", "n={well}")[1] == {
        "pipeline": "a.cppipe",
        "input": "in",
        "group": {
            "Metadata": "Plate=P2,Well=A01",
            "n": "A01",
            "output": "results/P2",
            "name": "P2-A01",
        },
    }


def test_a_table_alone_and_with_lists(output, tmp_path):
    table = write(tmp_path / "t.csv", "plate,batch\nP1,b1\nP2,b2\n")
    assert output("--table", table) == [
        {"group": {"plate": "P1", "batch": "b1"}},
        {"group": {"plate": "P2", "batch": "b2"}},
    ]
    made = output("--table", table, "--sites", "1-2", "--group", "id={batch}/{plate}/{site:02d}")
    assert [one["group"]["id"] for one in made] == ["b1/P1/01", "b1/P1/02", "b2/P2/01", "b2/P2/02"]


def test_json_lines_keep_their_types(output, tmp_path):
    table = write(tmp_path / "t.jsonl", '{"n": 1, "l": [1]}\n{"l": [], "n": 2}\n')
    assert output("--table", table)[1] == {"group": {"n": 2, "l": []}}


def test_jobs_are_named_as_asked(output):
    argv = ["--plates", "P1", "--sites", "3", "--name", "{plate}_s{site:02d}"]
    assert output(*argv)[0]["group"]["name"] == "P1_s03"


def test_a_large_grid_becomes_a_table_and_takes_no_memory(run_it, tmp_path):
    path = tmp_path / "big.json"
    tracemalloc.start()
    code, printed, _ = run_it("--list", "a=1-200", "--list", "b=1-200", "--output", path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == 0 and "40,000 jobs written" in printed
    assert json.loads(path.read_text()) == {"groups": "big.jsonl"}
    lines = (tmp_path / "big.jsonl").read_text().splitlines()
    assert len(lines) == 40_000 and json.loads(lines[-1]) == {"a": "200", "b": "200"}
    assert peak < 12_000_000


def test_an_existing_file_is_not_written_over(run_it, tmp_path):
    path = write(tmp_path / "job.json", "precious")
    code, _, error = run_it("--plates", "P1", "--output", path)
    assert code == 2 and "exists already" in error
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "nothing to make jobs from"),
        (["--rows", "A-B"], "Rows without columns"),
        (["--wells", "A1", "--rows", "A"], "exclude each other"),
        (["--wells", "A13", "--plate-format", "96"], "not on a plate of 96"),
        (["--plate-format", "96", "--columns", "13"], "not on a plate of 96"),
        (["--plate-format", "100"], "'100' is not one of 6, 12, 24, 48, 96, 384, 1536"),
        (["--list", "1-9"], "there is no name"),
        (["--list", "site=1", "--sites", "2"], "'site' is given twice"),
        (["--plates", "P1", "--set", "out={plat}"], "not a placeholder here"),
        (["--plates", "P1", "--template", "none.json"], "no such job file"),
        (["--table", "none.csv"], "no such file"),
        (["--table", "none.xlsx"], "no table"),
        (["--plates", "P1", "--dry-run", "--output", "x.json"], "--dry-run writes no file"),
        (["--plates", "P1", "--output", "x.jsonl"], "no job file"),
    ],
)
def test_a_mistake_is_two_lines_and_exit_code_2(run_it, write_config, argv, says):
    code, printed, error = run_it("--config", write_config(), *argv)
    assert (code, printed) == (2, "")
    lines = error.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Error: ") and says in lines[0]
    assert lines[1].startswith("Fix: ")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": 1}\n{"b": 1}\n', "line 2: its values are not those of the first line"),
        ('{"site": 1}\n', "'site' is a column of the table and a list too"),
    ],
)
def test_a_table_that_does_not_fit_is_explained(run_it, tmp_path, content, says):
    table = write(tmp_path / "t.jsonl", content)
    code, _, error = run_it("--table", table, "--sites", "1", "--output", tmp_path / "o.json")
    assert code == 2 and says in error
    assert not (tmp_path / "o.json").exists()


def test_a_dry_run_shows_what_would_be_sent(run_it, write_config):
    config = write_config(AWS_BUCKET="your-bucket-name")
    code, printed, _ = run_it("--config", config, "--plates", "P1,P2", "--dry-run")
    assert code == 0
    assert "2 jobs; nothing was sent" in printed
    assert '{"group":{"plate":"P1"}}' in printed
    assert printed.splitlines()[-1].startswith("Next: ")
    assert list(config.parent.rglob("batch-*")) == []


def test_two_jobs_of_one_name_are_found_by_a_dry_run(run_it, write_config):
    argv = ["--config", write_config(), "--sites", "1-2", "--name", "same", "--dry-run"]
    code, _, error = run_it(*argv)
    assert code == 2 and "different jobs with the same name, 'same'" in error


def messages(aws, queue_url):
    found = []
    while True:
        answer = aws.sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        if "Messages" not in answer:
            return found
        found += answer["Messages"]


def test_jobs_go_straight_to_the_queue_and_only_once(run_it, write_config, aws, run):
    config = write_config()
    argv = ["--config", config, "--plates", "P1,P2", "--wells", "A1-A6"]
    code, printed, error = run_it(*argv)
    assert (code, error) == (0, "")
    assert "12 jobs sent to TestQueue." in printed
    start = f"python run.py --config {config} startCluster files/exampleFleet.json"
    assert printed.splitlines()[-1] == f"Next: {start}"
    sent = messages(aws, run.queue_url)
    assert len(sent) == 12
    assert {m["MessageAttributes"]["job_name"]["StringValue"] for m in sent} >= {"P2-A06"}
    assert states.count(aws.s3, run).submitted == 12
    code, printed, _ = run_it(*argv)
    assert "0 jobs sent" in printed and "12 jobs skipped: already submitted in this run" in printed
    code, printed, _ = run_it(*argv, "--again")
    assert "12 jobs sent" in printed


def test_without_a_run_setup_is_named(run_it, write_config, aws):
    code, _, error = run_it("--config", write_config(), "--plates", "P1")
    assert code == 1 and "config.py setup" in error


def test_help_names_every_way(run_it):
    code, printed, _ = run_it("--help")
    assert code == 0
    for word in ("--plate-format", "--template", "--dry-run", "--output", "B2-G11"):
        assert word in printed
