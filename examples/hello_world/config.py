# The smallest implementation: each job writes one text file about two favorites.

APP_NAME = "HelloWorld"
DOCKERHUB_TAG = "user/distributed-helloworld:sometag"

AWS_REGION = "us-east-1"
AWS_PROFILE = "default"
AWS_BUCKET = "your-bucket-name"

CLUSTER_MACHINES = 1
MACHINE_TYPE = ["t3.small", "t3a.small"]
DOCKER_CORES = 2
CPU_SHARES = 1024
MEMORY = 1500

# A variable of our own: the worker reads it as job.config["MY_NAME"].
MY_NAME = "Ada"
