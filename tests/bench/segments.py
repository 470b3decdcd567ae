#!/usr/bin/python3
"""How much sooner a long video is there when two workers share it: each with one core, against one worker with one core that makes it whole.

    tests/bench/segments.py [--seconds N] [--segments N] [--preset NAME] [--size WxH]
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.farm import Farm  # noqa: E402  pylint: disable=wrong-import-position

COMPLETED, FAILED = 4, 5
POLL = 0.2  # s; what is measured takes minutes


def make(path, seconds, size):
    """A film that encoders have work with: moving shapes, under noise that is stronger in the second half."""
    half = seconds / 2
    graph = ";".join(f"testsrc2=size={size}:rate=25:duration={half},noise=alls={noise}:allf=t,format=yuv420p[{name}]"
                     for name, noise in (("a", 8), ("b", 16))) + ";[a][b]concat=n=2[v]"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-filter_complex", graph, "-map", "[v]", "-c:v", "libx264", "-preset", "ultrafast",
                    "-crf", "16", "-g", "125", str(path)], check=True)


def transcode(source, workers, preset, minutes):
    """Seconds from when its task was made until it had its name; workers have a core each. Raises when it did not become what it should."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-"))
    root = folder / "library"
    root.mkdir()
    try:
        with Farm(workers=workers, start=False, library=str(root), transcode_save=str(folder / "out"), transcode_encoders="cpu", transcode_preset=preset,
                  transcode_segment_minutes=f"{minutes:.3f}", library_scan_minutes="0") as farm:
            for name in ("store", "scheduler", "gateway"):
                farm.start(name)
            cores = sorted(os.sched_getaffinity(0))
            for at, name in enumerate(list(farm.workers)):
                os.sched_setaffinity(farm.start(name).pid, {cores[at % len(cores)]})
            farm.wait_ready()
            os.link(source, root / "long.mp4")
            assert farm.post("/api/v1/videos/scan", {}).status == 201
            while True:
                found = farm.get("/api/v1/videos").body["data"]["videos"]
                if found and found[0]["transcode_status"] in (COMPLETED, FAILED):
                    break
                time.sleep(POLL)
            task = farm.get(f"/api/v1/tasks/{found[0]['transcode_task_id']}").body["data"]
            assert task["status"] == 2, task
            assert (task["segments"] > 1) == (minutes > 0), task
            return task["elapsed_time"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(seconds=300, segments=4, preset="medium", size="854x480"):
    """{"one": s, "two": s, "ratio": how many times sooner}."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-", dir=tempfile.gettempdir()))
    try:
        source = folder / "long.mp4"
        make(source, seconds, size)
        one = transcode(source, 1, preset, 0)
        two = transcode(source, 2, preset, seconds / 60 / segments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"one": one, "two": two, "ratio": one / two if two else 0}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300, help="length of the video")
    parser.add_argument("--segments", type=int, default=4, help="that it is cut into")
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--size", default="854x480")
    options = parser.parse_args()
    figures = measure(options.seconds, options.segments, options.preset, options.size)
    print(f"one worker {figures['one']} s, two {figures['two']} s: {figures['ratio']:.2f} times as fast")
    return 0 if figures["ratio"] >= 1.6 else 1


if __name__ == "__main__":
    sys.exit(main())
