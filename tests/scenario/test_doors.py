"""Bad input at every door but HTTP (tests/contract has that): the bus, the settings, the database."""

import hashlib
import os
import random
import signal
import subprocess
import unittest

import msgpack

from tests.bus import Peer, ScriptedWorker, key, pack
from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.patience import PATIENT

DAEMONS = ["store", "scheduler", "gateway", "worker"]


class Bus(unittest.TestCase):
    def test_garbage_on_each_socket(self):
        frames = [b"", b"\0", b"\xc1", b"\xdf\x0f\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\x92\x02\x80" * 3, b"\x92\xcd\xff\xff\x80",
                  os.urandom(70000), msgpack.packb([1]), msgpack.packb([0x0405, {1: []}]), msgpack.packb([0x0204, {1: 1, 2: 1, 3: [{1: 1}]}]),
                  pack("batch_ack", epoch=9, seq=9), b"\x91" * 5000]
        chance = random.Random(7)
        good = pack("hello", protocol=1, ident="x", boot="y", hostname="h", task_types=["t"], executors=["exec"], slots=1, credit=1)
        for _ in range(300):
            bent = bytearray(good)
            bent[chance.randrange(len(bent))] = chance.randrange(256)
            frames.append(bytes(bent[:chance.randrange(1, len(bent) + 1)]))
        with Farm(**PATIENT) as farm:
            for name in ["store", "scheduler", "workers"]:
                with Peer(farm.endpoint(name)) as hostile:
                    for frame in frames:
                        hostile.socket.send(frame)
                        hostile.socket.send_multipart([frame, frame])
                    self.assertEqual(hostile.ask("ping", 60)[0], "pong")
            run = farm.trigger(farm.task("honest", "echo fine"))
            self.assertEqual(farm.wait_run(run)["result"], "fine")
            for name in farm.processes:
                self.assertTrue(farm.running(name), farm.log(name))

    def test_a_writer_that_is_not_the_scheduler_changes_nothing(self):
        with Farm(**PATIENT) as farm:
            farm.task("untouched", "true")
            with Peer(farm.endpoint("store")) as hostile:
                name, answer = hostile.ask("batch", epoch=1, seq=10**6, ops=[])
                self.assertIn(name, ("batch_resume", "error", "epoch_stale"), answer)
                name, answer = hostile.ask("batch", epoch=10**9, seq=1, ops=[])
                self.assertIn(name, ("error", "epoch_stale", "batch_resume"), answer)
            self.assertEqual(farm.data_of(farm.get("/api/tasks"))["total"], 1)
            farm.task("still_writable", "true")

    def test_worker_of_another_protocol(self):
        with Farm(workers=0, **PATIENT) as farm:
            with ScriptedWorker(farm.endpoint("workers")) as worker:
                hello = dict(ident="future", boot="b", hostname="h", task_types=["t"], executors=[], slots=1, credit=1)
                name, answer = worker.ask("hello", protocol=99, **hello)
                self.assertEqual((name, answer["protocol"]), ("welcome", 1))  # the version both can speak
                name, answer = worker.ask("hello", protocol=0, **hello)
                self.assertEqual(name, "error")
                self.assertIn("protocol", answer["text"])

    def test_messages_about_runs_of_others(self):
        with Farm(workers=0, **PATIENT) as farm:
            body = {"name": "mine", "task_type": "scripted", "executor": "exec", "command": "none"}
            run = farm.trigger(farm.data_of(farm.post("/api/tasks", body))["id"])
            with ScriptedWorker(farm.endpoint("workers")) as owner, ScriptedWorker(farm.endpoint("workers"), types=["other"]) as thief:
                owner.hello()
                lease = {"run_id": run, "attempt": owner.assignment()["attempt"]}
                owner.tell("accept", leases=[lease])
                thief.hello()
                for name, fields in [("accept", {"leases": [lease]}), ("result", {"items": [dict(lease, outcome=1)]}),
                                     ("publish", {"run_id": run, "output": {"attempt": 1, "path": "/a", "temporary": "/b", "hash": b"x" * 16}}),
                                     ("log", {"chunk": dict(lease, lines=[{"seq": 1, "text": "forged"}])})]:
                    thief.tell(name, **fields)
                    refused = thief.expect("refused")
                    self.assertEqual(refused["leases"][0]["run_id"], run)
                thief.tell("result", items=[{"run_id": 10**12, "attempt": 1, "outcome": 1}])
                thief.expect("refused")
                self.assertEqual(farm.run(run)["status"], "running")
                owner.result(run, lease["attempt"], result="mine")
                owner.expect("result_ack")
                self.assertEqual(farm.run(run)["result"], "mine")

    def test_no_word_without_hello(self):
        with Farm(workers=0, **PATIENT) as farm:
            with Peer(farm.endpoint("workers")) as stranger:
                for name, fields in [("heartbeat", {}), ("accept", {"leases": [{"run_id": 1, "attempt": 1}]}),
                                     ("result", {"items": [{"run_id": 1, "attempt": 1, "outcome": 1}]})]:
                    got = stranger.ask(name, **fields)[0]
                    self.assertIn(got, ("error", "refused"))

    def test_clients_submit_over_the_workers_socket(self):
        with Farm(**PATIENT) as farm:
            task = farm.task("fast", "echo fast")
            with Peer(farm.endpoint("workers")) as client:
                once = key()
                first = client.ask("run_trigger", idem=once, task_id=task, trigger={})
                again = client.ask("run_trigger", idem=once, task_id=task, trigger={})
                self.assertEqual(first, again)
                self.assertEqual(first[0], "run_answer")
                other = dict(once, body=os.urandom(16))
                name, error = client.ask("run_trigger", idem=other, task_id=task, trigger={})
                self.assertEqual((name, error["code"]), ("error", 5))
                name, error = client.ask("run_trigger", idem=key(), task_id=task, trigger={}, known_stat={"id": task, "completed": 99})
                self.assertEqual((name, error["code"], error["rule"]), ("error", 9, "known"))
                items = [{"parameters": {"n": n}} for n in range(100)]
                name, batch = client.ask("run_trigger_batch", idem=key(), task_id=task, items=items)
                self.assertEqual((name, len(set(batch["run_ids"]))), ("run_batch_answer", 100))
            for run in batch["run_ids"]:
                self.assertEqual(farm.wait_run(run, timeout=90)["status"], "completed")


