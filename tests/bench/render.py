#!/usr/bin/python3
"""./dev bench --render: what frames cost on the farm beside bare Blender, what files and scenes cost beside reading them, and what many tasks do.

    tests/bench/render.py [--quick] [--only NAME,…] [--json FILE] [--record] [--anyway]
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from tests.bench import farm_bench, frames, scene, table  # noqa: E402
from tests.render_client import ask, upload  # noqa: E402

API = "/render/api"
UPLOAD_MB, SCENE_MB = 1024, 500
HASHES = 10000
TASKS, FRAMES = 1000, 1000
FRAME = {"count": 6, "samples": 256, "size": (640, 360)}
LITTLE = {"count": 2, "samples": 4, "size": (64, 36)}
ASKED = {"page": f"{API}/tasks?page=25&page_size=20", "status": f"{API}/tasks/{{task}}/status", "frame": f"{API}/tasks/{{task}}/frames/500"}


def peak_bytes(pid):
    """The most memory that a process has had."""
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) << 10


def random_file(path, size):
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())


class Render(farm_bench.FarmBench):
    FARM, TITLE = "render", "the render farm"
    GROUPS = ("frames", "upload", "hashes", "scene", "tasks")

    def frames(self):
        """The same frames by bare Blender and by the farm, a program for each and one for all."""
        wish = LITTLE if self.options.quick else FRAME
        for taken in frames.measure(rounds=self.options.repetitions, **wish):
            self.put("frames", taken)
            for ours, theirs in (("each", "each"), ("chunked", "whole"), ("chunked", "each")):
                for unit in ("seconds", "core_seconds"):
                    self.put(f"frames.{ours}_over_{theirs}.{unit}", taken[f"farm_{ours}"][unit] / taken[f"bare_{theirs}"][unit])

    def upload(self):
        """One large file with both its hashes; beside it the same file copied, and made durable, and read for one hash, then the other. A new file each time,
        as a farm takes one but once."""
        size = (16 if self.options.quick else UPLOAD_MB) << 20
        source, copy = self.folder / "large.bin", self.folder / "copy.bin"
        with self.farms.BenchFarm() as farm:
            upload(farm.port, b"warm")
            for _ in self.times:
                random_file(source, size)
                bare = {"cp": self.seconds_of(["cp", str(source), str(copy)]), "sync": self.seconds_of(["sync", str(copy)])}
                copy.unlink()
                for program in ("md5sum", "xxh64sum"):
                    bare[program] = self.seconds_of([program, str(source)])
                md5 = subprocess.run(["md5sum", str(source)], capture_output=True, text=True, check=True).stdout.split()[0]
                xxh = int(subprocess.run(["xxh64sum", str(source)], capture_output=True, text=True, check=True).stdout.split()[0], 16)
                before = peak_bytes(farm.pid("gateway"))
                ours = self.seconds_of(["curl", "-sf", "-F", f"hash={md5}", "-F", f"xxhash={xxh}", "-F", f"file=@{source}", f"http://{farm.at()}{API}/files/upload"])
                source.unlink()
                whole = sum(bare.values())
                self.put("upload", {"seconds": ours, "bare": whole, "share": ours / whole, "unsynced_share": ours / (whole - bare["sync"]),
                                    "grown_mb": (peak_bytes(farm.pid("gateway")) - before) / 1e6, **bare})

    def hashes(self):
        """As many as a request may ask for; one of ten is there."""
        count = 1000 if self.options.quick else HASHES
        with self.farms.BenchFarm() as farm:
            there = [hashlib.md5(str(number).encode()).hexdigest() for number in range(count)]
            for number in range(0, count, 10):
                assert upload(farm.port, str(number).encode()).status == 201
            body = json.dumps({"hashes": there}).encode()
            for _ in range(5 * self.options.repetitions):
                began = time.monotonic()
                answer = ask(farm.port, "POST", f"{API}/files/check-hashes", body, {"Content-Type": "application/json"})
                self.put("hashes.ms", (time.monotonic() - began) * 1000)
                assert len(answer.body["data"]["missing"]) == count - count // 10, answer
        self.put("hashes.count", count)

    def scene(self):
        """A large Maya scene read, with its MD5 and without."""
        for taken in scene.measure((20 if self.options.quick else SCENE_MB) << 20, self.options.repetitions):
            self.put("scene.rate", taken["bytes"] / taken["seconds"] / 1e6)
            self.put("scene.md5_rate", taken["bytes"] / taken["md5_seconds"] / 1e6)
            self.put("scene.mb", taken["kb"] * 1024 / 1e6)

    def tasks(self):
        """Very many frames that wait."""
        count = 50 if self.options.quick else TASKS
        with self.farms.BenchFarm() as farm:
            before = self.farms.anonymous_bytes(farm.pid("scheduler"))
            assert upload(farm.port, b"a scene").status == 201
            wish = {"unionid": "bench", "oss_file_path": f"assets/{hashlib.md5(b'a scene').hexdigest()}", "render_engine": "blender", "total_frames": FRAMES}
            began = time.monotonic()
            for _ in range(count):
                answer = ask(farm.port, "POST", f"{API}/tasks", wish)
                assert answer.status == 201, answer
            self.put("tasks.created", count / (time.monotonic() - began))
            task = answer.body["data"]["id"]
            self.put("tasks.count", count)
            self.put("tasks.mb", self.farms.anonymous_bytes(farm.pid("scheduler")) / 1e6)
            self.put("tasks.grown_mb", (self.farms.anonymous_bytes(farm.pid("scheduler")) - before) / 1e6)
            for _ in self.times:
                for name, path in ASKED.items():
                    self.put(f"tasks.{name}", self.generate("requests", farm, at=farm.at(), path=path.format(task=task), clients=1))

    def rows_found(self):
        found = table.Rows(self)
        self.add_frames(found)
        self.add_files(found)
        self.add_tasks(found)
        return found.rows

    def over(self, which):
        return [("× bare, seconds of a core", self.get(f"frames.{which}.core_seconds"), 1.03, False), ("× bare, seconds", self.get(f"frames.{which}.seconds"), 1.03, False)]

    def add_frames(self, found):
        section = "a frame, on one core"
        found.add(section, "bare Blender, started for each", "frames.bare_each.seconds", "s")
        found.add(section, "the farm, Blender started for each", "frames.farm_each.seconds", "s", targets=self.over("each_over_each"))
        found.add(section, "bare Blender, started once for all", "frames.bare_whole.seconds", "s")
        found.add(section, "the farm, several frames a Blender", "frames.farm_chunked.seconds", "s",
                  targets=self.over("chunked_over_whole") + [("× bare, started for each", self.get("frames.chunked_over_each.seconds"), 1, False)])

    def add_files(self, found):
        section = "files"
        found.add(section, "one file of 1 GB sent, held against its MD5 and XXH64, and on disk, in", "upload.seconds", "s",
                  targets=[("× cp, md5sum and xxh64sum of it", self.get("upload.unsynced_share"), 1.3, False), ("MB that the gateway grew", self.get("upload.grown_mb"), 8, False)])
        found.add(section, "cp, sync, md5sum and xxh64sum of it, one after the other", "upload.bare", "s", beside=("the upload", "upload.seconds"))
        found.add(section, f"{self.get('hashes.count') or HASHES:,.0f} hashes looked up in one request", "hashes.ms", "ms",
                  targets=[("ms", self.get("hashes.ms"), 50, False)])
        found.add(section, "a Maya scene of 500 MB read, with its MD5", "scene", "MB/s",
                  targets=[("MB/s", self.get("scene.rate"), 500, True), ("MB of memory", self.get("scene.mb"), 16, False)])
        found.add(section, "its MD5 alone", "scene.md5_rate", "MB/s", beside=("reading it", "scene"))

    def add_tasks(self, found):
        section = f"{self.get('tasks.count') or TASKS:,.0f} tasks of {FRAMES:,} frames that wait"
        found.add(section, "made, one after the other", "tasks.created", "tasks/s")
        found.add(section, "the scheduler's memory", "tasks.mb", "MB", targets=[("MB", self.get("tasks.mb"), 300, False)])
        for name, words in (("page", "a page of 20 from the middle of their list"), ("status", "one's status"), ("frame", "one's frame")):
            found.add(section, words, f"tasks.{name}", "/s", targets=[("ms (p99)", table.times(self.get(f"tasks.{name}.p99_us"), 1 / 1000), 5, False)])


if __name__ == "__main__":
    sys.exit(farm_bench.main(Render))
