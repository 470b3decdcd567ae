#!/usr/bin/python3
"""./dev bench --transcode: what the transcode farm costs, beside what the machine can do without it, in one run.

    tests/bench/transcode.py [--quick] [--only NAME,…] [--json FILE] [--record] [--anyway]

Everything is real: store, scheduler, gateway, a worker with its programs, files, ffmpeg.
"""

import json
import os
import pathlib
import resource
import shlex
import shutil
import struct
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests import videos  # noqa: E402
from tests.bench import farm_bench, segments, table  # noqa: E402
from tests.bus import Peer  # noqa: E402
from tests.chaos.books import decode  # noqa: E402

RUN_COMPLETED = 2  # enum run_status
RECORD_RUN = 3  # enum record_type

FILES_MANY = 100000
FOLDER_FILES = 250
SORTS = ("h264.mp4", "hevc.mkv", "hevc.mp4", "av1.webm", "hdr10.mkv", "vfr.mkv", "multi.mkv", "wide.mp4")
SIDE_BY_SIDE = 8
FILM_SECONDS = 120
PULLERS, PACE_MS = 2000, 1000
FEW, MANY = 100, 1000000  # videos that wait


# -- files --


def tail(name, number):
    """What makes a copy a file of its own, behind its content: a box or an element that is passed over."""
    if name.endswith("mp4"):
        return struct.pack(">I4sQ", 16, b"free", number)
    return b"\xec\x88" + struct.pack(">Q", number)


def copies(root, names, count):
    """So many files below root, each with a content of its own, copied from those videos in turn."""
    contents = [(name, videos.video(name).read_bytes()) for name in names]
    for number in range(count):
        name, content = contents[number % len(contents)]
        folder = root / f"folder {number // FOLDER_FILES:03}"
        if number % FOLDER_FILES == 0:
            folder.mkdir(parents=True)
        (folder / f"a film with a name {number:06}{pathlib.Path(name).suffix}").write_bytes(content + tail(name, number))
    os.sync()


class Watched:
    """An ffmpeg that notes when each of its calls began and ended, and its processors' time; that costs a call some milliseconds."""

    def __init__(self, folder):
        self.notes = folder / "ffmpeg.calls"
        self.folder = folder / "bin"
        self.folder.mkdir()
        program = self.folder / "ffmpeg"
        program.write_text(f"""#!/bin/bash
TIMEFORMAT='%U %S'
began=$EPOCHREALTIME
{{ cpu=$({{ time {shlex.quote(shutil.which("ffmpeg"))} "$@" 2>&4 >&3; }} 2>&1); code=$?; }} 3>&1 4>&2
echo "$began $EPOCHREALTIME $cpu $*" >>{shlex.quote(str(self.notes))}
exit $code
""")
        program.chmod(0o755)

    def environment(self):
        return {"PATH": f"{self.folder}:{os.environ['PATH']}"}

    def took(self, source):
        """Seconds and seconds of processors of the newest encode of that source, and of the calls behind it, which looked at what it had made."""
        encode, behind = (0.0, 0.0), (0.0, 0.0)
        for line in self.notes.read_text().splitlines():
            began, ended, user, system, words = line.split(" ", 4)
            seconds, cpu = float(ended) - float(began), float(user) + float(system)
            if str(source) in words:
                encode, behind = (seconds, cpu), (0.0, 0.0)
            else:
                behind = (behind[0] + seconds, behind[1] + cpu)
        return encode, behind


def cpu_of(farm):
    """Seconds of processors that a farm's processes have used, and those that they waited for."""
    used = 0
    for process in farm.processes.values():
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        used += sum(int(field) for field in fields[11:15])
    return used / os.sysconf("SC_CLK_TCK")


