"""The work of one job: this is the file to edit.

As it stands it counts the lines, words and bytes of one document with the system's own `wc`.
Put your own program in its place; documentation/implementing.md goes through it step by step.
"""

import csv
from pathlib import Path

import plumbing
from plumbing import JobFailed

# The folder of this file. A script of your own next to it is in the image too.
HERE = Path(__file__).resolve().parent


def output_prefix(job):
    """Return where the results of a job go in DESTINATION_BUCKET.

    Two jobs must never have the same: CHECK_IF_DONE_BOOL looks for the outputs of a job here.
    """
    return f"{job['output_location']}/{job.name}"


def run_job(job):
    """Do one job: return on success; raise JobFailed("why") to have it tried again.

    job["key"]               a value of the job file: of this job's group, else shared by all jobs
    job.config["NAME"]       a setting of config.py, also your own: just add a line NAME = ...
    job.download("a/b.tif")  fetches a file of SOURCE_BUCKET into job.input_dir; "a/" all below it,
                             with only="*_D.tif" what matches; bucket= another bucket
    job.run([...])           runs a program; a list, no shell, so that spaces and quotes are safe;
                             errors="^Error" fails the job if a line of its output matches
    job.output_dir           everything in it is uploaded when run_job returns
    print() or job.log()     writes to the job's log, which also gets all that programs write
    """
    document = job.download(f"{job['input_location']}/{job['document']}")

    # Your own program:
    #     job.run(["my-program", "--flag", job["job_flag_1"], "--out", job.output_dir])
    # A script of your own, next to this file:
    #     job.run(["python3", HERE / "my_script.py", document, job.output_dir])
    # Or no program at all: any Python, here.
    counted = job.temp_dir / "counted.txt"
    with open(counted, "w") as file:
        job.run(["wc", "-l", "-w", "-c", document], stdout=file)

    # You decide what success means. By default every program must exit with 0, and there must be a
    # file in job.output_dir. Some programs exit with 0 whatever happens.
    words = counted.read_text().split()
    if len(words) < 4:
        raise JobFailed(f"wc printed {words} instead of three numbers and a name")
    with open(job.output_dir / "word_count.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["document", "lines", "words", "bytes"])
        table.writerow([job["document"], *words[:3]])


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
