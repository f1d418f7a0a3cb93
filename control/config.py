"""config.py as one frozen, typed Config, checked before any AWS call."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import runpy
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from control.command import typed
from control.errors import UserError
from control.text import word_like

_PYTHON_WRITES = {"true": "True", "false": "False", "none": "None", "null": "None"}


def run(path: Path) -> dict[str, Any]:
    """Return every name that the file sets. Raise UserError with the line if it cannot run."""
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such config file.",
            "Run this in the folder that holds config.py, or name it: --config FILE_OR_FOLDER.",
        )
    if path.suffix == ".json":
        raise UserError(
            f"{path} is a JSON file; --config names a config.py or the folder that holds it.",
            f"A job file comes after the verb: {typed('local', 'files/exampleJob.json')}",
        )
    try:
        return runpy.run_path(str(path))
    except SyntaxError as error:
        raise UserError(
            f"{path}, line {error.lineno}: {error.msg}.",
            "Often a quote, bracket or comma is missing on that line or the one before.",
        ) from None
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{path}, line {_line_of(error, path)}: {type(error).__name__}: {error}.", _fix(error)
        ) from None


def _fix(error: BaseException) -> str:
    if isinstance(error, NameError) and error.name in _PYTHON_WRITES:
        return f"Write {_PYTHON_WRITES[error.name]} there, as Python does."
    return "Correct that line: every setting is NAME = value, and may use names set above it."


def _line_of(error: BaseException, path: Path) -> int | str:
    line: int | str = "?"
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _to_bool(value: Any) -> bool:
    if value in (True, "True", "true"):
        return True
    if value in (False, "False", "false"):
        return False
    raise ValueError


def _to_int(value: Any) -> int:
    if _to_float(value) != int(value):
        raise ValueError
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _to_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError
    return value


def _to_list(value: Any) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else tuple(value)
    if not items or not all(isinstance(item, str) and item for item in items):
        raise ValueError
    return items


class _Kind(NamedTuple):
    """A kind of setting: its conversion, which raises ValueError or TypeError, and its name."""

    convert: Callable[[Any], Any]
    name: str
    example: str


_KINDS: dict[Any, _Kind] = {
    bool: _Kind(_to_bool, "True or False", "True or False"),
    int: _Kind(_to_int, "a whole number", "a whole number such as 4"),
    float: _Kind(_to_float, "a number", "a number such as 0.5"),
    float | None: _Kind(
        lambda value: None if value is None else _to_float(value),
        "a number or None",
        "a number such as 0.10, or None",
    ),
    str: _Kind(_to_text, "text", "text in quotes"),
    str | None: _Kind(
        lambda value: None if value in (None, "", "default") else _to_text(value),
        "text or None",
        "text in quotes, or None",
    ),
    tuple[str, ...]: _Kind(
        _to_list, "a list of text", "a list of text such as ['m5.xlarge', 'm6i.xlarge']"
    ),
}
CHECKOUT = Path(__file__).resolve().parent.parent
CONTROL_NODE_ONLY = ("AWS_PROFILE", "SSH_KEY_NAME")
_NOT_FOR_CONFIG = {
    "AWS_ACCESS_KEY_ID": "a credential: the task role gives those",
    "AWS_SECRET_ACCESS_KEY": "a credential: the task role gives those",
    "AWS_SESSION_TOKEN": "a credential: the task role gives those",
    "PATH": "a variable that the container's own programs need",
    "HOME": "a variable that the container's own programs need",
    "SQS_QUEUE_URL": "set by the system itself",
    "RUN_ID": "set by the system itself",
    "CONFIG_TYPES": "set by the system itself",
}
_PLACEHOLDER = re.compile(r"^your-|^bucket-name$|^user/|^someuser/|:sometag$")
# Which characters a name may have: a pattern of AWS (its API references), and the same in words.
_APP = (
    r"[A-Za-z][A-Za-z0-9_-]{0,60}",
    "only letters, digits, - and _, beginning with a letter, at most 61 of them",
)
_BUCKET = (
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "3 to 63 small letters, digits, - and ., beginning and ending with a letter or digit",
)
_CLUSTER = (r"[A-Za-z0-9_-]{1,255}", "only letters, digits, - and _, at most 255 of them")
_QUEUE = (r"[A-Za-z0-9_-]{1,80}", "only letters, digits, - and _, at most 80 of them")
_LOG_GROUP = (r"[A-Za-z0-9_/.#-]{1,512}", "only letters, digits, and _ / . # -, at most 512")
_IMAGE = (
    r"[a-z0-9][\w.:/@-]*",
    "an image's name such as 'user/project:tag', without https:// and spaces",
)
_MACHINE = (
    r"[a-z][a-z0-9-]*\.[a-z0-9-]+",
    "types such as 'm5.xlarge', with a comma between two of them",
)
# SQS reserves a message for 12 h from its receive (aws-facts: ChangeMessageVisibility). An hour of
# that is for uploads with long retries and for giving the job back.
LONGEST_JOB_SECONDS = 11 * 3600


def _setting(
    default: Any = dataclasses.MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    name: tuple[str, str] | None = None,
    local: str | None = None,
) -> Any:
    """Return a field with limits, the form of a name, and what `local` has for a placeholder."""
    return field(default=default, metadata={"low": low, "high": high, "form": name, "local": local})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting of config.py, typed; the implementer's own are in `extras`."""

    path: Path = field(default=Path("config.py"), compare=False)
    extras: Mapping[str, Any] = field(default_factory=dict)

    APP_NAME: str = _setting(name=_APP)
    DOCKERHUB_TAG: str = _setting(name=_IMAGE, local="local/worker:latest")

    AWS_REGION: str = _setting()
    AWS_PROFILE: str | None = _setting(None)
    SSH_KEY_NAME: str | None = _setting(None, local="")
    AWS_BUCKET: str = _setting(name=_BUCKET, local="local-bucket")
    SOURCE_BUCKET: str = _setting("", name=_BUCKET, local="local-bucket")
    WORKSPACE_BUCKET: str = _setting("", name=_BUCKET, local="local-bucket")
    DESTINATION_BUCKET: str = _setting("", name=_BUCKET, local="local-bucket")
    UPLOAD_FLAGS: str = _setting("")

    ECS_CLUSTER: str = _setting("default", name=_CLUSTER)
    CLUSTER_MACHINES: int = _setting(low=1, high=10_000)
    TASKS_PER_MACHINE: int = _setting(1, low=1, high=120)
    MACHINE_TYPE: tuple[str, ...] = _setting(name=_MACHINE)
    MACHINE_PRICE: float | None = _setting(None, low=0.0001)
    EBS_VOL_SIZE: int = _setting(30, low=22, high=65_536)
    DOWNLOAD_FILES: bool = _setting(True)
    ASSIGN_IP: bool = _setting(True)

    DOCKER_CORES: int = _setting(low=1, high=1024)
    CPU_SHARES: int = _setting(low=1)
    MEMORY: int = _setting(low=6)
    SECONDS_TO_START: int = _setting(0, low=0)
    GPUS_PER_TASK: int = _setting(0, low=0)

    SQS_QUEUE_NAME: str = _setting("", name=_QUEUE)
    SQS_MESSAGE_VISIBILITY: int = _setting(300, low=20, high=43_200)
    SQS_DEAD_LETTER_QUEUE: str = _setting("", name=_QUEUE)
    JOB_RETRIES: int = _setting(3, low=1, high=100)
    JOB_TIMEOUT: int = _setting(LONGEST_JOB_SECONDS, low=1, high=LONGEST_JOB_SECONDS)

    LOG_GROUP_NAME: str = _setting("", name=_LOG_GROUP)
    LOG_MB_PER_JOB: float = _setting(5.0, low=0)

    TASK_ROLE_ARN: str = _setting("")
    EXECUTION_ROLE_ARN: str = _setting("")
    AUTO_MONITOR: bool = _setting(False)
    MAX_RUN_HOURS: float = _setting(72.0, low=0.1, high=24 * 365)
    MAX_HOURLY_COST: float | None = _setting(None, low=0.0001)
    NOTIFY_EMAIL: str = _setting("")
    CREATE_DASHBOARD: bool = _setting(True)
    CLEAN_DASHBOARD: bool = _setting(True)

    CHECK_IF_DONE_BOOL: bool = _setting(False)
    EXPECTED_NUMBER_FILES: int = _setting(1, low=0)
    MIN_FILE_SIZE_BYTES: int = _setting(1, low=0)
    NECESSARY_STRING: str = _setting("")

    @property
    def project(self) -> Path:
        """Return the folder of config.py: its files/ and worker/ precede those of the checkout."""
        return self.path.parent

    def values(self) -> dict[str, Any]:
        """Return all settings by name as config.py has them, including the implementer's own."""
        ours = {name: getattr(self, name) for name in SETTINGS}
        ours["MACHINE_TYPE"] = list(self.MACHINE_TYPE)
        return {**ours, **self.extras}

    def container_values(self) -> dict[str, Any]:
        """Return the values that reach the container: all except those for the control node."""
        return {k: v for k, v in self.values().items() if k not in CONTROL_NODE_ONLY}


