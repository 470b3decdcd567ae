"""What a frame costs on the farm beside bare Blender: the same frames of the same scene, one after another, on one core. In seconds by the
clock, and in seconds of that core, which say more where others are at work, too. Blender is started for each frame (`-f`), or once (`-a`); so it is on the farm, by
render.chunk.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import time

from tests.farm import Farm

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
CHUNK = 100


def core_seconds():
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def blender(scene, folder, *what):
    subprocess.run(["blender", "-b", "--factory-startup", "--disable-autoexec", "-noaudio", "-t", "1", str(scene), "-o", f"{folder}/bare.####", "-F", "PNG",
                    "-x", "1", *map(str, what)], check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)


def bare(scene, folder, frames):
    """Seconds of a frame with a Blender of its own."""
    begun = time.monotonic()
    for frame in frames:
        blender(scene, folder, "-f", frame)
    return (time.monotonic() - begun) / len(frames)


def whole(scene, folder, frames):
    """Seconds of a frame of one Blender that makes all of them."""
    begun = time.monotonic()
    blender(scene, folder, "-s", frames[0], "-e", frames[-1], "-a")
    return (time.monotonic() - begun) / len(frames)


def farmed(scene, folder, frames, chunk):
    """Seconds from when all are handed in until the last is there, a frame."""
    folder = folder / str(chunk)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with Farm(worker_types="render", worker_slots="1", worker_render_threads="1", scene_root=str(scene.parent), render_output=str(folder),
              render_chunk=chunk) as farm:
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


def measure(count, samples, size, rounds):
    """A list of rounds; of each way a dict {"seconds": s a frame, "core_seconds": s a frame}."""
    width, height = size
    cores_here = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores_here)})
    frames = range(1, count + 1)
    try:
        with tempfile.TemporaryDirectory(prefix="gantry-bench-") as holder:
            scene = pathlib.Path(holder).resolve() / "bench.blend"
            subprocess.run(["blender", "-b", "--factory-startup", "--python-exit-code", "9", "--python-expr",
                            SCENE.format(samples=samples, width=width, height=height, path=str(scene))], check=True, stdout=subprocess.DEVNULL)
            out = pathlib.Path(holder) / "frames"
            out.mkdir()
            ways = {"bare_each": (bare, holder), "bare_whole": (whole, holder), "farm_each": (farmed, out, 1), "farm_chunked": (farmed, out, CHUNK)}
            _, idle_core = cores(farmed, scene, out, [], 1)  # what starting a farm and ending it takes
            taken = []
            for _ in range(rounds):
                taken.append({})
                for name, (way, folder, *more) in ways.items():
                    seconds, core = cores(way, scene, folder, frames, *more)
                    core -= idle_core if name.startswith("farm") else 0
                    taken[-1][name] = {"seconds": seconds, "core_seconds": core / count}
            return taken
    finally:
        os.sched_setaffinity(0, cores_here)
