"""config.py: typed values, and two lines for every mistake."""

import dataclasses

import pytest

from control.config import CHECKOUT, SETTINGS, find_in_project, load_config
from control.errors import UserError

# The form in which config files of Distributed-CellProfiler are written.
CLASSIC = """
APP_NAME = 'DistributedCP'
LOG_GROUP_NAME = APP_NAME
DOCKERHUB_TAG = 'cellprofiler/distributed-cellprofiler:2.2.0_4.2.8'
AWS_REGION = 'us-east-1'
AWS_PROFILE = 'default'
SSH_KEY_NAME = 'key.pem'
AWS_BUCKET = 'my-bucket'
SOURCE_BUCKET = 'others'
WORKSPACE_BUCKET = 'others'
DESTINATION_BUCKET = 'my-bucket'
UPLOAD_FLAGS = ''
ECS_CLUSTER = 'default'
CLUSTER_MACHINES = 3
TASKS_PER_MACHINE = 1
MACHINE_TYPE = ['m5.xlarge']
MACHINE_PRICE = 0.20
EBS_VOL_SIZE = 30
DOWNLOAD_FILES = 'False'
ASSIGN_IP = 'True'
DOCKER_CORES = 4
CPU_SHARES = DOCKER_CORES * 1024
MEMORY = 15000
SECONDS_TO_START = 3*60
SQS_QUEUE_NAME = APP_NAME + 'Queue'
SQS_MESSAGE_VISIBILITY = 12*60*60
SQS_DEAD_LETTER_QUEUE = 'user_DeadMessages'
JOB_RETRIES = 3
AUTO_MONITOR = 'True'
CREATE_DASHBOARD = 'True'
CLEAN_DASHBOARD = 'True'
CHECK_IF_DONE_BOOL = 'False'
EXPECTED_NUMBER_FILES = 7
MIN_FILE_SIZE_BYTES = 1
NECESSARY_STRING = ''
ALWAYS_CONTINUE = 'False'
USE_PLUGINS = 'True'
PLUGINS_COMMIT = 'False'
REQUIREMENTS = ''
"""


def test_a_classic_config_loads_unchanged(tmp_path):
    (tmp_path / "config.py").write_text(CLASSIC)
    config = load_config(tmp_path)
    assert config.AWS_PROFILE is None
    assert (config.DOWNLOAD_FILES, config.ASSIGN_IP, config.CHECK_IF_DONE_BOOL) == (0, 1, 0)
    assert config.CPU_SHARES == 4096
    assert config.SQS_QUEUE_NAME == "DistributedCPQueue"
    assert config.MACHINE_TYPE == ("m5.xlarge",)
    assert dict(config.extras) == {
        "ALWAYS_CONTINUE": False,
        "USE_PLUGINS": True,
        "PLUGINS_COMMIT": False,
        "REQUIREMENTS": "",
    }


def test_the_page_for_those_who_come_from_there_names_every_setting():
    page = (CHECKOUT / "documentation/coming_from.md").read_text(encoding="utf-8")
    names = {line.split()[0] for line in CLASSIC.split("\n") if line} | set(SETTINGS)
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_names_follow_from_the_app_and_the_bucket(write_config):
    config = load_config(write_config())
    assert config.SQS_QUEUE_NAME == "TestQueue"
    assert config.SQS_DEAD_LETTER_QUEUE == "Test_DeadMessages"
    assert config.LOG_GROUP_NAME == "Test"
    buckets = {config.SOURCE_BUCKET, config.WORKSPACE_BUCKET, config.DESTINATION_BUCKET}
    assert buckets == {config.AWS_BUCKET}


def test_a_folder_or_a_file_may_be_named_and_its_folder_is_the_project(write_config, tmp_path):
    path = write_config()
    other = tmp_path / "other.py"
    path.rename(other)
    config = load_config(other)
    assert config.project == tmp_path.resolve()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "job.json").write_text("{}")
    assert find_in_project(config, "files/job.json") == tmp_path.resolve() / "files" / "job.json"
    assert str(find_in_project(config, "files/none.json")) == "files/none.json"


def test_variables_of_ones_own_reach_the_container_as_they_are(write_config):
    extras = {"MY_NAME": "x", "MY_NUMBER": 7, "MY_LIST": [1, {"a": None}], "MY_FLAG": "True"}
    config = load_config(write_config(text="lower = 1\nimport os\n", **extras))
    assert dict(config.extras) == {**extras, "MY_FLAG": True}
    container = config.container_values()
    assert container["MY_LIST"] == [1, {"a": None}]
    assert container["MACHINE_TYPE"] == ["m5.xlarge"]
    assert "AWS_PROFILE" not in container and "SSH_KEY_NAME" not in container
    assert "AWS_PROFILE" in config.values()


def test_a_config_cannot_be_changed(write_config):
    config = load_config(write_config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.MEMORY = 1


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("ASSIGN_IP", "True", True),
        ("ASSIGN_IP", "false", False),
        ("MACHINE_TYPE", "m5.large", ("m5.large",)),
        ("MACHINE_PRICE", None, None),
        ("MACHINE_PRICE", 1, 1.0),
        ("MEMORY", 4096.0, 4096),
        ("AWS_PROFILE", "", None),
        ("AWS_PROFILE", "lab", "lab"),
        ("SOURCE_BUCKET", None, "test-bucket"),
    ],
)
def test_values_are_typed(write_config, name, value, typed):
    assert getattr(load_config(write_config(**{name: value})), name) == typed


