"""The scheduler's process alone with a store, spoken to over the bus: rebuilding, outages of the store, gaps, its end."""

import os
import signal
import time
import unittest

from tests.bus import Peer, ScriptedWorker, key, pack, process_state
from tests.farm import Farm, wait_for
from tests.patience import PATIENT

UNAVAILABLE = 7  # ERR_UNAVAILABLE
LONG = 60  # seconds for what has to come
COMPLETED = 2  # RUN_COMPLETED


def spec(name, **more):
    return dict({"name": name, "task_type": "scripted", "executor": "exec", "command": "none"}, **more)


class Bare(Farm):
    """A store and a scheduler, and nothing else."""

    def __init__(self, patient=True, **settings):
        super().__init__(workers=0, start=False, **dict(PATIENT if patient else {}, **settings))

    def __enter__(self):
        super().__enter__()
        self.start("store")
        self.start("scheduler")
        return self

    def commands(self):
        return Peer(self.endpoint("scheduler"))

    def workers_door(self):
        return Peer(self.endpoint("workers"))

    def wait_log(self, name, words, count=1):
        wait_for(lambda: self.log(name).count(words) >= count, LONG, f"{words} in the log of {name}")


def submit(peer, name, idem=None, **trigger):
    got, answer = peer.ask("run_submit", LONG, idem=idem or key(), spec=spec(name), trigger=trigger)
    assert got == "run_answer", (got, answer)
    return answer["run"]


def bytes_of(n, idem):
    return pack("run_submit", corr=n + 1, idem=idem, spec=spec(f"load-{n}"), trigger={})


class Rebuilding(unittest.TestCase):
    def test_everything_is_there_again(self):
        """Tasks, runs, keys and their answers, after -9 of both."""
        with Bare() as farm:
            idem = key()
            with farm.commands() as peer:
                made = peer.ask("task_create", LONG, idem=idem, spec=spec("kept"))
                self.assertEqual(made[0], "task_answer", made)
                run = submit(peer, "waiting")
            farm.kill("scheduler")
            farm.kill("store")
            farm.start("scheduler")  # it waits for the store
            farm.wait_log("scheduler", "GTY-SCHEDULER-START", 2)
            farm.start("store")
            with farm.commands() as peer:
                self.assertEqual(peer.ask("task_create", LONG, idem=idem, spec=spec("kept")), made)
                other = dict(idem, body=os.urandom(16))
                got, error = peer.ask("task_create", LONG, idem=other, spec=spec("kept"))
                self.assertEqual((got, error["code"]), ("error", 5), error)  # ERR_KEY_REUSED
                got, error = peer.ask("task_create", LONG, idem=key(), spec=spec("kept"))
                self.assertEqual((got, error["code"]), ("error", 4), error)  # ERR_CONFLICT: the name
                with ScriptedWorker(farm.endpoint("workers")) as worker:
                    worker.hello()
                    given = worker.assignment()
                    self.assertEqual((given["run_id"], given["attempt"]), (run["id"], 1))
                    worker.result(run["id"], 1)
                    worker.expect("result_ack")
                new = submit(peer, "next")
                self.assertGreater(new["id"], run["id"])

    def test_ids_do_not_come_twice(self):
        with Bare() as farm:
            seen = set()
            for _ in range(3):
                with farm.commands() as peer:
                    for n in range(5):
                        run = submit(peer, f"task-{len(seen)}")
                        self.assertNotIn(run["id"], seen)
                        seen.add(run["id"])
                farm.restart("scheduler")


class Outages(unittest.TestCase):
    def test_store_away(self):
        """Refused at once and with nothing changed; what was decided before is there when it is back."""
        with Bare() as farm:
            with farm.commands() as peer:
                submit(peer, "before")
                farm.kill("store")
                farm.wait_log("scheduler", "GTY-STORE-AWAY")
                idem = key()
                got, error = peer.ask("run_submit", LONG, idem=idem, spec=spec("away"), trigger={})
                self.assertEqual((got, error.get("code")), ("error", UNAVAILABLE), error)
                got, pong = peer.ask("ping", LONG)
                self.assertFalse(pong.get("ready", False))
                self.assertTrue(pong["trouble"])
                farm.start("store")
                farm.wait_log("scheduler", "GTY-STORE-BACK")
                self.assertTrue(peer.ask("ping", LONG)[1]["ready"])
                submit(peer, "away", idem)
                self.assertEqual(farm.processes["scheduler"].poll(), None)

    def test_store_killed_under_load(self):
        """Every answer that came is on disk; every question gets one in the end, with the same key."""
        with Bare() as farm:
            with farm.commands() as peer:
                keys = [key() for _ in range(300)]
                answers = {}
                for n, idem in enumerate(keys):
                    peer.socket.send(bytes_of(n, idem))
                    if n == 150:
                        farm.kill("store")
                farm.start("store")
                until = time.monotonic() + 300
                while len(answers) < len(keys) and time.monotonic() < until:
                    message = peer.receive(1)
                    if message is None or message[0] == "error":  # lost with a connection, or refused: ask again
                        missing = [n for n in range(len(keys)) if n + 1 not in answers] if message is None else [message[2] - 1]
                        for n in missing:
                            peer.socket.send(bytes_of(n, keys[n]))
                        continue
                    name, fields, corr = message
                    self.assertEqual(name, "run_answer")
                    run = fields["run"]["id"]
                    self.assertEqual(answers.setdefault(corr, run), run)
                self.assertEqual(len(answers), len(keys))
                self.assertEqual(len(set(answers.values())), len(keys))
            with Peer(farm.endpoint("store")) as store:
                got, rows = store.ask("query", LONG, type=3, page=1, size=1)
                self.assertEqual((got, rows["total"]), ("query_rows", len(keys)), rows)

    def test_gap_renews_leases(self):
        """Frozen for more than a term while its worker reports: the lease holds."""
        with Bare(lease_seconds=12, lease_heartbeat_ms=300) as farm:
            with farm.commands() as peer, ScriptedWorker(farm.endpoint("workers")) as worker:
                worker.hello()
                run = submit(peer, "steady")["id"]
                lease = {"run_id": run, "attempt": worker.assignment()["attempt"]}
                worker.tell("accept", leases=[lease])
                worker.heartbeat([lease])
                worker.expect("heartbeat_ack")
                farm.stop("scheduler")
                began = time.monotonic()
                while time.monotonic() - began < 15:
                    worker.heartbeat([lease])
                    worker.receive(0.3)
                farm.cont("scheduler")
                farm.wait_log("scheduler", "GTY-LOOP-GAP")
                worker.heartbeat([lease])
                drop = worker.expect("heartbeat_ack").get("drop", [])
                self.assertEqual(drop, [])
                worker.result(run, lease["attempt"])
                acked = worker.expect("result_ack")
                self.assertEqual(acked["leases"][0]["run_id"], run)

    def test_superseded(self):
        """A second scheduler takes over; the older one, though idle, ends with 3 and writes nothing more."""
        with Bare() as farm:
            with farm.commands() as peer:
                run = submit(peer, "before")
            farm.start("scheduler2")
            self.assertEqual(farm.exit_code("scheduler", LONG), 3)
            self.assertIn("GTY-EPOCH-STALE", farm.log("scheduler"))
            with farm.commands() as peer:
                self.assertGreater(submit(peer, "behind")["id"], run["id"])

    def test_superseded_while_frozen(self):
        with Bare() as farm:
            with farm.commands() as peer:
                submit(peer, "before")
            farm.stop("scheduler")
            farm.start("scheduler2")
            farm.wait_log("scheduler2", "GTY-SCHEDULER-READY")
            farm.cont("scheduler")
            self.assertEqual(farm.exit_code("scheduler", LONG), 3)
            with farm.commands() as peer:
                submit(peer, "behind")


