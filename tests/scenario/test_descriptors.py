"""Each process at its limit on open files, and a worker that cannot make processes or folders: nobody dies, spins or fails a run for it."""

import contextlib
import errno
import http.client
import os
import resource
import socket
import subprocess
import time
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.faults import Fault, have_shim
from tests.patience import PATIENT

SPINS = 0.5  # of a core


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def limited(pid, room):
    """The process may open so many files more than it has."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + room, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections that say nothing."""

    def __init__(self, address, count):
        self.sockets = []
        for _ in range(count):
            one = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            one.settimeout(30)
            self.sockets.append(one)
            try:
                one.connect(address)
            except (BlockingIOError, TimeoutError):
                break  # the queue is full

    def close(self):
        for one in self.sockets:
            one.close()


class AtTheLimit(unittest.TestCase):
    def check_calm(self, pid, work):
        """It works with whom it is connected to, and does nothing between."""
        for _ in range(5):
            work()
        began, used = time.monotonic(), cpu_seconds(pid)
        wait_for(lambda: time.monotonic() - began > 1.5, 60)
        share = (cpu_seconds(pid) - used) / (time.monotonic() - began)
        self.assertLess(share, SPINS)
        work()

    def test_gateway(self):
        with Farm(**PATIENT) as farm:
            pid = farm.pid("gateway")
            kept = http.client.HTTPConnection("127.0.0.1", farm.port, timeout=60)

            def ask():
                kept.request("GET", "/api/system/health")
                answer = kept.getresponse()
                answer.read()
                self.assertEqual(answer.status, 200)

            ask()
            with limited(pid, 10):
                crowd = Crowd(("127.0.0.1", farm.port), 200)
                wait_for(lambda: descriptors(pid) >= resource.prlimit(pid, resource.RLIMIT_NOFILE)[0], 60, "the limit's being reached")
                self.check_calm(pid, ask)
                crowd.close()
                self.assertEqual(farm.get("/api/system/health").status, 200)
            kept.close()

    def check_bus(self, name, socket_name):
        with Farm(**PATIENT) as farm:
            pid = farm.pid(name)
            task = farm.task("at-the-limit", "echo done")
            with limited(pid, 5):
                crowd = Crowd(str(farm.runtime / f"{socket_name}.sock"), 100)
                wait_for(lambda: "GTY-DESCRIPTORS" in farm.log(name), 60, "a word about it")
                self.check_calm(pid, lambda: self.assertEqual(farm.wait_run(farm.trigger(task))["result"], "done"))
                farm.kill("gateway")  # whoever comes anew is let in when there is room again
                crowd.close()
                farm.start("gateway")
                farm.wait_ready()
            self.assertEqual(farm.processes[name].poll(), None)
            farm.wait_run(farm.trigger(task))

    def test_scheduler(self):
        self.check_bus("scheduler", "workers")

    def test_store(self):
        self.check_bus("store", "store")

    def test_worker(self):
        with Farm(**PATIENT) as farm:
            task = farm.task("short-of-them", "echo done")
            with limited(farm.pid("worker1"), 2):
                run = farm.trigger(task)
                back = wait_for(lambda: farm.run(run)["attempts"], 60, "the first attempt's end")
                wait_for(lambda: farm.run(run)["attempts"][0]["outcome"] == "returned", 60, "its coming back")
            self.assertIn("Too many open files", str(farm.run(run)["attempts"][0]), back)
            done = farm.wait_run(run)
            self.assertEqual((done["status"], done["result"]), ("completed", "done"), done)

    def test_worker_behind_the_program(self):
        """Its work is done; that its output cannot be looked at for a moment is not its fault."""
        with Farm(**PATIENT) as farm:
            output, go, up = farm.data / "output", farm.data / "go", farm.data / "up"
            task = farm.task("with-output", f"touch {up}; while ! [ -e {go} ]; do sleep 0.05; done; echo made >$GANTRY_OUTPUT", output=str(output))
            run = farm.trigger(task)
            wait_for(up.exists, 60, "the program's start")
            with limited(farm.pid("worker1"), 0):
                go.touch()
                wait_for(lambda: "its output waits" in str(farm.get(f"/api/runs/{run}/logs").body), 60, "a word about it")
            done = farm.wait_run(run)
            self.assertEqual((done["status"], len(done["attempts"])), ("completed", 1), done)
            self.assertEqual(output.read_text(), "made\n")

    def test_gantry(self):
        with Farm(**PATIENT) as farm:
            ended = {}
            for limit in range(4, 40):
                command = ["prlimit", f"--nofile={limit}:{limit}", str(BUILD / "gantry"), "run", "--wait", "--", "true"]
                env = dict(clean_environment(), GANTRY_URL=f"http://127.0.0.1:{farm.port}", ASAN_OPTIONS="detect_leaks=0")
                done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOW)
                ended[limit] = done.returncode
                self.assertIn(done.returncode, (0, 1, 2, 69, 75, 127), (limit, done))
                self.assertTrue(done.returncode == 0 or done.stderr.strip(), (limit, done))
                if done.returncode == 0:
                    break
            self.assertEqual(ended[max(ended)], 0, ended)


@unittest.skipUnless(have_shim(), "needs the release build")
class Lacking(unittest.TestCase):
    """What a worker's machine lacks for a moment costs no run anything but time."""

    def check(self, call, error, path="", times=2):
        with Farm(start=False, **PATIENT) as farm:
            fault = Fault(farm, "worker1")
            for name in ("store", "scheduler", "gateway", "worker1"):
                farm.start(name)
            farm.wait_ready()
            output = farm.data / "output"
            task = farm.task("lacking", "echo made >$GANTRY_OUTPUT; echo done", output=str(output))
            fault.fail(call, error, path=path, times=times)
            done = farm.wait_run(farm.trigger(task), timeout=90)
            self.assertEqual(fault.failed, times)
            self.assertEqual((done["status"], done["result"], output.read_text()), ("completed", "done", "made\n"), done)
            returned = [a for a in done["attempts"] if a["outcome"] == "returned"]
            self.assertEqual(len(returned) + 1, len(done["attempts"]), done)
            self.assertTrue(all(os.strerror(error) in a["error"] for a in returned), done)

    def test_no_process(self):
        self.check("fork", errno.EAGAIN)

    def test_no_process_for_long(self):
        self.check("fork", errno.ENOMEM, times=4)

    def test_no_room_for_its_folder(self):
        self.check("mkdir", errno.ENOSPC, path="/runs/")

    def test_no_right_to_its_folder(self):
        self.check("mkdir", errno.EACCES, path="/runs/", times=1)


if __name__ == "__main__":
    unittest.main()
