# CellProfiler: each job is one group of images. Distributed-CellProfiler's config.py works, too.

APP_NAME = "DistributedCP"
DOCKERHUB_TAG = "user/distributed-cellprofiler:sometag"

AWS_REGION = "us-east-1"
AWS_PROFILE = "default"
AWS_BUCKET = "your-bucket-name"  # records, logs, and what the next three do not name
SOURCE_BUCKET = AWS_BUCKET  # images, such as "cellpainting-gallery"
WORKSPACE_BUCKET = AWS_BUCKET  # pipelines, data files, plugins
DESTINATION_BUCKET = AWS_BUCKET  # results

CLUSTER_MACHINES = 3
MACHINE_TYPE = ["m5.xlarge", "m5a.xlarge", "m6i.xlarge"]
DOCKER_CORES = 4  # CellProfilers at once in a container
CPU_SHARES = DOCKER_CORES * 1024
MEMORY = 15000  # MB; shared by the CellProfilers of the container
DOWNLOAD_FILES = True  # fetch just a group's images; False mounts the bucket

# CELLPROFILER
ALWAYS_CONTINUE = False  # True: an image that fails does not fail its job
USE_PLUGINS = False  # True: with the plugins of the image; those in the bucket need no setting
DOWNLOAD_INPUT = ""  # of the job file's `input`, which files are fetched: "*" all, "*.txt" some