SETTINGS = {f.name: f for f in dataclasses.fields(Config) if f.name.isupper()}


def find_in_project(config: Config, path: str | Path) -> Path:
    """Return the file or folder `path` of the project, else from here, else of the template.

    So `--config examples/NAME submitJob files/job.json` takes the example's own job file.
    """
    for folder in (config.project, Path(), CHECKOUT):
        if (folder / path).exists():
            return folder / path
    return Path(path)


class Placeholder(UserError):
    """A setting that nobody has filled in."""


def load_config(where: str | Path = ".", *, embedded: bool = False) -> Config:
    """Run the config file `where` (a file, or a folder that holds config.py) and check it.

    `embedded` replaces placeholders by values for the AWS on this computer. Raise UserError for
    the first mistake, with the name of the setting and the fix.
    """
    path = Path(where)
    path = path / "config.py" if path.is_dir() else path
    names = run(path)
    for name in names:
        _check_capitals(name, names, path)
    given = {k: v for k, v in names.items() if re.fullmatch(r"[A-Z][A-Z0-9_]*", k)}
    for name in given:
        _check_known(name, given, path)
    values: dict[str, Any] = {}
    for name, spec in SETTINGS.items():
        values[name] = _typed(name, spec, given, path, embedded)
    _fill_derived(values)
    for name, spec in SETTINGS.items():
        _check_form(name, spec, values[name], path)
    extras = {k: _extra(k, v, path) for k, v in given.items() if k not in SETTINGS}
    return Config(path=path.resolve(), extras=types.MappingProxyType(extras), **values)


