"""kill -9 of every process in the middle of a transcode, and between the steps that name what it made: the original is never lost or half
replaced, no temporary file stays, and in the end all is done once."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from tests import videos
from tests.bus import process_state
from tests.farm import BUILD, clean_environment, descendants, wait_for
from tests.farside import FarSide
from tests.faults import KILL, STOP, faulted_worker, have_shim
from tests.scenario.test_transcode_farm import COMPLETED, Home
from tests.scenario.test_transcode_worker import Studio, film

STEPS = (25, 50, 99)  # percent


class Middle(Home):
    def ffmpeg_in_steps(self):
        """An ffmpeg that writes so much of its result, says so, and goes on when the file past.N is there."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"""#!/bin/bash
real={shutil.which("ffmpeg")}
[[ "$*" == *libx265*file:* ]] || exec "$real" "$@"
target="${{@: -1}}"; target="${{target#file:}}"
whole={self.folder}/whole.mp4
[[ -e $whole ]] || "$real" "${{@:1:$#-1}}" "file:$whole" > /dev/null || exit
size=$(stat -c %s "$whole")
for step in {' '.join(map(str, STEPS))}; do
    head -c $((size * step / 100)) "$whole" > "$target"
    printf 'out_time_us=%d\\nprogress=continue\\n' $((4000000 * step / 100))
    echo $$ > {self.folder}/at.$step.new && mv {self.folder}/at.$step.new {self.folder}/at.$step
    until [[ -e {self.folder}/past.$step ]]; do sleep 0.05; done
done
cat "$whole" > "$target"
printf 'out_time_us=4000000\\nprogress=end\\n'
""")
        os.chmod(folder / "ffmpeg", 0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def progress(self, farm):
        """Of the task that runs; None while nobody answers."""
        try:
            answer = farm.get("/api/v1/tasks?status[]=1")
        except OSError:
            return None
        return answer.body["data"][0]["progress"] if answer.status == 200 and answer.body["data"] else None

    def killed(self, name, save):
        source = videos.put("h264.mp4", self.root / "one.mp4")
        content = source.read_bytes()
        farm = self.farm(self.ffmpeg_in_steps(), transcode_save=save, transcode_attempts="9")
        for number, step in enumerate(STEPS):
            wait_for(lambda step=step: (self.folder / f"at.{step}").exists(), 120, f"{step} % of an encode")
            wait_for(lambda step=step: (self.progress(farm) or 0) >= 0.96 * step, 60, f"{step} % being told")
            farm.kill(name)
            self.assertEqual(source.read_bytes(), content)
            self.assertEqual([path for path in self.out.rglob("*.mp4") if not path.name.startswith(".")], [])
            if name == "worker1":  # what it made so far is gone with it: another begins
                (self.folder / f"at.{step}").unlink()
                for before in STEPS[:number]:
                    (self.folder / f"at.{before}").unlink()
                farm.start(name)
                wait_for(lambda step=step: (self.folder / f"at.{step}").exists(), 120, f"{step} % of the next")
                self.assertEqual(len(self.leftovers()), 1)
            else:
                farm.start(name)
            (self.folder / f"past.{step}").touch()
        wait_for(lambda: self.status(farm, "one.mp4") == COMPLETED, 120, "the transcode")
        return farm, source, content

    def check(self, name, save):
        farm, source, content = self.killed(name, save)
        made = source if save == "!replace" else self.out / "one.mp4"
        self.assertEqual(film(made)["codec"], "hevc")
        original = self.root / ("one.mp4.bak" if save == "!replace" else "one.mp4")
        self.assertEqual(original.read_bytes(), content)
        self.assertEqual(sorted(path.name for path in self.root.iterdir()), sorted({"one.mp4", original.name}))
        self.assertEqual(self.leftovers(), [])
        tasks = farm.get("/api/v1/tasks").body["data"]
        self.assertEqual([task["status"] for task in tasks], [2] + [3] * (len(tasks) - 1))
        self.assertEqual(len(tasks), 1 + len(STEPS) if name == "worker1" else 1)

    def test_the_worker(self):
        self.check("worker1", "!replace")

    def test_the_worker_with_a_folder_of_its_own(self):
        self.check("worker1", str(self.out))

    def test_the_scheduler(self):
        self.check("scheduler", "!replace")

    def test_the_store(self):
        self.check("store", "!replace")

    def test_the_gateway(self):
        self.check("gateway", "!replace")


@unittest.skipUnless(have_shim(), "there is no shim beside sanitizers")
class BetweenSteps(Studio):
    """The step that gives the result its name is stopped before each call that changes a name, and what is at work then is killed."""

    def quick_ffmpeg(self):
        """Encodes once, and copies that from then on."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"""#!/bin/bash