class Transcode(farm_bench.FarmBench):
    FARM, TITLE = "transcode", "the transcode farm"
    GROUPS = ("rescan", "probing", "overhead", "segments", "workers")

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.libraries = {}

    def library(self, name, names, count):
        """A folder of so many files, made once."""
        if name not in self.libraries:
            print(f"making {count} files", file=sys.stderr)
            self.libraries[name] = self.folder / f"library-{name}"
            copies(self.libraries[name], names, count)
        return self.libraries[name]

    def farm(self, root, types, environment=None, **settings):
        """One with a worker for these types."""
        farm = self.farms.BenchFarm(library=str(root), library_scan_minutes=0, **settings)
        farm.types = list(types)
        farm.workers = ["worker1"]
        farm.environments["worker1"] = environment or {}
        return farm

    def run_record(self, farm, number, pause=0.0):
        """A run that completes, as the store has it: with its times in milliseconds. It is asked after once in pause seconds: not to
        disturb what is measured."""
        while pause and farm.data_of(farm.get(f"/api/runs/{number}"))["status"] in ("pending", "running"):
            time.sleep(pause)
        farm.wait_run(number, timeout=600)
        with Peer(farm.endpoint("store")) as peer:
            _, fields = peer.ask("get", type=RECORD_RUN, ids=[number])
        run = decode("run", fields["rows"][0]["value"])
        if run.status != RUN_COMPLETED:
            self.trouble(f"run {number} did not complete: {run.error_message}")
        return run

    def scan(self, farm, **wanted):
        """Milliseconds from the start of a scan's run to its end. It is to find this."""
        run = self.run_record(farm, farm.data_of(farm.post("/api/v1/videos/scan", {}))["run_ids"][0])
        result = json.loads(run.result)
        if {name: result[name] for name in wanted} != wanted:
            self.trouble(f"a scan found {result}")
        return run.completed_at - run.created_at

    # -- what is measured --

    def rescan(self):
        """A library of many files: looked through for the first time, then with nothing changed, beside find."""
        count = 2500 if self.options.quick else FILES_MANY
        root = self.library("many", ("hevc.mp4",), count)
        with self.farm(root, ["scan"]) as farm:
            self.put("rescan.files", count)
            self.put("rescan.first", count * 1000 / self.scan(farm, files=count, new=count))
            for _ in self.times:
                self.put("rescan.find_ms", 1000 * self.seconds_of(["find", str(root), "-type", "f", "-printf", "%s %T@ %P\\n"]))
                self.put("rescan.ms", self.scan(farm, files=count, probed=0, gone=0))

    def probing(self):
        """All files of a library probed, beside ffprobe on the same ones."""
        count = 48 if self.options.quick else 480
        root = self.library("sorts", SORTS, count)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        ffprobe = ["xargs", "-0", "-n", "1", "-P", str(SIDE_BY_SIDE), "ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_chapters",
                   "-of", "json"]
        for _ in self.times:
            with self.farm(root, ["scan"], library_probes=SIDE_BY_SIDE) as farm:
                ours = self.scan(farm, probed=count, broken=0) / 1000
            with tempfile.TemporaryFile() as names:
                names.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
                names.seek(0)
                theirs = self.seconds_of(ffprobe, stdin=names)
            self.put("probing", count / ours)
            self.put("probing.ffprobe", count / theirs)
            self.put("probing.share", ours / theirs)

    def film(self):
        """One whose encode takes more than a minute on two cores."""
        path = self.folder / "film" / "film.mp4"
        if not path.exists():
            path.parent.mkdir()
            seconds = 5 if self.options.quick else FILM_SECONDS
            videos.ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=25:duration={seconds}", "-f", "lavfi", "-i",
                          f"sine=frequency=440:duration={seconds}", *videos.H264, "-crf", "10", "-c:a", "aac", str(path))
        return path

    def transcode(self, farm, watched):
        """The film through the farm, now: seconds of it and of its parts, and the command line that was used."""
        wished, used = time.time(), cpu_of(farm)
        known = farm.get("/api/v1/videos/1")
        before = known.body["data"]["transcode_task_id"] if known.status == 200 else None
        if known.status == 200:
            farm.data_of(farm.request("PATCH", "/api/v1/videos/1", {"transcode_status": 1}))
        else:
            self.scan(farm, new=1)

        def begun():
            task = farm.get("/api/v1/videos/1").body["data"]["transcode_task_id"]
            return task if task != before else None

        run = self.run_record(farm, self.farms.harness.wait_for(begun, 60, "a task"), pause=2)
        result = json.loads(run.result)
        if result.get("skipped") or result.get("adopted"):
            self.trouble(f"the film was not transcoded: {result}")
        pathlib.Path(result["dest"]).unlink()
        used = cpu_of(farm) - used
        (encode, encode_cpu), (behind, behind_cpu) = watched.took(self.film())
        took = {"whole": run.completed_at / 1000 - wished, "encode": encode, "verify": behind, "cpu": encode_cpu, "verify_cpu": behind_cpu,
                "rest_cpu": used - encode_cpu - behind_cpu}
        return took, shlex.split(result["command"])

    def bare(self, command, folder):
        """Seconds, and seconds of processors."""
        used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        seconds = self.seconds_of(command, cwd=folder)
        used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - used
        pathlib.Path(command[-1].removeprefix("file:")).unlink()
        return seconds, used

    def overhead(self):
        """The same film by the farm, and by the command line that the farm used, turn about."""
        root = self.film().parent
        folder = pathlib.Path(tempfile.mkdtemp(prefix="overhead-", dir=self.folder))
        watched = Watched(folder)
        settings = {"transcode_save": folder / "out", "transcode_encoders": "cpu"}
        if self.options.quick:
            settings["transcode_preset"] = "ultrafast"
        with self.farm(root, ["scan", "transcode"], watched.environment(), **settings) as farm:
            _, command = self.transcode(farm, watched)  # the first tells what to hold against, and warms what is to be warm
            for turn in self.times:
                bare = self.bare(command, folder) if turn % 2 else None
                took, command = self.transcode(farm, watched)
                bare, bare_cpu = bare or self.bare(command, folder)
                self.put("overhead.bare", bare)
                self.put("overhead.bare_cpu", bare_cpu)
                for part in ("cpu", "verify_cpu", "rest_cpu"):
                    self.put(f"overhead.{part}", took[part])
                self.put("overhead.cpu_share", took["cpu"] / bare_cpu)
                self.put("overhead.rest_cpu_share", took["rest_cpu"] / bare_cpu)
                self.put("overhead.encode", took["encode"])
                self.put("overhead.verify", took["verify"])
                self.put("overhead.rest", took["whole"] - took["encode"] - took["verify"])
                self.put("overhead.encode_share", took["encode"] / bare)
                self.put("overhead.unverified_share", (took["whole"] - took["verify"]) / bare)
                self.put("overhead.whole_share", took["whole"] / bare)
                self.put("overhead.whole", took["whole"])

    def pulls(self, name, farm, status, **more):
        got = self.generate("pulls", farm, at=farm.at(), status=status, **more)
        of_core = {who: us * got["rate"] / 10000 for who, us in got["cpu_us"].items()}
        got["percent"] = sum(of_core.get(who, 0) for who in ("gateway", "scheduler", "libmicrohttpd"))
        self.put(name, got)

    def filled(self, farm, count):
        farm.data_of(farm.post("/api/v1/videos/scan", {}))
        return self.generate("videos", farm, farm.data, rows=count)

    def workers(self):
        """Workers of the API that poll and beat, while what they ask for is not there, waits for others, waits for them; and a choice's cost."""
        paced = {"pace": PACE_MS, "clients": 100 if self.options.quick else PULLERS}
        many = 5000 if self.options.quick else MANY
        settings = {"library": "/library", "library_scan_minutes": 0, "http_connections": 2 * PULLERS, "transcode_attempts": 1000}
        with self.farms.BenchFarm(**settings) as few, self.farms.BenchFarm(**settings) as much:
            self.put("pulls.workers", paced["clients"])
            self.put("pulls.videos", many)
            for _ in self.times:
                with self.farms.Constant(self.generate.program) as constant:
                    self.pulls("pulls.constant", constant, 201, path="/x", **paced)
                self.pulls("pulls.none", few, 404, **paced)
            self.filled(few, FEW)
            self.put("pulls.filled", self.filled(much, many))
            for _ in self.times:
                self.pulls("choice.few", few, 201, clients=1)
                self.pulls("choice.much", much, 201, clients=1)
                self.pulls("pulls.others", much, 404, **paced)
                self.pulls("pulls.each", much, 201, **paced)

    def segments(self):
        """Minutes each: once."""
        seconds, size = (20, "320x180") if self.options.quick else (120, "854x480")
        self.put("segments", segments.measure(seconds, size=size))

    def rows_found(self):
        found = table.Rows(self)
        add_files(found, self)
        add_overhead(found, self)
        add_segments(found, self)
        add_workers(found, self)
        return found.rows


