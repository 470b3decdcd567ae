#!/bin/bash
# tests/bench/bench.sh BUILD_DIR [--seconds N] [--json FILE]: a farm of its own in a temporary folder, measured, and gone.
# The folder is below TMPDIR (or /tmp): set it to where the disk is that counts.
set -euo pipefail
for name in "${!GANTRY_@}"; do unset "$name"; done # settings of another farm are not meant for this one
build=$(realpath "${1:?usage: tests/bench/bench.sh BUILD_DIR [--seconds N] [--json FILE]}")
shift
folder=$(mktemp -d "${TMPDIR:-/tmp}/gantry-bench-XXXXXX")
farm=

end() {
    if [[ -n $farm ]]; then
        kill -TERM "$farm" 2>/dev/null || true
        wait "$farm" || true
    fi
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM

mkfifo "$folder/ready"
"$build/gantry" up --data "$folder/data" --port 0 --render-port 0 --recorder-port 0 --workers 0 --log-level warn \
    >"$folder/ready" 2>"$folder/log" &
farm=$!
if ! read -r word url <"$folder/ready" || [[ $word != ready ]]; then
    cat "$folder/log" >&2
    exit 1
fi
echo "gantry $("$build/gantry" version | cut -d' ' -f2), $(nproc) CPUs, $(uname -r), data on $(stat -f -c %T "$folder")"
if ! "$build/gantry-bench" --data "$folder/data" --url "$url" "$@"; then
    tail -n 20 "$folder/log" >&2
    exit 1
fi
