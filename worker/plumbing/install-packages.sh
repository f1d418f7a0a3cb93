#!/bin/sh
# install-packages.sh PYTHON: install the worker's packages, of the requirements.txt next to this
# file, into /opt/distributed-something. The build of the image runs it in a stage of its own: its
# build tools are not in the image.
set -eu

python="$1"
here="$(dirname "$0")"
"/usr/bin/$python" -c 'import sys; sys.exit(sys.version_info < (3, 8) and "Error: the worker needs Python 3.8 or newer, this one is " + sys.version + "\nFix: name a newer one of the distribution at the top of the Dockerfile: ARG python=python3.8")'
apt-get update
# A Python other than the distribution's default lacks a part that pip needs; newer distributions
# have no such package and do not need it.
more=
if [ "$python" != python3 ] && apt-cache show python3-distutils >/dev/null 2>&1; then
    more=python3-distutils
fi
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    ca-certificates "$python-venv" ${more:+"$more"}
"/usr/bin/$python" -m venv /opt/distributed-something
cd /opt/distributed-something
bin/pip install --no-cache-dir --upgrade pip
bin/pip install --no-cache-dir --prefer-binary -r "$here/requirements.txt"
bin/pip uninstall --yes setuptools pip

cd lib/python3*/site-packages
if [ -d awscli ]; then
    # It has the descriptions of all services a second time, as plain text: compressed they are a
    # fifth. Only the examples of `aws s3 help` are kept. -Es: it runs with the worker's packages even
    # where PYTHONPATH names others.
    sed -i '1s/$/ -Es/' /opt/distributed-something/bin/aws
    find awscli -path '*/botocore/data/*.json' -exec gzip -n {} +
    find awscli/examples -type f ! -name '_*' -delete
    find awscli/examples -type d -empty -delete
fi