# -- the table --


def add_files(rows, bench):
    files = bench.get("rescan.files") or FILES_MANY
    took = table.times(bench.get("rescan.ms"), 1 / 1000)
    rows.add("a library", f"{files:,.0f} files, none known: scanned", "rescan.first", "files/s")
    rows.add("a library", f"{files:,.0f} files, nothing changed: scanned in", "rescan.ms", "ms",
             targets=[("s for 100,000", table.times(took, FILES_MANY / files), 10, False)])
    rows.add("a library", "the same files listed by find -printf in", "rescan.find_ms", "ms", beside=("the scan", "rescan.ms"))
    rows.add("a library", f"files of {len(SORTS)} sorts probed by a scan, {SIDE_BY_SIDE} side by side", "probing", "files/s",
             targets=[("of ffprobe's time", bench.get("probing.share"), 1.1, False)])
    rows.add("a library", f"ffprobe on the same files, {SIDE_BY_SIDE} side by side", "probing.ffprobe", "files/s", beside=("the scan", "probing"))


def add_overhead(rows, bench):
    def share(name):
        return [("× the bare command", bench.get(f"overhead.{name}_share"), 1.02, False)]

    rows.add("a transcode", "the command line that the farm uses, bare", "overhead.bare", "s")
    rows.add("a transcode", "the same command within the farm", "overhead.encode", "s", targets=share("encode"))
    rows.add("a transcode", "beside it: choosing, probing, hashing, naming, records", "overhead.rest", "s", targets=share("unverified"))
    rows.add("a transcode", "beside it: verifying", "overhead.verify", "s")
    rows.add("a transcode", "from the wish to the end, all of it", "overhead.whole", "s", targets=share("whole"))
    # What others do on the machine is on the wall, too; it is not in the processors' time.
    rows.add("a transcode", "processors' time of the bare command", "overhead.bare_cpu", "s")
    rows.add("a transcode", "that of the same command within the farm", "overhead.cpu", "s", targets=share("cpu"))
    rows.add("a transcode", "that of all processes of the farm beside it", "overhead.rest_cpu", "s",
             targets=[("of the bare command's", bench.get("overhead.rest_cpu_share"), 0.02, False)])
    rows.add("a transcode", "that of verifying", "overhead.verify_cpu", "s")


