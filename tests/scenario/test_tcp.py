"""The bus over tcp with CURVE: as between machines, on loopback."""

import shutil
import signal
import unittest

import zmq
import zmq.auth

from tests.bus import pack, unpack
from tests.farm import Farm, free_port, wait_for
from tests.patience import PATIENT


def tcp_farm(**more):
    ends = {f"bus_{name}": f"tcp://127.0.0.1:{free_port()}" for name in ("store", "scheduler", "workers", "doorbell")}
    return Farm(bus_curve="always", **ends, **dict(PATIENT, **more))


class Stranger:
    """A DEALER with a key of its own making, that knows the farm's public key."""

    def __init__(self, farm, folder, known=False):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        server, _ = zmq.auth.load_certificate(farm.data / "curve" / "server.key")
        folder.mkdir()
        public, secret = zmq.auth.create_certificates(folder, "stranger")
        if known:
            shutil.copy(public, farm.data / "curve" / "allowed" / "stranger.key")
        self.socket.curve_publickey, self.socket.curve_secretkey = zmq.auth.load_certificate(secret)
        self.socket.curve_serverkey = server
        self.socket.connect(farm.settings["bus_workers"])

    def ping(self, timeout):
        """None: no answer, or nowhere to send it to any more (libzmq gives a refused connection up)."""
        try:
            self.socket.send(pack("ping", corr=1), zmq.DONTWAIT)
        except zmq.Again:
            return None
        return unpack(self.socket.recv())[0] if self.socket.poll(int(timeout * 1000)) else None

    def close(self):
        self.socket.close(0)
        self.context.term()


class Tcp(unittest.TestCase):
    def test_a_farm_works_and_survives_restarts(self):
        with tcp_farm() as farm:
            task = farm.task("far", "echo far")
            self.assertEqual(farm.wait_run(farm.trigger(task))["result"], "far")
            for name in ["store", "scheduler", "gateway", "worker1"]:
                farm.restart(name)

                def accepted():
                    try:
                        return farm.post(f"/api/tasks/{task}/trigger", {}).status == 201
                    except OSError:
                        return False

                wait_for(accepted, what=f"a farm that works without the old {name}")
                farm.wait_ready()
            for run in farm.data_of(farm.get("/api/runs"))["items"]:
                self.assertEqual(farm.wait_run(run["id"])["result"], "far")

    def test_only_keys_that_are_let_in(self):
        with tcp_farm(workers=0) as farm:
            strange = Stranger(farm, farm.data / "strange")
            self.assertIsNone(strange.ping(1.5))
            strange.close()
            friend = Stranger(farm, farm.data / "friend", known=True)  # let in while the farm runs
            self.assertEqual(friend.ping(60), "pong")
            friend.close()
            plain = zmq.Context()
            socket = plain.socket(zmq.DEALER)
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(farm.settings["bus_workers"])
            socket.setsockopt(zmq.SNDTIMEO, 1500)
            try:
                socket.send(pack("ping", corr=1))
            except zmq.Again:
                pass
            self.assertEqual(socket.poll(1500), 0)
            socket.close(0)
            plain.term()
            self.assertTrue(all(farm.running(name) for name in farm.processes))

    def test_the_list_stays_as_it_is(self):
        """A key that is in the list is not written again: who reads it meanwhile would shut its owner out. What is none is mended."""
        with tcp_farm(workers=0) as farm:
            path = farm.data / "curve" / "allowed" / "local.key"
            before = path.stat()
            for name in ("store", "scheduler"):
                farm.restart(name)
            farm.wait_ready()
            after = path.stat()
            self.assertEqual((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns))
            path.write_text("metadata\n")
            farm.restart("scheduler")
            farm.restart("gateway")
            farm.wait_ready()
            self.assertEqual(zmq.auth.load_certificate(path)[0], zmq.auth.load_certificate(farm.data / "curve" / "client.key")[0])
            self.assertEqual([one.name for one in path.parent.iterdir()], ["local.key"])

    def test_secret_keys_are_the_owners_alone(self):
        with tcp_farm(workers=0) as farm:
            for path in (farm.data / "curve").rglob("*_secret"):
                self.assertEqual(path.stat().st_mode & 0o077, 0, path)
            farm.signal("scheduler", signal.SIGHUP)
            self.assertNotIn("secret-key", farm.log("scheduler"))


if __name__ == "__main__":
    unittest.main()
