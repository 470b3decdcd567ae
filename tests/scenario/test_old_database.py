"""A database that the first issue's programs have written (tests/upgrade/make.py), and one of a future version."""

import datetime
import json
import lzma
import pathlib
import subprocess
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.patience import PATIENT

OLD = pathlib.Path(__file__).resolve().parent.parent / "upgrade"
KEYS = datetime.timedelta(days=365)  # keys are remembered as long as that at most
COMMITS = sorted(path.name[:-len(".mdb.xz")] for path in OLD.glob("*.mdb.xz"))


def fsck(farm, *more):
    done = subprocess.run([str(BUILD / "gantry"), "fsck", "--data", str(farm.data), *more], capture_output=True, text=True,
                          env=clean_environment(), timeout=120 * SLOW)
    return done.returncode, done.stdout + done.stderr


def utc():
    return datetime.datetime.now(datetime.timezone.utc)


def due_after(row, at):
    """When a task of `0 3 * * *` is due next. row: what was recorded of it."""
    assert row["schedule"] == "0 3 * * *", row
    today = at.replace(hour=3, minute=0, second=0, microsecond=0)
    return today if today > at else today + datetime.timedelta(days=1)


class Upgrade(unittest.TestCase):
    def place(self, farm, commit, change=lambda bytes_: bytes_):
        store = farm.data / "store"
        store.mkdir(mode=0o700)
        database = change(lzma.decompress((OLD / f"{commit}.mdb.xz").read_bytes()))
        (store / "data.mdb").write_bytes(database)
        return store / "data.mdb", database

    def test_it_can_be_repaired_as_it_is(self):
        for commit in COMMITS:
            with self.subTest(commit), Farm(start=False) as farm:
                self.place(farm, commit)
                for more in (("--repair",), ()):
                    self.assertEqual(fsck(farm, *more)[0], 0, fsck(farm, *more)[1])

    def test_everything_is_found_and_goes_on(self):
        self.assertTrue(COMMITS)
        for commit in COMMITS:
            with self.subTest(commit), Farm(start=False, lease_heartbeat_ms=200, keys_hours=KEYS.days * 24,
                                                **dict(PATIENT, lease_seconds=15)) as farm:
                was = json.loads((OLD / f"{commit}.json").read_text())
                self.place(farm, commit)
                self.assertEqual(fsck(farm)[0], 0, fsck(farm)[1])
                began = utc()
                for name in ("store", "scheduler", "gateway"):  # nobody works yet: as it was, so it is
                    farm.start(name)
                wait_for(lambda: farm.running("gateway") and self.answers(farm), timeout=60, what="a farm that answers")
                self.found(farm, was, began)
                farm.start("worker1")
                farm.wait_ready()
                self.goes_on(farm, was)
                for name in ("gateway", "scheduler", "store"):
                    farm.terminate(name)
                self.assertEqual(fsck(farm)[0], 0, fsck(farm)[1])

    def answers(self, farm):
        try:
            return farm.get("/api/workers").status == 200
        except OSError:
            return False

    def schedule_goes_on(self, farm, row, began):
        """Its times since then were missed, and are made up by one run. Answers what is due, what is so, and that run's count."""
        task = row["id"]
        while True:
            before = due_after(row, utc())
            now = farm.data_of(farm.get(f"/api/tasks/{task}"))
            made = farm.data_of(farm.get(f"/api/runs?task_id={task}"))["total"]
            if before == due_after(row, utc()):  # it was not due just now
                break
        missed = began >= datetime.datetime.fromisoformat(row["next_run_at"])
        came = before - due_after(row, began)  # while this test runs
        self.assertGreaterEqual(made, missed)
        self.assertLessEqual(made, missed + came.days)
        return dict(row, next_run_at=before.strftime("%Y-%m-%dT%H:%M:%SZ"), statistics=dict(row["statistics"], total_runs=made)), now, made

    def found(self, farm, was, began):
        rows = dict(was["task_rows"])
        rows["nightly"], nightly, made = self.schedule_goes_on(farm, rows["nightly"], began)
        totals = dict(was["totals"], runs=was["totals"]["runs"] + made)
        for label, row in was["run_rows"].items():
            now = farm.run(row["id"])
            self.assertEqual({key: now[key] for key in row if label != "running" or key not in ("status", "attempt")},
                             {key: row[key] for key in row if label != "running" or key not in ("status", "attempt")}, label)
        for name, row in rows.items():
            now = nightly if name == "nightly" else farm.data_of(farm.get(f"/api/tasks/{row['id']}"))
            self.assertEqual({key: now.get(key) for key in row}, row, name)
        for kind, total in totals.items():
            self.assertEqual(farm.data_of(farm.get(f"/api/{kind}"))["total"], total, kind)
        for status in ("completed", "failed", "aborted"):
            self.assertEqual(farm.data_of(farm.get(f"/api/runs?status={status}"))["total"], was["by_status"][status], status)
        self.assertEqual(farm.data_of(farm.get(f"/api/runs/{was['runs']['logged']}/logs")), was["log"])
        self.assertEqual(farm.data_of(farm.get("/api/tasks?search=script"))["items"][0]["name"], "名字")
        keyed = {"Idempotency-Key": "from the first issue"}
        again = farm.post(f"/api/tasks/{was['tasks']['plain']}/trigger", {}, headers=keyed)
        if began - datetime.datetime.fromisoformat(was["run_rows"]["running"]["created_at"]) < KEYS:
            self.assertEqual(farm.data_of(again), was["keyed"])
        else:  # it is forgotten by now
            self.assertGreater(farm.data_of(again)["run_id"], max(was["runs"].values()))
        self.error(farm.post(f"/api/tasks/{was['tasks']['plain']}/trigger", {"priority": "low"}, headers=keyed), 422)

    def error(self, answer, status):
        self.assertEqual(answer.status, status, answer)

    def goes_on(self, farm, was):
        runs, tasks = was["runs"], was["tasks"]
        # The run that was running is with a worker that will not come back: its lease ends, and it begins again.
        wait_for(lambda: farm.run(runs["running"])["attempt"] > 1 and farm.run(runs["running"])["status"] == "running",
                 60, "the run being given to another worker")
        self.assertEqual(farm.run(runs["running"])["attempts"][0]["outcome"], "lost")
        farm.data_of(farm.post(f"/api/runs/{runs['running']}/abort", {}))
        farm.wait_run(runs["running"], "aborted")
        made = farm.trigger(tasks["talks"])
        self.assertGreater(made, max(runs.values()))
        self.assertEqual(farm.wait_run(made)["status"], "completed")
        farm.data_of(farm.post(f"/api/tasks/{tasks['paused']}/resume", {}))
        self.assertEqual(farm.wait_run(farm.trigger(tasks["paused"]))["status"], "completed")
        self.assertEqual(farm.wait_run(farm.data_of(farm.post(f"/api/runs/{runs['oneshot']}/restart", {}))["new_run_id"])["status"],
                         "completed")
        for label in ("blocked", "pending", "delayed"):
            farm.data_of(farm.post(f"/api/runs/{runs[label]}/abort", {}))
        farm.data_of(farm.delete(f"/api/tasks/{tasks['talks']}"))
        self.assertEqual(farm.get(f"/api/runs/{made}").status, 404)

    def test_a_future_version_is_left_alone(self):
        with Farm(start=False) as farm:
            key = b"schema"
            path, database = self.place(farm, COMMITS[0], lambda old: old.replace(key + (1).to_bytes(8, "big"), key + (99).to_bytes(8, "big")))
            farm.start("store")
            self.assertEqual(farm.exit_code("store"), 1)
            self.assertIn("newer Gantry", farm.log("store"))
            self.assertEqual(path.read_bytes(), database)
            self.assertEqual(fsck(farm)[0], 1)
            self.assertEqual(path.read_bytes(), database)


if __name__ == "__main__":
    unittest.main()