def add_segments(rows, bench):
    rows.add("a long video in segments", "one worker of one core, which makes it whole, in", "segments.one", "s")
    rows.add("a long video in segments", "two workers of one core each, in four segments, in", "segments.two", "s",
             targets=[("× as fast", bench.get("segments.ratio"), 1.6, True)])
    rows.add("a long video in segments", "two bare encoders do so many times as much as one", "segments.limit", "×")


def add_workers(rows, bench):
    videos_there, workers = bench.get("pulls.videos") or MANY, bench.get("pulls.workers") or PULLERS
    cases = {"constant": "libmicrohttpd, a constant", "none": "nothing waits", "others": f"{videos_there:,.0f} wait, for other encoders",
             "each": f"{videos_there:,.0f} wait: each gets one, and ends it"}
    section = f"{workers:,.0f} workers over REST: a question a second, a heartbeat in 5 s"
    for name, words in cases.items():
        targets = [("% of a core", bench.get(f"pulls.{name}.percent"), 100, False),
                   ("ms until answered (p99)", table.times(bench.get(f"pulls.{name}.pull_p99_us"), 1 / 1000), 20, False)]
        # Polling is what is asked for; who also gets and ends a transcode each second waits for the disk.
        rows.add(section, words, f"pulls.{name}", "answers/s", ".pull_", targets=targets if name in ("none", "others") else ())
    rows.add("choosing", f"{videos_there:,.0f} videos put in by a scan", "pulls.filled", "videos/s")
    rows.add("choosing", f"a worker gets one of {FEW} and ends it", "choice.few", "/s, one after the other", ".pull_")
    ratios = {which: table.over(bench.get(f"choice.much.{which}"), bench.get(f"choice.few.{which}")) for which in ("pull_p50_us", "cpu_us.scheduler")}
    rows.add("choosing", f"one of {videos_there:,.0f}", "choice.much", "/s, one after the other", ".pull_",
             targets=[(f"× that of {FEW} (p50)", ratios["pull_p50_us"], 1.3, False), ("× its CPU of the scheduler", ratios["cpu_us.scheduler"], 1.3, False)])


if __name__ == "__main__":
    sys.exit(farm_bench.main(Transcode))
