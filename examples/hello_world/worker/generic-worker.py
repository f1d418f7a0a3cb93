"""Write one text file about two favorites."""

import plumbing


def output_prefix(job):
    return f"{job['output_location']}/{job.name}"


def run_job(job):
    words = (
        f"Hello, {job.config['MY_NAME']} here. I like {job['favorite_food']}, and then "
        f"{job['favorite_ice_cream']} ice cream."
    )
    with open(job.output_dir / "HelloWorld.txt", "w") as file:
        job.run(["echo", words], stdout=file)


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
