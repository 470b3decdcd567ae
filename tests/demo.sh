#!/bin/bash
# tests/demo.sh BUILD_DIR: a clip is transcoded by a farm whose scheduler is killed in the middle. Leaves nothing behind.
set -euo pipefail
for name in "${!GANTRY_@}"; do unset "$name"; done # settings of another farm are not meant for this one
build=$(realpath "${1:?usage: tests/demo.sh BUILD_DIR}")
folder=$(mktemp -d "${TMPDIR:-/tmp}/gantry-demo-XXXXXX")
farm='' killer=''

say() { echo "demo: $*" >&2; }

end() {
    if [[ -n $killer ]]; then kill "$killer" 2>/dev/null || true; fi
    if [[ -n $farm ]]; then
        kill -TERM "$farm" 2>/dev/null || true
        wait "$farm" || true
    fi
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM

# The scheduler among the children of `gantry up`.
scheduler_pid() {
    local pid
    for pid in $(<"/proc/$farm/task/$farm/children"); do
        if [[ $(readlink "/proc/$pid/exe") == */gantry-scheduler ]]; then echo "$pid"; fi
    done
}

progress() { # of run 1, in whole percent
    "$build/gantry" runs 1 --url "$url" --json 2>/dev/null | sed -nE 's/^  "progress": ([0-9]+).*/\1/p'
}

kill_in_the_middle() {
    local percent pid
    until percent=$(progress) && [[ ${percent:-0} -ge 30 ]]; do sleep 0.1; done
    pid=$(scheduler_pid)
    kill -KILL "$pid"
    printf '\r\033[K' >&2
    say "at $percent % the scheduler (pid $pid) was killed with -9"
    touch "$folder/killed"
}

say "starting a farm in $folder"
mkfifo "$folder/ready"
"$build/gantry" up --data "$folder/data" --port 0 --render-port 0 --recorder-port 0 >"$folder/ready" 2>"$folder/farm.log" &
farm=$!
if ! read -r word url <"$folder/ready" || [[ $word != ready ]]; then
    cat "$folder/farm.log" >&2
    exit 1
fi
say "it answers at $url"

say "making a clip of 25 seconds"
cd "$folder"
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=1280x720:rate=30:duration=25 -f lavfi -i sine=frequency=440:duration=25 \
    -c:v mpeg4 -q:v 3 -c:a aac in.mp4

say "gantry run --wait -- ffmpeg -y -i in.mp4 -c:v libx264 -threads 1 out.mp4"
kill_in_the_middle &
killer=$!
if ! "$build/gantry" run --wait --name demo --url "$url" -- \
    ffmpeg -y -hide_banner -i in.mp4 -c:v libx264 -preset medium -threads 1 -c:a copy out.mp4; then
    say "the run failed; the farm's log ends in:"
    tail -n 30 "$folder/farm.log" >&2
    exit 1
fi
wait "$killer"
killer=''
[[ -f $folder/killed ]] || { say "the scheduler was not killed"; exit 1; }

frames=$(ffprobe -v error -select_streams v -count_frames -show_entries stream=nb_read_frames -of csv=p=0 out.mp4)
expected=$(ffprobe -v error -select_streams v -count_frames -show_entries stream=nb_read_frames -of csv=p=0 in.mp4)
if [[ $frames != "$expected" ]] || ! ffmpeg -nostdin -v error -xerror -i out.mp4 -f null -; then
    say "out.mp4 is not playable: $frames of $expected frames"
    exit 1
fi
say "out.mp4 is playable: $(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 out.mp4 | paste -sd' '), all $frames frames decode"
say "attempts it took: $("$build/gantry" runs 1 --url "$url" --json | grep -c '"outcome"')"
