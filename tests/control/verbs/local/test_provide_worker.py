"""local: the assembled worker, its image, and a config that fits this computer."""

from __future__ import annotations

import shutil
import threading

import pytest

from control.config import load_config
from control.errors import ExplainedError, UserError
from control.verbs.local import environment, provide_worker


@pytest.fixture
def config(write_config):
    return load_config(write_config(CLUSTER_MACHINES=3, DOCKER_CORES=4, MEMORY=5000))


@pytest.mark.parametrize(
    ("workers", "machines", "in_each"),
    [(1, 1, 1), (2, 1, 2), (4, 1, 4), (5, 2, 4), (12, 3, 4), (100, 3, 4)],
)
def test_a_container_holds_as_many_workers_as_on_aws_because_they_share_its_memory(
    config, workers, machines, in_each
):
    here = environment.adapted(config, workers, "some:image")
    shape = (here.CLUSTER_MACHINES, here.DOCKER_CORES)
    assert shape == (machines, in_each)
    assert (here.DOCKERHUB_TAG, here.MEMORY) == ("some:image", 5000)


def test_processes_are_spread_over_the_machines(config):
    here = environment.adapted(config, 2)
    assert (here.CLUSTER_MACHINES, here.DOCKER_CORES) == (2, 1)
    assert here.DOCKERHUB_TAG == config.DOCKERHUB_TAG


def test_the_worker_is_the_template_s_under_the_project_s_without_what_python_left(
    config, tmp_path
):
    own = config.project / "worker"
    (own / "__pycache__").mkdir(parents=True)
    (own / "__pycache__/x.pyc").write_text("")
    (own / "generic-worker.py").write_text("mine = 1\n")
    (own / "my_script.py").write_text("")
    folder = provide_worker.assemble(config, tmp_path / "assembled")
    assert (folder / "generic-worker.py").read_text() == "mine = 1\n"
    assert (folder / "my_script.py").exists() and (folder / "plumbing/job.py").exists()
    assert (folder / "Dockerfile").exists()
    assert list(folder.rglob("__pycache__")) == []


def test_what_is_edited_while_it_is_served_is_taken_over(config, tmp_path):
    own = config.project / "worker"
    own.mkdir(parents=True)
    (own / "generic-worker.py").write_text("mine = 1\n")
    folder = provide_worker.assemble(config, tmp_path / "assembled")
    assert not provide_worker.refresh(config, folder)

    (own / "generic-worker.py").write_text("mine = 22\n")
    (own / "scripts").mkdir()
    (own / "scripts/new.py").write_text("")
    assert provide_worker.refresh(config, folder)
    assert (folder / "generic-worker.py").read_text() == "mine = 22\n"
    assert (folder / "scripts/new.py").exists()
    assert not provide_worker.refresh(config, folder)


def test_what_an_editor_leaves_and_takes_away_again_is_no_trouble(config, tmp_path):
    own = config.project / "worker"
    own.mkdir(parents=True)
    folder = provide_worker.assemble(config, tmp_path / "assembled")
    for name in (".generic-worker.py.swp", "generic-worker.py~"):
        (own / name).write_text("")
    assert not provide_worker.refresh(config, folder)

    ended = threading.Event()

    def save_again_and_again():
        while not ended.is_set():
            for number in range(20):
                (own / f"4913-{number}").touch()
            for number in range(20):
                (own / f"4913-{number}").unlink()

    saving = threading.Thread(target=save_again_and_again)
    saving.start()
    try:
        for _ in range(100):
            provide_worker.refresh(config, folder)
    finally:
        ended.set()
        saving.join()


class Engine:
    """Says what it is told to say, with an exit code."""

    program = "docker"

    def __init__(self, lines=(), code=0, images=()):
        self.lines, self.code, self.images, self.built = lines, code, images, []

    def has_image(self, image):
        return image in self.images

    def build(self, folder, image, hear):
        self.built.append(image)
        for line in self.lines:
            hear(line)
        return self.code


def test_each_project_has_an_image_of_its_own(config, tmp_path):
    engine = Engine()
    wish = provide_worker.Containers()
    (tmp_path / "other").mkdir()
    other = load_config(shutil.copy(config.project / "config.py", tmp_path / "other"))
    names = [provide_worker.provide_image(engine, c, tmp_path, wish) for c in (config, other)]
    assert names == engine.built and len(set(names)) == 2
    assert config.DOCKERHUB_TAG not in names


def test_a_failed_build_shows_its_last_lines(config, tmp_path, capsys):
    engine = Engine([f"line {number}" for number in range(100)], code=3)
    with pytest.raises(ExplainedError, match="line 99") as error:
        provide_worker.provide_image(engine, config, tmp_path, provide_worker.Containers())
    assert error.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "line 88\n" in shown and "line 99\n" in shown and "line 87\n" not in shown


def test_an_image_that_is_there_is_not_built(config, tmp_path):
    engine = Engine(images=["ready:1"])
    wish = provide_worker.Containers(image="ready:1")
    assert provide_worker.provide_image(engine, config, tmp_path, wish) == "ready:1"
    assert engine.built == []
    with pytest.raises(UserError, match="no image missing:1"):
        provide_worker.provide_image(
            engine, config, tmp_path, provide_worker.Containers(image="missing:1")
        )
