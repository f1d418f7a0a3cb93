#!/usr/bin/env python3
"""Make the stereotyped jobs of Distributed-CellProfiler's run_batch_general.py and send them.

It takes that program's words, puts them into those of run_batch_general.py here, and hands over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import join
from types import SimpleNamespace
from typing import Any

import click

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import run_batch_general  # noqa: E402
from control import cli  # noqa: E402
from control.errors import UserError  # noqa: E402
from control.user_files import grid  # noqa: E402


@dataclass(frozen=True)
class Step:
    """A kind of jobs: one per plate, well or site, and its files."""

    per: tuple[str, ...]
    name: str
    table: str
    output: str
    structure: str = ""

    @property
    def pipeline(self) -> str:
        return f"{self.name}.cppipe"

    @property
    def batch_file(self) -> str:
        return f"Batch_data_{self.name.lower()}.h5"


_PLATE, _WELL, _SITE = ("Plate",), ("Plate", "Well"), ("Plate", "Well", "Site")
_QC = ("qc", "load_data.csv", "{work}/qc/{batch}/results")
_ASSAYDEV = ("assaydev", "load_data_with_illum.csv", "{work}/assaydev/{batch}")
_EACH = "Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site"
STEPS = {
    "zproj": Step(
        *(_SITE, "Zproj", "load_data_unprojected.csv", "{images}/images_projected"),
        "Metadata_Plate",
    ),
    "illum": Step(_PLATE, "illum", "load_data.csv", "{images}/illum"),
    "qc": Step(_WELL, *_QC),
    "qc_persite": Step(_SITE, *_QC),
    "assaydev": Step(_WELL, *_ASSAYDEV),
    "assaydev_persite": Step(_SITE, *_ASSAYDEV),
    "analysis": Step(
        *(_SITE, "analysis", "load_data_with_illum.csv", "{work}/analysis/{batch}"), _EACH
    ),
}


def message(args: SimpleNamespace) -> dict[str, str]:
    """Return the values of the jobs' message; {plate} is each job's own. Raise UserError."""
    args = SimpleNamespace(**{name: _as_text(value) for name, value in vars(args).items()})
    step, batch = STEPS[args.step], args.batch
    if args.path_style == "cpg":
        root = join(args.identifier, args.source)
        images = join(root, "images", batch)
    else:
        root = join("projects", args.identifier)
        images = join(root, batch)
    work = join(root, "workspace")
    output = step.output.format(images=images, work=work, batch=batch)
    values = {
        "output": args.output_path or output,
        "output_structure": args.output_structure or step.structure,
        "input": args.input_path or join(work, "qc", batch, "rules"),
    }
    values = {key: value for key, value in values.items() if value}
    if not args.use_batch:
        pipelines = args.pipeline_path or join(work, "pipelines", batch)
        tables = args.datafile_path or join(work, "load_data_csv", batch)
        values["pipeline"] = join(pipelines, args.pipeline or step.pipeline)
        values["data_file"] = join(tables, "{plate}", args.datafile_name or step.table)
        return values
    if args.path_style == "cpg" and not args.batchfile_path:
        raise UserError(
            "The cpg style has no folder for batch files.", "Name theirs: --batchfile-path FOLDER."
        )
    files = args.batchfile_path or join(work, "batchfiles", batch)
    values["pipeline"] = values["data_file"] = join(files, args.batchfile_name or step.batch_file)
    return values


def _as_text(value: object) -> object:
    """Braces in text stand for themselves, not for a placeholder of a template."""
    return value.replace("{", "{{").replace("}", "}}") if isinstance(value, str) else value


def _text_option(name: str, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(name, default="", metavar="TEXT", help=what)


def in_general_words(args: SimpleNamespace) -> list[str]:
    """Return the arguments of run_batch_general.py that make the same jobs. Raise UserError."""
    per = STEPS[args.step].per
    words = ["--plates", args.platelist]
    if "Well" in per:
        words += ["--list", f"well={','.join(_wells(args))}"]
    if "Site" in per:
        words += ["--list", f"site={args.sites}"]
    group = ",".join(f"Metadata_{key}={{{key.lower()}}}" for key in per)
    words += ["--group", f"Metadata={group}"]
    words += ["--name", "-".join(f"{{{key.lower()}}}" for key in per)]
    for key, value in message(args).items():
        words += ["--set", f"{key}={value}"]
    return words


def _wells(args: SimpleNamespace) -> list[str]:
    """Wells that are named are taken as they stand, those of rows and columns are padded."""
    if args.wells:
        return grid.values(args.wells)
    if args.plate_format:
        return grid.plate_wells(int(args.plate_format), pad=not args.no_pad)
    columns = [int(column) for column in grid.numbers(args.columns)]
    return grid.rectangle(grid.rows(args.rows), columns, pad=not args.no_pad)


def main(argv: Sequence[str]) -> int:
    """Make the jobs, then show, write or send them. Raise what cli.run_main explains."""
    return cli.invoke(command, "python examples/cellprofiler/run_batch.py", argv)


@cli.command("run_batch.py", where=HERE, context_settings={"ignore_unknown_options": True})
@click.argument("step", type=cli.one_of(STEPS), metavar="STEP")
@click.argument("identifier", metavar="PROJECT")
@click.argument("batch", metavar="BATCH")
@click.argument("platelist", metavar="P1,P2,...")
@click.argument("general", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.option(
    "--path-style",
    type=cli.one_of(["default", "cpg"]),
    metavar="STYLE",
    default="default",
    help="cpg: as in the gallery",
)
@_text_option("--source", "with cpg: the folder below the project, such as broad")
@click.option(
    "--plate-format",
    type=cli.one_of(map(str, grid.PLATES)),
    metavar="|".join(map(str, grid.PLATES)),
    help="all wells of such a plate",
)
@click.option("--rows", default="A-P", metavar="LIST", help="default: A-P")
@click.option("--columns", default="1-24", metavar="LIST", help="default: 1-24")
@click.option("--wells", metavar="LIST", help="these wells, unchanged: B03,C07")
@click.option(
    "--sites", default="1-9", metavar="LIST", help="default: 1-9; not for illum, qc and assaydev"
)
@click.option("--no-well-digit-pad", "no_pad", is_flag=True, help="A1, not A01")
@_text_option("--pipeline", "its file, if it is not the step's usual one")
@_text_option("--pipeline-path", "the folder of pipelines")
@_text_option("--input-path", "the default input folder")
@_text_option("--output-structure", "of folders below the output path")
@_text_option("--output-path", "where results go")
@_text_option("--datafile-name", "of each plate's table for LoadData")
@_text_option("--datafile-path", "the folder of the plates' folders with it")
@_text_option("--batchfile-name", "of the batch file")
@_text_option("--batchfile-path", "its folder")
@click.option("--use-batch", is_flag=True, help="a batch file instead of pipeline and table")
def command(where: Path, general: tuple[str, ...], **options: Any) -> None:
    """Make the stereotyped jobs of Distributed-CellProfiler and submit them.

    \b
    STEP is zproj, illum, qc, qc_persite, assaydev, assaydev_persite or analysis;
    PROJECT such as cpg0000-jump-pilot. Options of run_batch_general.py are taken as
    well, such as --dry-run, --output FILE or --missing:

    \b
      python examples/cellprofiler/run_batch.py illum PROJECT BATCH P1,P2 --dry-run
      python examples/cellprofiler/run_batch.py analysis cpg0000-jump-pilot \\
          2020_11_04_CPJUMP1 BR00116991,BR00116992 --path-style cpg --source broad \\
          --plate-format 384
    """
    words = in_general_words(SimpleNamespace(**options))
    run_batch_general.main([*words, "--config", str(where), *general])


if __name__ == "__main__":
    sys.exit(cli.run_main(main, sys.argv[1:]))