real={shutil.which("ffmpeg")}
[[ "$*" == *libx265*file:* ]] || exec "$real" "$@"
target="${{@: -1}}"; target="${{target#file:}}"
whole={self.folder}/whole.mp4
[[ -e $whole ]] || "$real" "${{@:1:$#-1}}" "file:$whole" > /dev/null || exit
cp "$whole" "$target"
printf 'out_time_us=4000000\\nprogress=end\\n'
""")
        os.chmod(folder / "ffmpeg", 0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def stopped(self, farm):
        """The process that has stopped itself."""
        return [pid for pid in descendants(farm.process.pid) if process_state(pid) == "T"]

    def sound(self, source, other, content):
        """At every moment: the original has a name, and what people use is whole."""
        bak = source.with_name(source.name + ".bak")
        self.assertTrue(any(path.exists() and path.read_bytes() == content for path in (source, bak)))
        for path in {source, other}:
            if path.exists() and path.read_bytes() != content:
                self.assertEqual(film(path)["codec"], "hevc")

    def one(self, name, save, number, how):
        """Killed before call `number`. False: there was no such call."""
        source = videos.put(name, self.root / name)
        content = source.read_bytes()
        folder = self.root if save == "!replace" else self.out
        other = folder / (source.stem + ".mp4")
        farm = FarSide(start=False, library=str(self.root), transcode_save=save, transcode_preset="ultrafast", transcode_encoders="cpu")
        self.addCleanup(farm.close)
        self.count = getattr(self, "count", 0) + 1
        farm.programs, fault = faulted_worker(self.folder / f"programs{self.count}")
        farm.environment = self.environment
        farm.start()
        farm.grant = False
        run = self.begin(farm, name)
        wait_for(lambda: run in farm.published, 120, "its PUBLISH")
        fault.fail("rename link", KILL if how == "helper" else STOP, path=str(self.root if save == "!replace" else self.out), skip=number)
        farm.say("publish_grant", run_id=run, attempt=farm.attempt)
        if how == "helper":
            end = farm.wait(run)
            there = fault.failed == 1
        else:
            wait_for(lambda: self.stopped(farm) or run in farm.ends, 60, "the step, or the end")
            there = bool(self.stopped(farm))
        self.sound(source, other, content)
        if there and how == "worker":
            fault.fail("rename", 0, times=0)
            farm.kill()
            self.sound(source, other, content)
            farm.start()
            self.assertEqual(self.leftovers(), [])
        self.sound(source, other, content)
        self.assertEqual(self.leftovers(), [], (number, how))
        names = sorted(path.name for path in self.root.iterdir())
        if save != "!replace":
            self.assertEqual(names, [name])
        else:
            self.assertIn(names, ([name], sorted({other.name, name + ".bak"})))
        if how == "helper" and there:
            self.assertEqual(end["outcome"] == 1, names != [name] if save == "!replace" else other.exists(), end)
        farm.close()
        for path in [*self.root.iterdir(), other]:
            path.unlink(missing_ok=True)
        return there

    def everywhere(self, how):
        self.environment = self.quick_ffmpeg()
        for name, save, least in (("h264.mp4", "!replace", 2), ("multi.mkv", "!replace", 3), ("h264.mp4", str(self.out), 1)):
            number = 0
            with self.subTest(name=name, save=save):
                (self.folder / "whole.mp4").unlink(missing_ok=True)
                while self.one(name, save, number, how):
                    number += 1
                self.assertGreaterEqual(number, least)

    def test_the_worker_is_killed(self):
        self.everywhere("worker")

    def test_the_step_itself_is_killed(self):
        """By the kernel for want of memory, say: its worker lives on, and leaves nothing half done."""
        self.everywhere("helper")


class Mended(unittest.TestCase):
    def test_a_segment(self):
        """It takes nobody's place, also where results do: that it has its name is all there is to it."""
        with tempfile.TemporaryDirectory(prefix="gantry-mend-") as folder:
            final, temporary = pathlib.Path(folder, "final"), pathlib.Path(folder, "temporary")
            final.write_text("made")
            words = [f"root={folder}", "path=a.mp4", "run=1", "attempt=1", "save=!replace", "segment=1", f"temporary={temporary}", f"final={final}",
                     f"work={folder}/work", f"replace={folder}/replace", f"kept={folder}/kept"]

            def mended():
                return subprocess.run([str(BUILD / "gantry-worker"), "--transcode", "mend", *words], capture_output=True, text=True, timeout=60,
                                      env=clean_environment(), check=False).stdout

            self.assertEqual(mended(), "named\n")
            temporary.write_text("made")
            self.assertIn("was killed", mended())
            self.assertFalse(temporary.exists())
            self.assertEqual(final.read_text(), "made")


@unittest.skipUnless(have_shim(), "there is no shim beside sanitizers")
class FarmBetweenSteps(Home):
    def killed(self, name):
        """While the new file stands beside the original's second name, and has not taken its first."""
        source = videos.put("h264.mp4", self.root / "one.mp4")
        content = source.read_bytes()
        farm = self.farm(transcode_save="!replace", library_scan_minutes="0")
        programs, fault = faulted_worker(self.folder / "programs")
        command = farm.command
        farm.command = lambda name: [str(programs / "gantry-worker"), *command(name)[1:]] if name == "worker1" else command(name)
        farm.restart("worker1")
        farm.wait_ready()
        fault.fail("rename", STOP, path=str(source))
        farm.post("/api/v1/videos/scan", {})
        stopped = wait_for(lambda: [pid for pid in descendants(farm.pid("worker1")) if process_state(pid) == "T"], 120, "the step")
        self.assertEqual(source.read_bytes(), content)
        self.assertEqual((self.root / "one.mp4.bak").read_bytes(), content)
        farm.kill(name)
        farm.start(name)
        farm.wait_ready()
        os.kill(stopped[0], signal.SIGCONT)
        wait_for(lambda: self.status(farm, "one.mp4") == COMPLETED, 120, "the transcode")
        self.assertEqual(film(source)["codec"], "hevc")
        self.assertEqual((self.root / "one.mp4.bak").read_bytes(), content)
        self.assertEqual(self.leftovers(), [])
        self.assertEqual([task["status"] for task in farm.get("/api/v1/tasks").body["data"]], [2])

    def test_the_scheduler(self):
        self.killed("scheduler")

    def test_the_store(self):
        self.killed("store")

    def test_the_gateway(self):
        self.killed("gateway")


if __name__ == "__main__":
    unittest.main()
