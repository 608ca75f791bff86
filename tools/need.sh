#!/bin/sh
# Name what the machine lacks, with the line that installs it: `need.sh python PYTHON` or `need.sh system`.
# `need.sh which` prints the Python to take: the distribution's own where it will do, because it is built with the
# compiler's profile of real programs, which those of version managers often are not (a quarter less CPU, measured).
set -u

case ${1:-} in
which)
    if /usr/bin/python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo /usr/bin/python3
    else
        echo python3
    fi
    ;;
python)
    if ! command -v "$2" >/dev/null 2>&1; then
        echo "Letterlock needs Python 3.11 or later as '$2'. On Debian and Ubuntu: sudo apt-get install python3 python3-venv" >&2
        exit 1
    fi
    if ! "$2" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "Letterlock needs Python 3.11 or later; '$2' is $("$2" -V 2>&1). Name another one: make PYTHON=python3.12 ..." >&2
        exit 1
    fi
    if ! "$2" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2
        exit 1
    fi
    ;;
system)
    missing=""
    command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
    command -v swaks >/dev/null 2>&1 || missing="$missing swaks"
    { command -v postfix || test -x /usr/sbin/postfix; } >/dev/null 2>&1 || missing="$missing postfix"
    ls /usr/lib/*/sasl2/libplain.so >/dev/null 2>&1 || missing="$missing libsasl2-modules"
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
    command -v nginx >/dev/null 2>&1 || test -x /usr/sbin/nginx || missing="$missing nginx-light"
    command -v caddy >/dev/null 2>&1 || missing="$missing caddy"
    command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
    command -v cc >/dev/null 2>&1 || missing="$missing gcc"
    [ "$(id -u)" = 0 ] || command -v newuidmap >/dev/null 2>&1 || missing="$missing uidmap"
    if [ -n "$missing" ]; then
        echo "The tests talk to real peers and miss:$missing. On Debian and Ubuntu: sudo apt-get install$missing" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ] && ! unshare --user --map-root-user --map-auto -- true 2>/dev/null; then
        user=$(id -un)
        echo "The tests run a private Postfix, which needs root or, for '$user', a user namespace, and there is none:" \
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $user (on Ubuntu also" \
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0), or run them as root." >&2
        exit 1
    fi
    ;;
*)
    echo "usage: need.sh which | need.sh python PYTHON | need.sh system" >&2
    exit 2
    ;;
esac
