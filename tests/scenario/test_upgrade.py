"""A rolling upgrade: the worker of the first release works with today's farm, as it was built then."""

import fcntl
import shutil
import subprocess
import unittest

from tests.farm import BUILD, ROOT, Farm, free_port, wait_for
from tests.patience import PATIENT

TIME_LIMIT = 1800.0  # it may have to be built, beside others
OLD = "c17861d06c4ec7745271c0d00e27c0f3f475b5fe"  # what the first issue ended with


def old_source():
    """True when the repository's history has it: a shallow clone, or a copy of the files, has not."""
    return shutil.which("git") and subprocess.run(["git", "-C", str(ROOT), "cat-file", "-e", OLD + "^{commit}"], capture_output=True).returncode == 0


def old_build():
    """The folder with the old gantry-worker and gantry-run; built once for all builds of this tree."""
    folder = BUILD / "old" / OLD[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "built").exists():
            source = folder / "source"
            shutil.rmtree(source, ignore_errors=True)
            source.mkdir()
            archive = subprocess.run(["git", "-C", str(ROOT), "archive", OLD], check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
            build = folder / "build"
            subprocess.run(["cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"], check=True,
                           capture_output=True)
            subprocess.run(["ninja", "-C", str(build), "gantry-worker", "gantry-run"], check=True, capture_output=True)
            shutil.rmtree(source)
            (folder / "built").touch()
    return folder / "build"


class OldFarm(Farm):
    """Today's store, scheduler and gateway; workers of then."""

    def __init__(self, **settings):
        super().__init__(**dict(PATIENT, **settings))

    def command(self, name):
        command = super().command(name)
        if name.startswith("worker"):
            command[0] = str(old_build() / "gantry-worker")
        return command


@unittest.skipUnless(old_source(), "the history of this copy does not have the first release")
class Upgrade(unittest.TestCase):
    def test_runs_logs_progress_outputs_and_failures(self):
        with OldFarm(workers=1) as farm:
            out = farm.data / "out.txt"
            gate = farm.data / "gate"
            command = (f'echo one; echo two >&2; echo percent=40 >&"$GANTRY_PROGRESS_FD"; while [ ! -e {gate} ]; do sleep 0.02; done; '
                       'echo "$1" > "$GANTRY_OUTPUT"; echo done')
            run = farm.trigger(farm.task("t", command, arguments=["{{word}}"], output=str(out)), parameters={"word": "kept"})
            wait_for(lambda: farm.run(run).get("progress") == 40, what="the progress of an old worker")
            gate.touch()
            done = farm.wait_run(run)
            self.assertEqual((done["status"], done["result"], out.read_text()), ("completed", "done", "kept\n"))
            lines = [line["message"] for line in farm.data_of(farm.get(f"/api/runs/{run}/logs"))["items"]]
            self.assertLessEqual({"one", "two", "done"}, set(lines))
            failed = farm.wait_run(farm.trigger(farm.task("bad", "exit 7", retry_count=1)))
            self.assertEqual((failed["status"], [at["exit_code"] for at in failed["attempts"]]), ("failed", [7, 7]))
            late = farm.wait_run(farm.trigger(farm.task("late", "sleep 600", timeout_seconds=1)))
            self.assertEqual((late["status"], late["attempts"][0]["outcome"]), ("failed", "timeout"))

    def test_over_tcp_with_curve(self):
        """On another machine, as far as it knows: a certificate of its own, and today's list of who is let in."""
        ends = {f"bus_{name}": f"tcp://127.0.0.1:{free_port()}" for name in ("store", "scheduler", "workers", "doorbell")}
        with OldFarm(workers=1, bus_curve="always", **ends) as farm:
            gate = farm.data / "gate"
            run = farm.trigger(farm.task("waits", f"while [ ! -e {gate} ]; do sleep 0.02; done; echo through"))
            farm.wait_run(run, "running")
            for name in ("scheduler", "store", "gateway"):
                farm.restart(name)
                farm.wait_ready()
            gate.touch()
            done = farm.wait_run(run)
            self.assertEqual((done["result"], len(done["attempts"])), ("through", 1))
            # It is the certificate that lets it in: without one it stays outside, until it is on the list again.
            allowed = farm.data / "curve/allowed"
            allowed.rename(farm.data / "aside")
            allowed.mkdir()
            farm.restart("worker1")
            wait_for(lambda: "refuses us" in farm.log("worker1"), what="an old worker that is not let in")
            allowed.rmdir()
            (farm.data / "aside").rename(allowed)
            farm.wait_ready()
            self.assertEqual(farm.wait_run(farm.trigger(farm.task("late", "echo again")))["result"], "again")

    def test_aborts_restarts_and_lost_workers(self):
        with OldFarm(workers=1) as farm:
            gate = farm.data / "gate"
            waits = farm.task("waits", f"while [ ! -e {gate} ]; do sleep 0.02; done; echo through")
            aborted = farm.trigger(farm.task("sleeps", "sleep 600"))
            farm.wait_run(aborted, "running")
            self.assertEqual(farm.post(f"/api/runs/{aborted}/abort", {}).status, 200)
            self.assertEqual(farm.wait_run(aborted)["status"], "aborted")
            run = farm.trigger(waits)
            farm.wait_run(run, "running")
            for name in ("scheduler", "store", "gateway"):
                farm.restart(name)
                farm.wait_ready()
            gate.touch()
            done = farm.wait_run(run)
            self.assertEqual((done["result"], len(done["attempts"])), ("through", 1))
            gate.unlink()
            run = farm.trigger(waits)
            farm.wait_run(run, "running")
            farm.restart("worker1")
            gate.touch()
            done = farm.wait_run(run)
            self.assertEqual([at["outcome"] for at in done["attempts"]], ["lost", "completed"])

    def test_drains_beside_a_new_one(self):
        with OldFarm(workers=1) as farm:
            gate = farm.data / "gate"
            run = farm.trigger(farm.task("waits", f"while [ ! -e {gate} ]; do sleep 0.02; done; echo old"))
            farm.wait_run(run, "running")
            worker = farm.processes["worker1"]
            worker.terminate()
            wait_for(lambda: farm.data_of(farm.get("/api/workers/worker-001"))["status"] == "draining", what="an old worker that drains")
            new = Farm.command(farm, "worker2")
            farm.command = lambda name: new
            farm.start("worker2")
            other = farm.wait_run(farm.trigger(farm.task("quick", "echo new")))
            self.assertEqual((other["result"], other["attempts"][0]["worker_id"]), ("new", "worker-002"))
            gate.touch()
            done = farm.wait_run(run)
            self.assertEqual((done["result"], done["attempts"][0]["worker_id"]), ("old", "worker-001"))
            self.assertEqual(farm.exit_code("worker1"), 0)


if __name__ == "__main__":
    unittest.main()