class Doors(unittest.TestCase):
    def test_both_answer(self):
        """PING on both; commands at the workers' door too; worker messages only there; what nobody knows is an error."""
        with Bare() as farm:
            with farm.commands() as peer, farm.workers_door() as worker:
                for door in (peer, worker):
                    got, pong = door.ask("ping", LONG)
                    self.assertEqual((got, pong["service"], pong["ready"]), ("pong", "scheduler", True))
                    names = [count["name"] for count in pong["counts"]]
                    self.assertIn("batches", names)
                    self.assertIn("runs_pending", names)
                self.assertEqual(pong["epoch"], 1)
                submit(worker, "by the workers' door")
                got, error = peer.ask("heartbeat", LONG)
                self.assertEqual(got, "error", error)
                got, error = peer.ask("query", LONG, type=1, page=1, size=1)
                self.assertEqual((got, error["code"]), ("error", 10), error)  # ERR_PROTOCOL
                peer.socket.send(b"\xc1 not a message")
                got, error, _ = peer.receive(LONG)
                self.assertEqual((got, error["code"]), ("error", 10), error)
                self.assertEqual(peer.ask("ping", LONG)[0], "pong")


class End(unittest.TestCase):
    def test_terminated(self):
        with Bare() as farm:
            with farm.commands() as peer:
                idem = key()
                run = submit(peer, "kept", idem)
                self.assertEqual(farm.terminate("scheduler", LONG), 0)
                farm.start("scheduler")
                self.assertEqual(submit(peer, "kept", idem)["id"], run["id"])

    def test_terminated_before_the_store_is_there(self):
        with Bare() as farm:
            farm.wait_log("scheduler", "GTY-SCHEDULER-READY")
            farm.kill("store")
            farm.kill("scheduler")
            farm.start("scheduler")
            farm.wait_log("scheduler", "GTY-SCHEDULER-START", 2)
            self.assertEqual(farm.terminate("scheduler", LONG), 0)

    def test_terminated_while_the_store_is_away(self):
        with Bare() as farm:
            with farm.commands() as peer:
                submit(peer, "kept")
            farm.stop("store")
            self.assertEqual(farm.terminate("scheduler", LONG), 0)  # it ends without the store
            wait_for(lambda: process_state(farm.pid("store")) == "T", what="a store that stands still")  # it may have been at the disk
            farm.cont("store")

    def test_settings(self):
        """A reload that cannot be read keeps the old values; a start with it is refused in one line."""
        with Bare(patient=False) as farm:
            with farm.commands() as peer:
                peer.ask("ping", LONG)
                config = farm.data / "gantry.conf"
                config.write_text("log.level = debug\nlease.seconds = 7\nlease.heartbeat_ms = 2000\n")
                farm.signal("scheduler", signal.SIGHUP)
                farm.wait_log("scheduler", "GTY-SETTINGS-RELOAD")
                with ScriptedWorker(farm.endpoint("workers")) as worker:
                    self.assertEqual(worker.hello()["lease_ms"], 7000)
                config.write_text("lease.seconds = never\n")
                farm.signal("scheduler", signal.SIGHUP)
                farm.wait_log("scheduler", "GTY-SETTINGS-KEPT")
                with ScriptedWorker(farm.endpoint("workers")) as worker:
                    self.assertEqual(worker.hello()["lease_ms"], 7000)
            farm.start("scheduler2")
            self.assertEqual(farm.exit_code("scheduler2", LONG), 1)
            lines = [line for line in farm.log("scheduler2").splitlines() if not line[:1].isdigit()]
            self.assertEqual(len(lines), 1, lines)
            self.assertIn("lease.seconds", lines[0])


if __name__ == "__main__":
    unittest.main()
