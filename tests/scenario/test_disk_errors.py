"""A disk that fails: the store's while it is written to, and anybody's at each step of a backup and of a restore."""

import errno
import http.client
import shutil
import subprocess
import threading
import unittest

from tests import bus
from tests.chaos.books import Reader
from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.faults import KILL, Fault, have_shim
from tests.patience import PATIENT

STEPS_MOST = 400  # of a tool, in which something can fail


def tool(farm, *words, fault=None):
    """The gantry command on the farm's data; answers its exit code and what it said."""
    environment = dict(clean_environment(), **(fault.environment("gantry-store") if fault else {}))
    done = subprocess.run([str(BUILD / "gantry"), *map(str, words), "--data", str(farm.data)], capture_output=True, text=True, env=environment,
                          timeout=120 * SLOW)
    return done.returncode, done.stdout + done.stderr


class Load:
    """Clients that trigger a task until they are told to end; what was acknowledged to them."""

    def __init__(self, farm, task):
        self.farm, self.task, self.over, self.acknowledged = farm, task, threading.Event(), []
        self.threads = [threading.Thread(target=self.go) for _ in range(3)]
        for thread in self.threads:
            thread.start()

    def go(self):
        while not self.over.is_set():
            try:
                answer = self.farm.post(f"/api/tasks/{self.task}/trigger", {})
            except (OSError, http.client.HTTPException):
                continue
            if answer.status == 201:
                self.acknowledged.append(answer.body["data"]["run_id"])

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


@unittest.skipUnless(have_shim(), "the shim is for builds without sanitizers")
class UnderLoad(unittest.TestCase):
    def fails_once(self, call, file):
        with Farm(workers=0, start=False, **PATIENT) as farm:
            fault = Fault(farm, "store")
            farm.start_all()
            load = Load(farm, farm.task("busy"))
            try:
                wait_for(lambda: len(load.acknowledged) > 20, 90, "some runs")
                fault.fail(call, errno.EIO, path=f"/store/{file}")
                self.assertNotEqual(farm.exit_code("store"), 0)
                self.assertEqual(fault.failed, 1)
                self.assertIn("Input/output error", farm.log("store"))
                before = len(load.acknowledged)
                farm.start("store")
                wait_for(lambda: len(load.acknowledged) > before + 20, 90, "more runs")
            finally:
                load.end()
            total = farm.data_of(farm.get(f"/api/runs?task_id={load.task}"))["total"]
            self.assertGreaterEqual(total, len(load.acknowledged))
            self.assertEqual(len(set(load.acknowledged)), len(load.acknowledged))
            for run in load.acknowledged:
                self.assertEqual(farm.run(run)["id"], run)
            for name in ("gateway", "scheduler", "store"):
                farm.terminate(name)
            code, said = tool(farm, "fsck")
            self.assertEqual(code, 0, said)

    def test_syncing_the_log(self):
        self.fails_once("sync", "redo")

    def test_writing_the_log(self):
        self.fails_once("write", "redo")

    def test_syncing_the_database(self):
        self.fails_once("sync", "data.mdb")

    def test_writing_the_database(self):
        self.fails_once("write", "data.mdb")


@unittest.skipUnless(have_shim(), "the shim is for builds without sanitizers")
class AtEachStep(unittest.TestCase):
    """Of a tool that opens, writes, syncs, links, renames: the first of these fails, then the second, until none is left to fail."""

    def setUp(self):
        self.farm = Farm(workers=0, **PATIENT)
        self.addCleanup(self.farm.close)
        self.farm.__enter__()
        self.farm.task("kept")
        self.copy = self.farm.data / "point.backup"
        self.assertEqual(tool(self.farm, "backup", self.copy)[0], 0)
        self.farm.task("later")
        for name in ("gateway", "scheduler", "store"):
            self.farm.terminate(name)
        self.fault = Fault(self.farm)
        self.store = self.farm.data / "store"
        self.before = {name: (self.store / name).read_bytes() for name in ("data.mdb", "redo")}

    def steps(self, error):
        """Arms the fault for one step after the other, as long as it was met."""
        for step in range(STEPS_MOST):
            self.fault.fail("open mkdir write sync link rename", error, path=str(self.farm.data), skip=step)
            yield step
            if not self.fault.failed:
                self.assertGreater(step, 10)
                return
        self.fail("it never comes to its end")

    def tasks(self):
        """The names of those that a store finds."""
        self.farm.start("store")
        with bus.Peer(self.farm.endpoint("store")) as peer:
            found = {task.spec["name"] for task in Reader(peer).scan("task").values()}
        self.farm.terminate("store")
        return found

    def restored_at_each(self, error):
        for step in self.steps(error):
            with self.subTest(step=step):
                code, said = tool(self.farm, "restore", self.copy, fault=self.fault)
                self.assertEqual(tool(self.farm, "fsck")[0], 0, said)
                found = self.tasks()
                self.assertIn(found, ({"kept"}, {"kept", "later"}), said)
                if code == 0:
                    self.assertEqual(found, {"kept"}, said)
                if not self.fault.failed:
                    self.assertEqual(code, 0, said)
                for path in self.store.glob("replaced-*"):
                    path.unlink()
                for name, bytes_ in self.before.items():
                    (self.store / name).write_bytes(bytes_)

    def test_restore_with_errors(self):
        self.restored_at_each(errno.EIO)

    def test_restore_killed(self):
        self.restored_at_each(KILL)

    def saved_at_each(self, error):
        folder = self.farm.data / "backups"
        target = folder / "new.backup"
        for step in self.steps(error):
            with self.subTest(step=step):
                folder.mkdir()
                code, said = tool(self.farm, "backup", target, fault=self.fault)
                if code == 0:
                    self.assertTrue(target.exists(), said)
                if target.exists():  # what has its name is whole
                    self.assertEqual(tool(self.farm, "fsck", target)[0], 0, said)
                if error != KILL:
                    self.assertEqual([path.name for path in folder.iterdir() if path != target], [], said)
                if not self.fault.failed:
                    self.assertEqual(code, 0, said)
                shutil.rmtree(folder)
        self.assertEqual(tool(self.farm, "fsck")[0], 0)
        self.assertEqual(self.tasks(), {"kept", "later"})

    def test_backup_with_errors(self):
        self.saved_at_each(errno.EIO)

    def test_backup_killed(self):
        self.saved_at_each(KILL)


if __name__ == "__main__":
    unittest.main()
