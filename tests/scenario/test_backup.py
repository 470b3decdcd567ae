"""Backup under load, restore to an older point, and what workers, clients and schedulers of the forgotten time meet."""

import pathlib
import subprocess
import threading
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment, descendants, wait_for
from tests.patience import PATIENT


def gantry(farm, *arguments, code=0):
    """The command on this farm's data; answers what it printed on stdout, or stderr when it is to fail."""
    done = subprocess.run([str(BUILD / "gantry"), *map(str, arguments), "--data", str(farm.data)], capture_output=True, text=True,
                          env=clean_environment(), timeout=120 * SLOW)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr + done.stdout


def stop(farm):
    for name in ("gateway", "scheduler", "store"):
        if farm.running(name):
            farm.terminate(name)


def held_by_workers(farm):
    return sum(worker["current_task_count"] for worker in farm.data_of(farm.get("/api/workers"))["items"])


def run_by_workers(farm):
    """The runs whose processes there are."""
    found = set()
    for name in farm.workers:
        for pid in descendants(farm.pid(name)):
            try:
                entries = pathlib.Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            found.update(int(entry.split(b"=")[1]) for entry in entries if entry.startswith(b"GANTRY_RUN_ID="))
    return found


class Backup(unittest.TestCase):
    def test_under_load(self):
        """Every copy is sound and holds what was acknowledged before it began; writes go on meanwhile."""
        with Farm(**PATIENT) as farm:
            task = farm.task("busy")
            folder = farm.data / "backups"
            folder.mkdir()
            ended = threading.Event()
            accepted = []

            def write():
                while not ended.is_set():
                    accepted.append(farm.trigger(task))

            threads = [threading.Thread(target=write) for _ in range(3)]
            for thread in threads:
                thread.start()
            try:
                for _ in range(4):
                    seen = len(accepted)
                    said = gantry(farm, "backup", folder, "--keep", 3)
                    self.assertGreaterEqual(int(said.split(" runs,")[0].split()[-1]), seen, said)
                    wait_for(lambda: len(accepted) > seen, 60, "writes beside a backup")
            finally:
                ended.set()
                for thread in threads:
                    thread.join()
            backups = sorted(folder.iterdir())
            self.assertEqual(len(backups), 3)
            for backup in backups:
                self.assertIn("clean:", gantry(farm, "fsck", backup))
            self.assertIn("in use", gantry(farm, "fsck", code=1))

    def test_gives_up_when_the_database_grows(self):
        with Farm(workers=0, **PATIENT) as farm:
            task = farm.task("growing")
            ended = threading.Event()

            def write():
                while not ended.is_set():
                    farm.trigger(task, parameters={"text": "x" * 100000})

            thread = threading.Thread(target=write)
            thread.start()
            try:
                wait_for(lambda: (farm.data / "store/data.mdb").stat().st_size > 8 << 20, 90, "a database of some size")
                refused = wait_for(lambda: self.grows(farm), 90, "a backup that gives up")
            finally:
                ended.set()
                thread.join()
            self.assertIn("has grown", refused)
            self.assertEqual(list(farm.data.glob("*.backup")) + list(farm.data.glob(".gantry-*")), [])

    def grows(self, farm):
        done = subprocess.run([str(BUILD / "gantry"), "backup", str(farm.data / "a.backup"), "--grow-mb", "0", "--data", str(farm.data)],
                              capture_output=True, text=True, env=clean_environment(), timeout=120 * SLOW)
        (farm.data / "a.backup").unlink(missing_ok=True)
        return done.stderr if done.returncode == 1 else None

    def test_with_the_store_killed(self):
        """It holds all that was acknowledged, or says that the store has to run first."""
        with Farm(workers=0, **PATIENT) as farm:
            task = farm.task("cut short")
            accepted = [farm.trigger(task) for _ in range(20)]
            farm.kill("store")
            backup = farm.data / "point.backup"
            done = subprocess.run([str(BUILD / "gantry"), "backup", str(backup), "--data", str(farm.data)], capture_output=True,
                                  text=True, env=clean_environment(), timeout=120 * SLOW)
            if done.returncode == 0:
                self.assertIn(f" {len(accepted)} runs,", done.stdout)
            else:
                self.assertIn("start the store", done.stderr)
                self.assertFalse(backup.exists())
            farm.start("store")
            farm.wait_ready()
            backup.unlink(missing_ok=True)
            self.assertIn(f" {len(accepted)} runs,", gantry(farm, "backup", backup))

    def test_a_killed_backup_leaves_nothing_that_matters(self):
        with Farm(workers=0, **PATIENT) as farm:
            farm.task("kept")
            folder = farm.data / "backups"
            folder.mkdir()
            for _ in range(3):
                running = subprocess.Popen([str(BUILD / "gantry"), "backup", str(folder), "--data", str(farm.data)],
                                           env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                running.kill()
                running.wait()
            gantry(farm, "backup", folder)
            self.assertEqual([path.name for path in folder.iterdir() if path.name.endswith(".partial")], [])
            for backup in folder.iterdir():
                self.assertIn("clean:", gantry(farm, "fsck", backup))
            farm.task("goes on")


class Restore(unittest.TestCase):
    def test_to_an_older_point(self):
        with Farm(workers=2, lease_heartbeat_ms=200, **PATIENT) as farm:
            effects = farm.data / "effects"
            gate = farm.data / "gate"
            waits = f"echo $GANTRY_RUN_ID >> {effects}; until test -e {gate}; do sleep 0.05; done"
            done_task = farm.task("done")
            done = farm.trigger(done_task)
            farm.wait_run(done)
            long_task = farm.task("long", waits)
            running = farm.trigger(long_task)
            farm.wait_run(running, "running")
            keyed = {"Idempotency-Key": "before"}
            before = farm.data_of(farm.post(f"/api/tasks/{done_task}/trigger", {}, headers=keyed))
            farm.wait_run(before["run_id"])
            backup = farm.data / "point.backup"
            gantry(farm, "backup", backup)

            # What comes now will be forgotten.
            forgotten_running = farm.trigger(long_task)
            farm.wait_run(forgotten_running, "running")
            self.assertEqual(held_by_workers(farm), 2)
            wait_for(lambda: run_by_workers(farm) == {running, forgotten_running}, 60, "both runs having a process")
            wait_for(lambda: set(effects.read_text().split()) == {str(running), str(forgotten_running)}, 60, "both having begun")
            forgotten = [farm.trigger(done_task) for _ in range(5)]
            for run in forgotten:
                farm.wait_run(run)
            later = farm.data_of(farm.post(f"/api/tasks/{done_task}/trigger", {}, headers={"Idempotency-Key": "after"}))
            self.assertIn("in use", gantry(farm, "restore", backup, code=1))
            farm.terminate("gateway")
            farm.terminate("store")
            self.assertIn("scheduler", gantry(farm, "restore", backup, code=1))  # it still is there
            farm.terminate("scheduler")
            said = gantry(farm, "restore", backup)
            self.assertIn("1 of them were running", said)
            self.assertIn("clean:", gantry(farm, "fsck"))
            kept = list((farm.data / "store").glob("replaced-*.mdb"))
            self.assertEqual(len(kept), 1)
            self.assertIn("clean:", gantry(farm, "fsck", kept[0]))

            # Both workers ran all the time, and hold what nobody knows of any more.
            for name in ("store", "scheduler", "gateway"):
                farm.start(name)
            farm.wait_ready()
            self.assertEqual(farm.get(f"/api/runs/{forgotten_running}").status, 404)
            for run in forgotten:
                self.assertEqual(farm.get(f"/api/runs/{run}").status, 404)
            self.assertEqual(farm.run(done)["status"], "completed")
            row = farm.wait_run(running, "running")
            self.assertGreaterEqual(row["attempt"], 1000)
            self.assertEqual(row["attempts"][0]["outcome"], "returned")
            wait_for(lambda: held_by_workers(farm) == 1 and run_by_workers(farm) == {running}, 60, "forgotten runs being dropped")
            # Nothing old is mistaken for new: ids go on above, a key from before still answers, one from after is unknown.
            fresh = farm.trigger(done_task)
            self.assertGreater(fresh, max(forgotten + [forgotten_running, later["run_id"]]))
            self.assertEqual(farm.data_of(farm.post(f"/api/tasks/{done_task}/trigger", {}, headers=keyed)), before)
            again = farm.data_of(farm.post(f"/api/tasks/{done_task}/trigger", {}, headers={"Idempotency-Key": "after"}))
            self.assertNotEqual(again["run_id"], later["run_id"])
            farm.wait_run(fresh)
            gate.touch()
            self.assertEqual(farm.wait_run(running)["status"], "completed")
            # The run began twice, before and after; never did two finish.
            self.assertEqual(effects.read_text().split().count(str(running)), 2)
            stop(farm)
            self.assertIn("clean:", gantry(farm, "fsck"))

    def test_a_scheduler_of_before_is_told(self):
        """One that outlived the restore exits as superseded: what it knows is not so any more."""
        with Farm(workers=0, **PATIENT) as farm:
            farm.task("a")
            backup = farm.data / "point.backup"
            gantry(farm, "backup", backup)
            farm.task("forgotten")
            farm.stop("scheduler")
            farm.terminate("store")
            self.assertIn("scheduler", gantry(farm, "restore", backup, code=1))
            (farm.runtime / "scheduler.sock").unlink()  # as if it were on another machine
            gantry(farm, "restore", backup)
            farm.start("store")
            farm.cont("scheduler")
            self.assertEqual(farm.exit_code("scheduler"), 3)
            farm.start("scheduler")
            farm.wait_ready()
            self.assertEqual([task["name"] for task in farm.data_of(farm.get("/api/tasks"))["items"]], ["a"])

    def test_onto_an_empty_folder_and_damaged(self):
        with Farm(**PATIENT) as farm:
            run = farm.trigger(farm.task("moved"))
            farm.wait_run(run)
            backup = farm.data / "point.backup"
            gantry(farm, "backup", backup)
            with Farm(start=False, **PATIENT) as other:
                damaged = other.data / "damaged.backup"
                bytes_ = bytearray(backup.read_bytes())
                bytes_[len(bytes_) // 2] ^= 1
                damaged.write_bytes(bytes_)
                self.assertIn("damaged", gantry(other, "restore", damaged, code=1))
                self.assertEqual(gantry(other, "fsck", damaged, code=1).count("pages are not those"), 1)
                gantry(other, "restore", backup)
                other.start_all()
                self.assertEqual(other.run(run)["status"], "completed")
                other.wait_run(other.trigger(other.run(run)["task_id"]))

    def test_a_blocked_run_stays_blocked(self):
        """The raised number of attempts does not make a run look as if it had met its dependencies."""
        with Farm(**PATIENT) as farm:
            gate = farm.data / "gate"
            first = farm.task("first", f"until test -e {gate}; do sleep 0.05; done")
            second = farm.task("second", "true", dependencies=[str(first)])
            one = farm.trigger(first)
            farm.wait_run(one, "running")
            two = farm.trigger(second)
            wait_for(lambda: farm.run(two)["reason"], 60, "a reason to wait")
            backup = farm.data / "point.backup"
            gantry(farm, "backup", backup)
            stop(farm)
            gantry(farm, "restore", backup)
            for name in ("store", "scheduler", "gateway"):
                farm.start(name)
            farm.wait_ready()
            farm.wait_run(one, "running")
            self.assertEqual(farm.run(two)["status"], "pending")
            gate.touch()
            self.assertEqual(farm.wait_run(two)["status"], "completed")
            self.assertGreaterEqual(farm.run(two)["completed_at"], farm.run(one)["completed_at"])


if __name__ == "__main__":
    unittest.main()
