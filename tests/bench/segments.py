"""How much sooner a long video is there when two workers share it: each with one core, against one worker with one core that makes it whole.
Beside it what the machine allows.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

from tests.farm import Farm

COMPLETED, FAILED = 4, 5
POLL = 0.2  # s; what is measured takes minutes


def make(path, seconds, size):
    """A film that encoders have work with: moving shapes, under noise that is stronger in the second half."""
    half = seconds / 2
    graph = ";".join(f"testsrc2=size={size}:rate=25:duration={half},noise=alls={noise}:allf=t,format=yuv420p[{name}]"
                     for name, noise in (("a", 8), ("b", 16))) + ";[a][b]concat=n=2[v]"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-filter_complex", graph, "-map", "[v]", "-c:v", "libx264", "-preset", "ultrafast",
                    "-crf", "16", "-g", "125", str(path)], check=True)


def on_core(at, start):
    """What start() starts has one core alone. x265's own threads do not care for that: it is to have one thread, too."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[at % len(cores)]})
    try:
        return start()
    finally:
        os.sched_setaffinity(0, cores)


def limit(source, preset, seconds):
    """How many times as much two encoders with a core each do here as one does: what cores share is not the farm's."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-t", str(seconds), "-threads", "1", "-i", str(source), "-c:v", "libx265", "-preset", preset,
               "-x265-params", "log-level=error:pools=1", "-f", "null", "-"]

    def took(count):
        began = time.monotonic()
        started = [on_core(at, lambda: subprocess.Popen(command)) for at in range(count)]
        if any(process.wait() for process in started):
            raise RuntimeError("ffmpeg has failed")
        return time.monotonic() - began

    return statistics.median(2 * took(1) / took(2) for _ in range(3))


def transcode(source, workers, preset, minutes):
    """Seconds from when its task was made until it had its name; workers have a core each. Raises when it did not become what it should."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-"))
    root = folder / "library"
    root.mkdir()
    try:
        with Farm(workers=workers, start=False, library=str(root), transcode_save=str(folder / "out"), transcode_encoders="cpu", transcode_preset=preset, transcode_threads="1",
                  transcode_segment_minutes=f"{minutes:.3f}", library_scan_minutes="0") as farm:
            for name in ("store", "scheduler", "gateway"):
                farm.start(name)
            for at, name in enumerate(list(farm.workers)):
                on_core(at, lambda name=name: farm.start(name))
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


def measure(seconds=120, segments=4, preset="medium", size="854x480"):
    """{"one": s, "two": s, "ratio": how many times sooner, "limit": how many times as much two cores do}."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-", dir=tempfile.gettempdir()))
    try:
        source = folder / "long.mp4"
        make(source, seconds, size)
        machine = limit(source, preset, min(seconds, 10))
        one = transcode(source, 1, preset, 0)
        two = transcode(source, 2, preset, seconds / 60 / segments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"one": one, "two": two, "ratio": one / two if two else 0, "limit": machine}
