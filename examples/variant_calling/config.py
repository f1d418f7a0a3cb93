# Variant calling: each job aligns the reads of one sample and calls where it differs.

APP_NAME = "VariantCalling"
DOCKERHUB_TAG = "user/distributed-variant-calling:sometag"

AWS_REGION = "us-east-1"
AWS_PROFILE = "default"
AWS_BUCKET = "your-bucket-name"

CLUSTER_MACHINES = 2
MACHINE_TYPE = ["c5.xlarge", "c5a.xlarge", "c6i.xlarge"]
DOCKER_CORES = 2
CPU_SHARES = 4096
MEMORY = 7000

# Of the worker's own: threads of one job, the organism's ploidy, the least QUAL of a variant.
THREADS = 2
PLOIDY = 1
MIN_QUALITY = 30
