"""Who is let in over tcp: the list of keys, and its changes while the farm works."""

import pathlib
import shutil
import signal
import subprocess
import unittest

import zmq
import zmq.auth

from tests.bus import Peer, ScriptedWorker, key, pack
from tests.farm import BUILD, SLOW, Farm, clean_environment, free_port, wait_for
from tests.patience import PATIENT


def tcp_farm(workers=0, **more):
    return Farm(workers=workers, bus_workers=f"tcp://127.0.0.1:{free_port()}", bus_curve="always", **dict(PATIENT, **more))


def key_worker(farm, *arguments, kind="worker"):
    return subprocess.run([BUILD / "gantry", "key", kind, *arguments, "--data", str(farm.data)], env=clean_environment(),
                          capture_output=True, text=True, timeout=60 * SLOW)


def keys_of(farm, folder):
    """(public, secret, the server's public): what a worker needs of a folder that `key worker add` made."""
    public, secret = zmq.auth.load_certificate(pathlib.Path(folder) / "client.key_secret")
    server, _ = zmq.auth.load_certificate(farm.data / "curve" / "server.key")
    return public, secret, server


def member(farm, name, **more):
    """A scripted worker with a key of its own, let in by the command."""
    folder = farm.data / ("keys-" + name)
    made = key_worker(farm, "add", name, "--out", str(folder))
    assert made.returncode == 0, made.stderr
    worker = ScriptedWorker(farm.settings["bus_workers"], curve=keys_of(farm, folder), **more)
    return worker


