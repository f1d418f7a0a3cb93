# The settings of your run. Edit the values; keep the names. Every setting is explained in
# documentation/step_1_configuration.md, and `python run.py local files/exampleJob.json` tries
# everything on this computer before you have an AWS account.

APP_NAME = "DistributedSomething"  # names everything that the run makes; one run at a time a name

# THE PROGRAM
DOCKERHUB_TAG = "user/distributed-something:sometag"  # your image, as worker/Makefile pushes it

# AWS
AWS_REGION = "us-east-1"
AWS_PROFILE = "default"  # as in `aws configure list-profiles`; "default": whatever AWS finds itself
SSH_KEY_NAME = ""  # a key pair of EC2, if you want to log in to machines; mostly not needed
AWS_BUCKET = "your-bucket-name"  # records, logs and, unless named below, inputs and outputs
SOURCE_BUCKET = AWS_BUCKET  # where jobs download from
WORKSPACE_BUCKET = AWS_BUCKET  # where jobs find pipelines, scripts and the like
DESTINATION_BUCKET = AWS_BUCKET  # where results go
UPLOAD_FLAGS = ""  # for another account's bucket, for example "--acl bucket-owner-full-control"

# MACHINES
ECS_CLUSTER = "default"
CLUSTER_MACHINES = 3  # how many in all
TASKS_PER_MACHINE = 1  # containers on each
MACHINE_TYPE = ["m5.xlarge", "m5a.xlarge", "m6i.xlarge"]  # any of these: more types, more capacity
MACHINE_PRICE = None  # the most to pay for one, in dollars an hour; None: the market price
EBS_VOL_SIZE = 30  # GB of disk on each, at least 22
DOWNLOAD_FILES = True  # False mounts SOURCE_BUCKET at /home/ubuntu/bucket instead
ASSIGN_IP = True  # public addresses; False needs subnets with a way out of their own

# THE CONTAINER
DOCKER_CORES = 4  # jobs at once in a container
CPU_SHARES = DOCKER_CORES * 1024  # 1024 = one core
MEMORY = 15000  # MB for a container; a machine registers a little less than it has
SECONDS_TO_START = 0  # between the first jobs of a container, if they need much memory at first

# THE QUEUE
SQS_QUEUE_NAME = APP_NAME + "Queue"
SQS_MESSAGE_VISIBILITY = 5 * 60  # seconds until a lost machine's job goes to another, see step_1
SQS_DEAD_LETTER_QUEUE = APP_NAME + "_DeadMessages"  # where jobs end that failed every time
JOB_RETRIES = 3  # attempts at a job; interruptions by AWS do not count
JOB_TIMEOUT = 6 * 3600  # seconds; a job that takes longer has failed

# LOGS AND LIMITS
LOG_GROUP_NAME = APP_NAME
MAX_RUN_HOURS = 72  # AWS itself ends the machines then; queued jobs stay
MAX_HOURLY_COST = None  # dollars an hour for all machines; None: no limit
AUTO_MONITOR = False  # True: AWS itself watches the run, your computer may be off
CREATE_DASHBOARD = True  # in CloudWatch
CLEAN_DASHBOARD = True  # removed at the end

# IS A JOB DONE ALREADY? (checks the outputs, skips the job if they exist)
CHECK_IF_DONE_BOOL = False
EXPECTED_NUMBER_FILES = 1  # a job with this many files is done
MIN_FILE_SIZE_BYTES = 1  # smaller ones do not count
NECESSARY_STRING = ""  # only files with this in their name count

# YOUR OWN: every NAME = value here reaches the worker as job.config["NAME"]
