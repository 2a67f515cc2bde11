#!/bin/sh
# Third-party clients against the paper exchange; every word is passed on, see run.py --help.
exec "${PYTHON:-python3}" "$(dirname "$0")/run.py" "$@"