class Keys(unittest.TestCase):
    def test_a_key_is_made_listed_and_revoked(self):
        with Farm(start=False) as farm:
            self.assertEqual(key_worker(farm, "list").stdout, "")
            made = key_worker(farm, "add", "far", "--out", str(farm.data / "far"))
            name, key = made.stdout.split()
            self.assertEqual((name, len(key)), ("far", 40))
            self.assertEqual((farm.data / "far" / "client.key_secret").stat().st_mode & 0o077, 0)
            self.assertEqual(key_worker(farm, "add", "far", "--public-key=" + key).returncode, 0)  # said again
            other, _ = zmq.curve_keypair()
            self.assertNotEqual(key_worker(farm, "add", "far", "--public-key=" + other.decode()).returncode, 0)
            self.assertNotEqual(key_worker(farm, "add", "../far", "--public-key=" + key).returncode, 0)
            self.assertNotEqual(key_worker(farm, "add", "short", "--public-key=abc").returncode, 0)
            self.assertEqual(key_worker(farm, "list").stdout.split(), [key, "far"])
            self.assertEqual(key_worker(farm, "revoke", "far").returncode, 0)
            self.assertNotEqual(key_worker(farm, "revoke", "far").returncode, 0)
            self.assertEqual(key_worker(farm, "list").stdout, "")

    def test_a_workers_key_opens_no_inner_door(self):
        ends = {f"bus_{name}": f"tcp://127.0.0.1:{free_port()}" for name in ("store", "scheduler", "workers", "doorbell")}
        with Farm(workers=0, bus_curve="always", **ends, **PATIENT) as farm:
            keys = {}
            for kind in ("worker", "process"):
                folder = farm.data / ("keys-" + kind)
                self.assertEqual(key_worker(farm, "add", "far", "--out", str(folder), kind=kind).returncode, 0)
                keys[kind] = keys_of(farm, folder)

            def opens(door, kind, wait):
                with Peer(ends["bus_" + door], curve=keys[kind]) as peer:
                    try:
                        peer.socket.send(pack("ping", corr=1), zmq.DONTWAIT)
                    except zmq.Again:  # refused already
                        return False
                    return bool(peer.socket.poll(wait))

            self.assertTrue(opens("workers", "worker", 60000))
            for door in ("store", "scheduler"):
                self.assertFalse(opens(door, "worker", 1500), door)
                self.assertTrue(opens(door, "process", 60000), door)
            self.assertEqual(key_worker(farm, "revoke", "far", kind="process").returncode, 0)
            self.assertFalse(opens("store", "process", 1500))

    def test_a_workers_key_hands_in_no_work(self):
        """It is trusted with what it is given: not to have programs run elsewhere, and not with what only the gateway asks for."""
        work = dict(spec=dict(task_type="scripted", executor="shell", command="true"), trigger={})
        with tcp_farm() as farm, member(farm, "one") as one:
            one.hello()
            made = farm.data_of(farm.post("/api/webhooks", {"url": "http://127.0.0.1:9/x", "active": False}), 201)
            task = farm.task("theirs", "true", task_type="scripted", executor="shell")
            for name, fields in [("run_submit", work), ("run_trigger", dict(task_id=task, trigger={})), ("task_delete", dict(id=task)),
                                 ("run_abort", dict(id=1))]:
                got, error = one.ask(name, idem=key(), **fields)
                self.assertEqual((got, error["code"], error["rule"]), ("error", 9, "clients"), name)
            for name, fields in [("webhook_claim", dict(boot="b")), ("pool_list", dict(page=1, size=1)),
                                 ("run_purge", dict(idem=key(), purge=dict(before=1))), ("worker_remove", dict(idem=key(), id="worker-001")),
                                 ("webhook_delete", dict(idem=key(), id=made["id"])), ("worker_list", dict(page=1, size=1))]:
                got, error = one.ask(name, **fields)
                self.assertEqual((got, error["code"]), ("error", 10), name)
                self.assertNotIn(made["secret"], str(error))
            (farm.data / "gantry.conf").write_text("bus.clients = always\n")
            farm.signal("scheduler", signal.SIGHUP)
            wait_for(lambda: one.ask("run_submit", idem=key(), **work)[0] == "run_answer", timeout=60, what="a key that may hand in work")
            self.assertEqual(one.ask("webhook_claim", boot="b")[1]["code"], 10)

    def test_revoking_cuts_a_connected_worker_and_gives_its_runs_away(self):
        with tcp_farm(lease_seconds=600) as farm, member(farm, "one") as one, member(farm, "two", ident="two") as two:
            one.hello()
            run = farm.trigger(farm.task("t", "true", task_type="scripted", executor="shell"))
            given = one.assignment()
            lease = {key: given[key] for key in ("run_id", "attempt")}
            one.tell("accept", leases=[lease])
            one.insist("heartbeat", "heartbeat_ack", running=[lease])
            two.hello()
            watch = one.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            self.assertEqual(key_worker(farm, "revoke", "one").returncode, 0)
            # No lease has run out: it goes elsewhere because of the key.
            again = two.assignment(timeout=60)
            self.assertEqual((again["run_id"], again["attempt"]), (run, 2))
            # Nothing it says is heard, its connection is cut, and it does not come in again.
            one.result(run, 1)
            self.assertTrue(watch.poll(60000), "the connection of a revoked key stands")
            one.tell("ping")
            one.socket.disable_monitor()
            watch.close(0)
            two.tell("accept", leases=[{"run_id": run, "attempt": 2}])
            two.insist("result", "result_ack", items=[dict(run_id=run, attempt=2, outcome=1)])
            detail = farm.wait_run(run)
            self.assertEqual([attempt["outcome"] for attempt in detail["attempts"]], ["lost", "completed"])
            self.assertIsNone(one.receive(0.2))

    def test_a_new_key_is_let_in_at_once_and_an_old_one_again(self):
        with tcp_farm() as farm, member(farm, "one") as one:
            one.hello()
            self.assertEqual(key_worker(farm, "revoke", "one").returncode, 0)
            wait_for(lambda: "GTY-WORKER-REVOKED" in farm.log("scheduler"), 60, "a scheduler that has seen it")
            public = keys_of(farm, farm.data / "keys-one")[0].decode()
            self.assertEqual(key_worker(farm, "add", "one", "--public-key=" + public).returncode, 0)
            with ScriptedWorker(farm.settings["bus_workers"], ident=one.ident, curve=keys_of(farm, farm.data / "keys-one")) as same:
                same.hello()

    def test_a_worker_that_waits_is_let_in_once_its_key_is_listed(self):
        with tcp_farm() as farm:
            folder = farm.data / "far"
            folder.mkdir()
            shutil.copy(farm.data / "curve" / "server.key", folder)
            farm.start("worker1", ["--bus-curve-dir", str(folder)])
            wait_for(lambda: "GTY-BUS-HANDSHAKE" in farm.log("worker1"), 60, "a worker that is refused")
            public, _ = zmq.auth.load_certificate(folder / "client.key")
            self.assertEqual(key_worker(farm, "add", "far", "--public-key=" + public.decode()).returncode, 0)
            farm.wait_ready()
            self.assertEqual(farm.wait_run(farm.trigger(farm.task("t", "echo far")))["result"], "far")
            self.assertEqual(key_worker(farm, "revoke", "far").returncode, 0)
            farm.wait_ready(workers=0)
            wait_for(lambda: farm.data_of(farm.get("/api/workers/worker-001"))["status"] == "offline", 60, "a worker that is cut off")

    def test_a_worker_is_not_taken_over_with_another_key(self):
        with tcp_farm() as farm, member(farm, "one", ident="one") as one, member(farm, "thief", ident="one") as thief:
            one.hello()
            name, fields = thief.ask("hello", protocol=1, ident="one", boot="b", hostname="h", task_types=["scripted"], executors=["shell"],
                                     slots=1, credit=1)
            self.assertEqual((name, fields["rule"]), ("error", "key"))
            one.insist("heartbeat", "heartbeat_ack", running=[])

    def test_beyond_loopback_there_is_no_listening_without(self):
        for name, endpoint in [("scheduler", "bus_workers"), ("scheduler", "bus_scheduler"), ("scheduler", "bus_doorbell"), ("store", "bus_store")]:
            for address in ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0"]:
                with self.subTest(endpoint=endpoint, address=address), Farm(start=False) as farm:
                    if name == "scheduler":
                        farm.start("store")
                    farm.settings = {endpoint: address, "bus_curve": "never"}
                    farm.start(name)
                    self.assertEqual(farm.exit_code(name), 1)
                    self.assertIn("CURVE", farm.log(name))

    def test_beyond_loopback_plain_peers_are_not_heard(self):
        with Farm(start=False, workers=0) as farm:
            farm.start("store")
            port = free_port()
            farm.settings = {"bus_workers": f"tcp://0.0.0.0:{port}"}  # bus.curve is auto
            farm.start("scheduler")
            wait_for(lambda: "GTY-SCHEDULER-READY" in farm.log("scheduler"), 60, "a scheduler that listens")
            context = zmq.Context()
            with context.socket(zmq.DEALER) as plain:
                plain.setsockopt(zmq.LINGER, 0)
                watch = plain.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED)
                plain.connect(f"tcp://127.0.0.1:{port}")
                plain.send(pack("ping", corr=1))
                self.assertTrue(watch.poll(60000), "a plain peer was not refused")
                self.assertEqual(plain.poll(200), 0)
                plain.disable_monitor()
                watch.close(0)
            context.destroy(0)


if __name__ == "__main__":
    unittest.main()
