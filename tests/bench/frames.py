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
from tests.render_client import ask, md5, upload

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
    """Seconds from when a task is handed in until its last frame is there, a frame: through the API, with the scene in the farm's own store."""
    shutil.rmtree(folder / str(chunk), ignore_errors=True)
    with Farm(worker_types="render", worker_slots="1", worker_render_threads="1", render_output=str(folder / str(chunk)), render_chunk=chunk) as farm:
        content = scene.read_bytes()
        assert upload(farm.port, content, scene.name).status == 201
        if not frames:
            return 0
        begun = time.monotonic()
        asked = ask(farm.port, "POST", "/render/api/tasks", {"unionid": "bench", "oss_file_path": f"assets/{md5(content)}", "render_engine": "blender",
                                                             "total_frames": len(frames)})
        assert asked.status == 201, asked
        path = f"/render/api/tasks/{asked.body['data']['id']}"
        while len(list((folder / str(chunk)).rglob("*.png"))) < len(frames):  # asking costs the farm something
            assert time.monotonic() - begun < LIMIT
            time.sleep(POLL)
        while (status := ask(farm.port, "GET", path).body["data"]["status"]) != "completed":
            assert status in ("queued", "rendering"), status
            assert time.monotonic() - begun < LIMIT
            time.sleep(POLL)
        return (time.monotonic() - begun) / len(frames)


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