class Settings(unittest.TestCase):
    def start(self, daemon, *arguments, environment=None, config=None):
        farm = Farm(start=False)
        try:
            if config is not None:
                (farm.data / "gantry.conf").write_text(config)
            return subprocess.run([str(BUILD / f"gantry-{daemon}"), "--data", str(farm.data), *arguments], capture_output=True,
                                  text=True, timeout=60 * SLOW, env=dict(clean_environment(), **(environment or {})))
        finally:
            farm.close()

    def refused(self, result, *words):
        self.assertEqual(result.returncode, 1, result)
        lines = [line for line in result.stderr.strip().splitlines() if line]
        self.assertEqual(len(lines), 1, result.stderr)
        for word in words:
            self.assertIn(word, lines[0])

    def test_bad_settings_refuse_to_start_in_one_line(self):
        for daemon in DAEMONS:
            with self.subTest(daemon):
                self.refused(self.start(daemon, config="leese.seconds = 3\n"), "leese.seconds")
                self.refused(self.start(daemon, config="lease.seconds = -3\n"), "lease.seconds")
                self.refused(self.start(daemon, "--lease-seconds", "many"), "lease")
                self.refused(self.start(daemon, environment={"GANTRY_LEASE_SECONDS": "99999999"}), "LEASE_SECONDS")
                self.refused(self.start(daemon, "--no-such-flag"), "no-such-flag")

    def test_reload_keeps_old_values_on_error(self):
        with Farm(**PATIENT) as farm:
            config = farm.data / "gantry.conf"
            for name in ["store", "scheduler", "gateway", "worker1"]:
                config.write_text("log.level = nonsense\n")
                farm.signal(name, signal.SIGHUP)
                wait_for(lambda: "GTY-SETTINGS" in farm.log(name) and "log.level" in farm.log(name), timeout=60, what=f"{name} refusing the file")
                config.write_text("log.level = debug\n")
                farm.signal(name, signal.SIGHUP)
                wait_for(lambda: "DEBUG" in farm.log(name) or farm.log(name).count("GTY-SETTINGS") > 1, timeout=60, what=f"{name} reloading")
                self.assertTrue(farm.running(name), farm.log(name))
            farm.wait_run(farm.trigger(farm.task("reloaded", "true")))

    def test_endpoint_beyond_loopback_in_plain_text_is_refused(self):
        self.refused(self.start("store", "--bus-store", "tcp://0.0.0.0:0", "--bus-curve", "never"), "CURVE")
        self.refused(self.start("gateway", "--host", "0.0.0.0", "--port", "0"), "insecure")


class Database(unittest.TestCase):
    """A database that cannot be right is refused, in one clear line, and not touched."""

    def make(self):
        with Farm(workers=0, **PATIENT) as farm:
            farm.task("kept", "true")
            farm.terminate("store")
            files = [path for path in farm.data.rglob("*.mdb") if "lock" not in path.name]
            self.assertEqual(len(files), 1, list(farm.data.rglob("*")))
            return files[0].relative_to(farm.data), files[0].read_bytes()

    def refused(self, farm, path):
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        farm.start("store")
        self.assertEqual(farm.exit_code("store"), 1, farm.log("store"))
        lines = [line for line in farm.log("store").splitlines() if line.strip()]
        self.assertEqual(len(lines), 1, farm.log("store"))
        self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), before, "the data was touched")
        return lines[0]

    def test_truncated_and_garbled(self):
        name, content = self.make()
        for what, bad in [("truncated", content[:len(content) // 2 // 4096 * 4096]), ("garbage", os.urandom(len(content))),
                          ("text", b"this is not a database\n" * 500)]:
            with self.subTest(what), Farm(start=False) as farm:
                path = farm.data / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bad)
                self.assertRegex(self.refused(farm, path), "(?i)truncated|corrupt|not a|damaged|short|version|database")

    def test_in_use(self):
        with Farm(**PATIENT) as farm:
            farm.start("store2")
            self.assertEqual(farm.exit_code("store2"), 1)
            self.assertRegex(farm.log("store2"), "(?i)in use|another")
            farm.wait_run(farm.trigger(farm.task("undisturbed", "true")))


if __name__ == "__main__":
    unittest.main()
