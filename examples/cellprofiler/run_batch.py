#!/usr/bin/env python3
"""Makes the stereotyped jobs of Distributed-CellProfiler's run_batch_general.py and sends them.

It takes that program's words, puts them into those of run_batch_general.py here, and hands over.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import join

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import run_batch_general  # noqa: E402
from control import cli  # noqa: E402
from control.errors import UserError  # noqa: E402
from control.user_files import grid  # noqa: E402

_EPILOG = """\
Options of run_batch_general.py are taken as well, such as --dry-run, --output FILE or --missing:

  python examples/cellprofiler/run_batch.py illum PROJECT BATCH P1,P2 --dry-run
  python examples/cellprofiler/run_batch.py analysis cpg0000-jump-pilot 2020_11_04_CPJUMP1 \\
      BR00116991,BR00116992 --path-style cpg --source broad --plate-format 384
"""


@dataclass(frozen=True)
class Step:
    """What a step has a job for, and its files; {images}, {work} and {batch} are folders."""

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


def message(args: argparse.Namespace) -> dict[str, str]:
    """What the jobs are told, {plate} standing for a job's own. Raises UserError."""
    args = argparse.Namespace(**{name: _as_text(value) for name, value in vars(args).items()})
    step, batch = STEPS[args.step], args.batch
    if args.path_style == "cpg":
        root = join(args.identifier, args.source)
        images = join(root, "images", batch)
    else:
        root = join("projects", args.identifier)
        images = join(root, batch)
    work = join(root, "workspace")
    output = step.output.format(images=images, work=work, batch=batch)
    told = {
        "output": args.output_path or output,
        "output_structure": args.output_structure or step.structure,
        "input": args.input_path or join(work, "qc", batch, "rules"),
    }
    told = {key: value for key, value in told.items() if value}
    if not args.use_batch:
        pipelines = args.pipeline_path or join(work, "pipelines", batch)
        tables = args.datafile_path or join(work, "load_data_csv", batch)
        told["pipeline"] = join(pipelines, args.pipeline or step.pipeline)
        told["data_file"] = join(tables, "{plate}", args.datafile_name or step.table)
        return told
    if args.path_style == "cpg" and not args.batchfile_path:
        raise UserError(
            "The cpg style has no folder for batch files.", "Name theirs: --batchfile-path FOLDER."
        )
    files = args.batchfile_path or join(work, "batchfiles", batch)
    told["pipeline"] = told["data_file"] = join(files, args.batchfile_name or step.batch_file)
    return told


def _as_text(value: object) -> object:
    """Braces in text stand for themselves, not for a placeholder of a template."""
    return value.replace("{", "{{").replace("}", "}}") if isinstance(value, str) else value


def in_general_words(args: argparse.Namespace) -> list[str]:
    """The arguments of run_batch_general.py that make the same jobs. Raises UserError."""
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


def _wells(args: argparse.Namespace) -> list[str]:
    """Wells that are named are taken as they stand, those of rows and columns are padded."""
    if args.wells:
        return grid.values(args.wells)
    if args.plate_format:
        return grid.plate_wells(args.plate_format, pad=args.pad)
    columns = [int(column) for column in grid.numbers(args.columns)]
    return grid.rectangle(grid.rows(args.rows), columns, pad=args.pad)


def main(argv: Sequence[str]) -> None:
    """Make the jobs, then show, write or send them. Raises what command.run_main explains."""
    args, general = _parser().parse_known_args(argv)
    if "--config" not in general:
        general = ["--config", str(HERE), *general]
    run_batch_general.main([*in_general_words(args), *general])


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="run_batch.py",
        description="Make the stereotyped jobs of Distributed-CellProfiler and submit them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("step", choices=[*STEPS])
    add("identifier", help="the project, such as cpg0000-jump-pilot")
    add("batch", help="such as 2020_11_04_CPJUMP1")
    add("platelist", help="P1,P2,...")
    add(
        "--path-style", choices=("default", "cpg"), default="default", help="cpg: as in the gallery"
    )
    add("--source", default="", help="with cpg: the folder below the project, such as broad")
    add("--plate-format", type=int, choices=grid.PLATES, help="all wells of such a plate")
    add("--rows", default="A-P", help="default: A-P")
    add("--columns", default="1-24", help="default: 1-24")
    add("--wells", help="these wells, as they stand: B03,C07")
    add("--sites", default="1-9", help="default: 1-9; not for illum, qc and assaydev")
    add("--no-well-digit-pad", dest="pad", action="store_false", help="A1, not A01")
    for name, what in (
        ("pipeline", "its file, if it is not the step's usual one"),
        ("pipeline-path", "the folder of pipelines"),
        ("input-path", "the default input folder"),
        ("output-structure", "of folders below the output path"),
        ("output-path", "where results go"),
        ("datafile-name", "of each plate's table for LoadData"),
        ("datafile-path", "the folder of the plates' folders with it"),
        ("batchfile-name", "of the batch file"),
        ("batchfile-path", "its folder"),
    ):
        add(f"--{name}", default="", metavar="TEXT", help=what)
    add("--use-batch", action="store_true", help="a batch file instead of pipeline and table")
    return parser


if __name__ == "__main__":
    sys.exit(cli.run_main(main, sys.argv[1:]))
