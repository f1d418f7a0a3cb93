# ImageJ macros in Fiji, without a display: each job is one macro on the images of one group.

APP_NAME = "Fiji"
DOCKERHUB_TAG = "user/distributed-fiji:sometag"

AWS_REGION = "us-east-1"
AWS_PROFILE = "default"
AWS_BUCKET = "your-bucket-name"

CLUSTER_MACHINES = 2
MACHINE_TYPE = ["m5.xlarge", "m5a.xlarge", "m6i.xlarge"]
DOCKER_CORES = 4
CPU_SHARES = 4096
MEMORY = 15000

# Fiji's launcher; those of 2025 and later call it fiji-linux-x64.
FIJI = "ImageJ-linux64"
# The macro, a key of WORKSPACE_BUCKET: for another one, no new image is needed.
SCRIPT = "input/nuclei.ijm"
