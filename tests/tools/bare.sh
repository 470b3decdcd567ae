#!/bin/bash
# A bare Debian 12 with nothing but git: clones this checkout (its last commit) into a debootstrap chroot, runs `./dev up` there
# until it is ready, ends it, and with --test or --demo runs those too. Says how long each step took. Needs root and debootstrap.
#
#   tests/tools/bare.sh [--test] [--demo] [--build-only] [--reuse] [--keep] [FOLDER]
#
# --build-only: `./dev build` instead of `./dev up`. --reuse: a chroot that --keep left; its packages and its build stay.
set -euo pipefail

run_test='' run_demo='' keep='' reuse='' goal=up folder=''
for argument in "$@"; do
    case $argument in
    --test) run_test=yes ;;
    --demo) run_demo=yes ;;
    --build-only) goal=build ;;
    --keep) keep=yes ;;
    --reuse) reuse=yes ;;
    -*) echo "bare: unknown option $argument" >&2; exit 1 ;;
    *) folder=$argument ;;
    esac
done
[[ $EUID -eq 0 ]] || { echo "bare: needs root, for debootstrap and chroot" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "bare: needs debootstrap: apt-get install debootstrap" >&2; exit 1; }
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
root=${folder:-$(mktemp -d /var/tmp/gantry-bare-XXXXXX)}

step() { # WORDS COMMAND…: runs it and says how long it took
    local words=$1 began=$SECONDS
    shift
    "$@"
    echo "bare: $words: $((SECONDS - began)) s"
}

# Everything below runs in namespaces of its own: mounts and processes end with them.
inside() {
    unshare --mount --pid --fork --kill-child -- /bin/bash -euc '
        root=$1 repository=$2; shift 2
        mount --make-rprivate /
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mkdir -p "$root/source" && mount --bind -o ro "$repository" "$root/source"
        exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
            ${CI:+CI=$CI} /bin/bash -euc "$@"' bash "$root" "$repository" "$@"
}

prepare() {
    [[ -n $reuse && -x $root/usr/bin/git ]] && return
    debootstrap --variant=minbase --include=git bookworm "$root" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; return 1; }
    rm -f "$root.log"
    chmod 755 "$root" # it is / in there, and not only root's
    # The way to the archive is the host's.
    apt-config dump | grep '^Acquire' >"$root/etc/apt/apt.conf.d/99host" || true
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

fetch() {
    inside 'cd /
        if [[ -d gantry/.git ]]; then git -C gantry -c safe.directory="*" pull -q --ff-only /source HEAD
        else git -c safe.directory="*" clone -q --no-hardlinks /source gantry; fi
        git -C gantry log --oneline -1'
}

up() { # `./dev up` until it is ready, then SIGTERM
    inside 'cd /gantry
        ./dev up --data /tmp/bare-data --port 0 --render-port 0 --recorder-port 0 >up.out 2>up.err &
        pid=$!
        until grep -q "^ready http://" up.out; do
            if ! kill -0 $pid 2>/dev/null; then tail -n 40 up.out up.err >&2; echo "bare: ./dev up ended before it was ready" >&2; exit 1; fi
            read -rt 0.2 <> <(:) || :
        done
        grep "^ready" up.out
        kill $pid
        wait $pid || { code=$?; echo "bare: ./dev up ended with $code after SIGTERM" >&2; exit $code; }'
}

cleanup() {
    [[ -n $keep || -n $reuse ]] || rm -rf --one-file-system "$root"
}
trap cleanup EXIT

step "debootstrap" prepare
step "git clone" fetch
case $goal in
up) step "./dev up until ready and its end" up ;;
build) step "./dev build" inside 'cd /gantry && ./dev build' ;;
esac
[[ -z $run_demo ]] || step "./dev demo" inside 'cd /gantry && ./dev demo'
[[ -z $run_test ]] || step "./dev test" inside 'cd /gantry && ./dev test'