def config_of_values(values: Mapping[str, Any]) -> Config:
    """Return the config of values as `container_values` gives them, and JSON keeps them.

    Raise UserError for a value of the wrong type.
    """
    path = Path("run.json")
    typed = {
        name: _typed(name, spec, values, path, embedded=False)
        for name, spec in SETTINGS.items()
        if name not in CONTROL_NODE_ONLY
    }
    extras = {name: value for name, value in values.items() if name not in SETTINGS}
    return Config(path=path, extras=extras, **typed)


def _check_capitals(name: str, names: Mapping[str, Any], path: Path) -> None:
    if name not in SETTINGS and name.upper() in SETTINGS and name.upper() not in names:
        raise UserError(
            f"{path}: {name} is not a setting: settings are written in capital letters.",
            f"Write {name.upper()} instead.",
        )


def _check_known(name: str, given: Mapping[str, Any], path: Path) -> None:
    if name in SETTINGS:
        return
    if name in _NOT_FOR_CONFIG:
        raise UserError(
            f"{path}: {name} cannot be set here: it is {_NOT_FOR_CONFIG[name]}.",
            f"Remove the line that sets {name}.",
        )
    unset = [ours for ours in SETTINGS if ours not in given]
    close = word_like(name, unset)
    if close:
        raise UserError(
            f"{path}: {name} is not a setting, but {close} is and is not set.",
            f"Did you mean {close}? If {name} is a variable of your own, give it another name.",
        )


def _typed(
    name: str, spec: dataclasses.Field[Any], given: Mapping[str, Any], path: Path, embedded: bool
) -> Any:
    if name not in given:
        if spec.default is dataclasses.MISSING:
            raise UserError(f"{path}: {name} is not set.", f"Add a line: {name} = ...")
        return spec.default
    value = given[name]
    if isinstance(value, str) and _PLACEHOLDER.search(value):
        if not embedded or spec.metadata["local"] is None:
            raise Placeholder(
                f"{path}: {name} is still the placeholder '{value}'.",
                "Put your own value there, or try without AWS, with a value that is filled in: "
                f"{typed('local', 'files/exampleJob.json')}",
            )
        value = spec.metadata["local"]
    kind = _KINDS[_HINTS[name]]
    try:
        value = kind.convert(value)
    except (TypeError, ValueError):
        quotes = ", without quotes." if isinstance(value, str) else "."
        raise UserError(
            f"{path}: {name} = {value!r} is not {kind.name}.", f"Write {kind.example}{quotes}"
        ) from None
    _check_limits(name, spec, value, path)
    return value


def _check_limits(name: str, spec: dataclasses.Field[Any], value: Any, path: Path) -> None:
    low, high = spec.metadata["low"], spec.metadata["high"]
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if low is not None and value < low or high is not None and value > high:
        limits = f"at least {low}" if high is None else f"between {low} and {high}"
        raise UserError(
            f"{path}: {name} = {value} is out of range.", f"Give a number {limits} for {name}."
        )


def _fill_derived(values: dict[str, Any]) -> None:
    """Set the names that follow from APP_NAME and AWS_BUCKET if config.py does not set them."""
    app = values["APP_NAME"]
    values["SQS_QUEUE_NAME"] = values["SQS_QUEUE_NAME"] or f"{app}Queue"
    values["SQS_DEAD_LETTER_QUEUE"] = values["SQS_DEAD_LETTER_QUEUE"] or f"{app}_DeadMessages"
    values["LOG_GROUP_NAME"] = values["LOG_GROUP_NAME"] or app
    for bucket in ("SOURCE_BUCKET", "WORKSPACE_BUCKET", "DESTINATION_BUCKET"):
        values[bucket] = values[bucket] or values["AWS_BUCKET"]


def _check_form(name: str, spec: dataclasses.Field[Any], value: Any, path: Path) -> None:
    if spec.metadata["form"] is None:
        return
    pattern, words = spec.metadata["form"]
    for item in [value] if isinstance(value, str) else value:
        if not re.fullmatch(pattern, item):
            raise UserError(
                f"{path}: {name} = {item!r} is not a name that AWS accepts.", f"Write {words}."
            )


def _extra(name: str, value: Any, path: Path) -> Any:
    if value in ("True", "False"):
        return value == "True"
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise UserError(
            f"{path}: {name} is a {type(value).__name__}, which cannot be passed to a container.",
            "Use text, a number, True, False, None, or a list or dict of those.",
        ) from None


_HINTS = typing.get_type_hints(Config)