@pytest.mark.parametrize(
    ("changes", "says", "fix"),
    [
        ({"MEMORY": ...}, "MEMORY is not set", "MEMORY = "),
        ({"MEMORY": "15000"}, "MEMORY = '15000' is not a whole number", "without quotes"),
        ({"MEMORY": 1.5}, "MEMORY = 1.5 is not a whole number", "such as 4"),
        ({"MEMORY": True}, "MEMORY = True is not a whole number", "such as 4"),
        ({"MEMORY": 0}, "MEMORY = 0 is out of range", "at least 6"),
        ({"EBS_VOL_SIZE": 8}, "EBS_VOL_SIZE = 8 is out of range", "between 22 and 65536"),
        ({"ASSIGN_IP": "yes"}, "ASSIGN_IP = 'yes' is not True or False", "True or False"),
        ({"MACHINE_TYPE": []}, "MACHINE_TYPE = [] is not a list", "['m5.xlarge'"),
        ({"MACHINE_PRICE": "0.1"}, "MACHINE_PRICE = '0.1' is not a number", "without quotes"),
        ({"AWS_BUCKET": "My_Bucket"}, "AWS_BUCKET = 'My_Bucket' is not a name", "small letters"),
        ({"APP_NAME": "my app"}, "APP_NAME = 'my app' is not a name", "only letters, digits"),
        ({"SOURCE_BUCKET": "s3://data"}, "'s3://data' is not a name", "small letters"),
        ({"DOCKERHUB_TAG": "https://hub/me x"}, "is not a name", "user/project:tag"),
        ({"MACHINE_PRICE": 0}, "MACHINE_PRICE = 0.0 is out of range", "at least"),
        ({"MACHINE_TYPE": ["m5.largec5.large"]}, "'m5.largec5.large'", "a comma between"),
        ({"memory": 15000, "MEMORY": ...}, "memory is not a setting", "Write MEMORY instead"),
        ({"AWS_BUCKET": "your-bucket-name"}, "placeholder 'your-bucket-name'", "local"),
        ({"DOCKERHUB_TAG": "user/x:sometag"}, "placeholder 'user/x:sometag'", "local"),
        ({"MEMMORY": 15000, "MEMORY": ...}, "MEMMORY is not a setting", "Did you mean MEMORY"),
        ({"JOB_RETRYS": 3}, "JOB_RETRYS is not a setting", "Did you mean JOB_RETRIES"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "cannot be set here: it is a credential", "Remove"),
        ({"PATH": "x"}, "PATH cannot be set here", "Remove"),
        ({"JOB_TIMEOUT": 12 * 3600}, "JOB_TIMEOUT = 43200 is out of range", "39600"),
        ({"MAX_RUN_HOURS": None}, "MAX_RUN_HOURS = None is not a number", "such as 0.5"),
    ],
)
def test_a_mistake_names_the_setting_and_its_cure(write_config, changes, says, fix):
    path = write_config(**changes)
    with pytest.raises(UserError) as error:
        load_config(path)
    assert says in error.value.what and str(path) in error.value.what
    assert fix in error.value.fix
    assert error.value.exit_code == 2


def test_a_helper_of_ones_own_may_have_small_letters(write_config):
    path = write_config(text="memory = 4000\nMEMORY = memory\n", MEMORY=...)
    assert load_config(path).MEMORY == 4000


@pytest.mark.parametrize(("slip", "right"), [("true", "True"), ("none", "None")])
def test_a_word_of_another_language_is_answered_by_pythons(write_config, slip, right):
    path = write_config(text=f"ASSIGN_IP = {slip}\n")
    with pytest.raises(UserError) as error:
        load_config(path)
    assert slip in error.value.what and f"Write {right} there" in error.value.fix


@pytest.mark.parametrize("name", ["MACHINE_PRICE", "MEMORY", "LOG_MB_PER_JOB"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_no_setting_is_infinite_or_no_number(write_config, name, value):
    with pytest.raises(UserError, match=f"{name} = {value} is not a"):
        load_config(write_config(text=f"{name} = float('{value}')"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("MY_LIST = [1, 2", "line 10: "),
        ("MY_VALUE = MEMORRY * 2", "line 10: NameError"),
        ("MY_VALUE = 1 / 0", "line 10: ZeroDivisionError"),
        ("MY_FILE = open('none.txt')", "line 10: FileNotFoundError"),
        ("MY_SET = {1, 2}", "MY_SET is a set"),
        ("MY_NUMBER = float('nan')", "MY_NUMBER is a float"),
    ],
)
def test_a_mistake_of_python_names_the_line(write_config, text, says):
    with pytest.raises(UserError) as error:
        load_config(write_config(text=text))
    assert says in error.value.what


def test_a_missing_config_is_explained(tmp_path):
    for where in (tmp_path, tmp_path / "none.py"):
        with pytest.raises(UserError, match="no such config file.*--config"):
            load_config(where)


def test_on_this_computer_placeholders_are_filled_in(write_config):
    path = write_config(
        AWS_BUCKET="your-bucket-name", DOCKERHUB_TAG="user/x:sometag", SSH_KEY_NAME="your-key.pem"
    )
    config = load_config(path, embedded=True)
    assert "your" not in config.AWS_BUCKET and "sometag" not in config.DOCKERHUB_TAG
    assert config.SSH_KEY_NAME is None
    assert config.DESTINATION_BUCKET == config.AWS_BUCKET
