"""What a full output folder costs: lists of 100,000 recordings in 10,000 folders, and what others wait for while retention removes them.

`first`: nothing is known yet; `warm`: nothing has changed since; `one`: one folder has. Seconds, from the request to the last byte of its answer. While retention removes
half of the files, which takes `all`, `status` is the longest that the recorder's status took, `list` the longest that /timestamps took, and `start` how long after the order a recording was with its worker.
"""

import json
import os
import pathlib
import shutil
import tempfile
import time

from tests.farm import Farm, wait_for
from tests.recorder import API, Recorder


def fill(out, folders, files):
    """Half of the folders are a year old, the others of yesterday."""
    for number in range(folders):
        at = time.time() - (365 if number % 2 else 1) * 86400 - number
        folder = out / time.strftime("%Y%m%d_%H%M%S", time.localtime(at))
        folder.mkdir(exist_ok=True)
        for file in range(files):
            path = folder / f"cam{file}.mp4"
            path.write_bytes(b"x")
            os.utime(path, (at, at))


def timed(farm, path):
    before = time.monotonic()
    answer = farm.get(API + path)
    assert answer.status == 200, answer.status
    return time.monotonic() - before, answer.body


def lists(farm, out):
    row = {}
    row["first"], body = timed(farm, "/videos")
    row["videos"] = body["count"]
    time.sleep(3)  # a folder that has just changed is read again
    timed(farm, "/videos")
    row["warm"] = min(timed(farm, "/videos")[0] for _ in range(5))
    row["timestamps"] = min(timed(farm, "/timestamps")[0] for _ in range(5))
    (next(out.glob("2*")) / "new.mp4").write_bytes(b"x")
    row["one"] = timed(farm, "/videos")[0]
    row["retention"] = timed(farm, "/retention")[0]
    row["disk"] = timed(farm, "/disk")[0]
    return row


def left(farm):
    return sum(one["video_count"] for one in timed(farm, "/timestamps")[1]["timestamps"])


def removals(farm, out):
    """Retention is at work: what do a recording and a list wait for?"""
    longest = {"status": 0.0, "list": 0.0}
    with Recorder(farm) as worker:
        config = {"global_config": {"poll_cycles": 1, "total_poll_duration_seconds": 600, "output_directory": str(out)},
                  "streams": [{"rtsp_url": "rtsp://cam/1", "duration_seconds": 600, "weight": 1, "output_filename": "cam.mp4"}]}
        assert farm.put(f"{API}/config", config).status == 200
        all_of_them = left(farm)
        wait_for(lambda: left(farm) < all_of_them, 600, "retention at work")
        begun = time.monotonic()
        assert farm.post(f"{API}/scheduler/start").status == 200
        run = worker.begin()
        start = time.monotonic() - begun
        while left(farm) > all_of_them / 2 + 10:
            longest["status"] = max(longest["status"], timed(farm, "/scheduler/status")[0])
            longest["list"] = max(longest["list"], timed(farm, "/timestamps")[0])
        longest["all"] = time.monotonic() - begun
        worker.end(run, result=json.dumps({"seconds": 1, "bytes": 1, "frames": 1, "status": 4}))
    return dict(longest, start=start)


def measure(folders=10000, files=10):
    root = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-"))
    out = root / "out"
    out.mkdir()
    try:
        fill(out, folders, files)
        settings = {"output": str(out), "recorder_config": str(root / "config.json"), "recorder_min_free_mb": 0, "lease_seconds": 3600}
        with Farm(workers=0, **settings) as farm:
            wait_for(lambda: farm.get(f"{API}/config").status == 200, what="the configuration")
            row = lists(farm, out)
        with Farm(workers=0, recorder_keep_days=30, **settings) as farm:
            wait_for(lambda: farm.get(f"{API}/config").status == 200, what="the configuration")
            return dict(row, removing=removals(farm, out))
    finally:
        shutil.rmtree(root, ignore_errors=True)
