#!/usr/bin/python3
"""What a frame costs on the farm beside bare Blender: the same frames of the same scene, one after another, on one core. In seconds by the
clock, and in seconds of that core, which say more where others are at work, too.

    tests/bench/render.py [--frames N] [--samples N] [--size WxH]
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.farm import Farm  # noqa: E402  pylint: disable=wrong-import-position

SCENE = """
import bpy
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = {samples}, False
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = {width}, {height}, 100
bpy.ops.wm.save_as_mainfile(filepath={path!r})
"""
LIMIT = 3600.0
POLL = 0.05  # s


def core_seconds():
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bare(scene, folder, frames):
    """Seconds of a frame with a Blender of its own."""
    begun = time.monotonic()
    for frame in frames:
        subprocess.run(["blender", "-b", "--factory-startup", "--disable-autoexec", "-noaudio", "-t", "1", str(scene), "-o", f"{folder}/bare.####", "-F", "PNG",
                        "-x", "1", "-f", str(frame)], check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)
    return (time.monotonic() - begun) / len(frames)


def farmed(scene, folder, frames):
    """Seconds from when all are handed in until the last is there, a frame."""
    with Farm(worker_types="render", worker_slots="1", worker_render_threads="1", scene_root=str(scene.parent), render_output=str(folder)) as farm:
        begun = time.monotonic()
        runs = [farm.data_of(farm.post("/api/runs", {"task_type": "render", "executor": "render", "command": scene.name, "retry_count": 0,
                                                     "output": f"frame.{frame:04d}.png", "parameters": {"engine": "blender", "frame": frame}}))["run_id"]
                for frame in frames]
        while runs and not (folder / f"frame.{frames[-1]:04d}.png").exists():  # asking costs the farm something
            time.sleep(POLL)
        for run in runs:
            done = farm.wait_run(run, timeout=LIMIT)
            assert done["status"] == "completed", done
        return (time.monotonic() - begun) / max(len(frames), 1)


def cores(work, *arguments):
    """What it answers, and how many seconds of the core that took."""
    before = core_seconds()
    return work(*arguments), core_seconds() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--size", default="640x360")
    wish = parser.parse_args()
    width, height = map(int, wish.size.split("x"))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    frames = range(1, wish.frames + 1)
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as holder:
        scene = pathlib.Path(holder).resolve() / "bench.blend"
        subprocess.run(["blender", "-b", "--factory-startup", "--python-exit-code", "9", "--python-expr",
                        SCENE.format(samples=wish.samples, width=width, height=height, path=str(scene))], check=True, stdout=subprocess.DEVNULL)
        out = pathlib.Path(holder) / "frames"
        out.mkdir()
        first, bare_core = cores(bare, scene, holder, frames)
        _, idle_core = cores(farmed, scene, out, [])
        farm, farm_core = cores(farmed, scene, out, frames)
        second, again_core = cores(bare, scene, holder, frames)
    alone, alone_core = (first + second) / 2, (bare_core + again_core) / 2 / wish.frames
    each_core = (farm_core - idle_core) / wish.frames
    print(json.dumps({"frames": wish.frames, "bare_seconds": round(alone, 3), "farm_seconds": round(farm, 3),
                      "overhead_percent": round((farm / alone - 1) * 100, 2), "bare_core_seconds": round(alone_core, 3),
                      "farm_core_seconds": round(each_core, 3), "overhead_core_percent": round((each_core / alone_core - 1) * 100, 2)}))


if __name__ == "__main__":
    main()
