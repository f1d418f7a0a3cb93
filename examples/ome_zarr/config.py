# TIFF to OME-Zarr: each job converts one image, with a pyramid down to a thumbnail.

APP_NAME = "OMEZarr"
DOCKERHUB_TAG = "user/distributed-omezarr:sometag"

AWS_REGION = "us-east-1"
AWS_PROFILE = "default"
AWS_BUCKET = "your-bucket-name"

CLUSTER_MACHINES = 2
MACHINE_TYPE = ["m5.xlarge", "m5a.xlarge", "m6i.xlarge"]
DOCKER_CORES = 4
CPU_SHARES = 4096
MEMORY = 15000

# Levels are added until the longer side of the smallest has no more pixels than that.
THUMBNAIL = 32
