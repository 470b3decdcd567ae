"""A database that the first issue's programs have written (tests/upgrade/make.py), and one of a future version."""

import json
import lzma
import pathlib
import subprocess
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for

OLD = pathlib.Path(__file__).resolve().parent.parent / "upgrade"
COMMITS = sorted(path.name[:-len(".mdb.xz")] for path in OLD.glob("*.mdb.xz"))


def fsck(farm):
    done = subprocess.run([str(BUILD / "gantry"), "fsck", "--data", str(farm.data)], capture_output=True, text=True,
                          env=clean_environment(), timeout=120 * SLOW)
    return done.returncode, done.stdout + done.stderr


class Upgrade(unittest.TestCase):
    def place(self, farm, commit, change=lambda bytes_: bytes_):
        store = farm.data / "store"
        store.mkdir(mode=0o700)
        database = change(lzma.decompress((OLD / f"{commit}.mdb.xz").read_bytes()))
        (store / "data.mdb").write_bytes(database)
        return store / "data.mdb", database

    def test_everything_is_found_and_goes_on(self):
        self.assertTrue(COMMITS)
        for commit in COMMITS:
            with self.subTest(commit), Farm(start=False, lease_seconds=2, lease_heartbeat_ms=200) as farm:
                was = json.loads((OLD / f"{commit}.json").read_text())
                self.place(farm, commit)
                self.assertEqual(fsck(farm)[0], 0, fsck(farm)[1])
                for name in ("store", "scheduler", "gateway"):  # nobody works yet: as it was, so it is
                    farm.start(name)
                wait_for(lambda: farm.running("gateway") and self.answers(farm), what="a farm that answers")
                self.found(farm, was)
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

    def found(self, farm, was):
        for label, row in was["run_rows"].items():
            now = farm.run(row["id"])
            self.assertEqual({key: now[key] for key in row if label != "running" or key not in ("status", "attempt")},
                             {key: row[key] for key in row if label != "running" or key not in ("status", "attempt")}, label)
        for name, row in was["task_rows"].items():
            now = farm.data_of(farm.get(f"/api/tasks/{row['id']}"))
            self.assertEqual({key: now.get(key) for key in row}, row, name)
        for kind, total in was["totals"].items():
            self.assertEqual(farm.data_of(farm.get(f"/api/{kind}"))["total"], total, kind)
        for status in ("completed", "failed", "aborted"):
            self.assertEqual(farm.data_of(farm.get(f"/api/runs?status={status}"))["total"], was["by_status"][status], status)
        self.assertEqual(farm.data_of(farm.get(f"/api/runs/{was['runs']['logged']}/logs")), was["log"])
        self.assertEqual(farm.data_of(farm.get("/api/tasks?search=script"))["items"][0]["name"], "名字")
        keyed = {"Idempotency-Key": "from the first issue"}
        again = farm.post(f"/api/tasks/{was['tasks']['plain']}/trigger", {}, headers=keyed)
        self.assertEqual(farm.data_of(again), was["keyed"])
        self.error(farm.post(f"/api/tasks/{was['tasks']['plain']}/trigger", {"priority": "low"}, headers=keyed), 422)

    def error(self, answer, status):
        self.assertEqual(answer.status, status, answer)

    def goes_on(self, farm, was):
        runs, tasks = was["runs"], was["tasks"]
        # The run that was running is with a worker that will not come back: its lease ends, and it begins again.
        wait_for(lambda: farm.run(runs["running"])["attempt"] > 1 and farm.run(runs["running"])["status"] == "running",
                 what="the run being given to another worker")
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
