"""What a service manager sees of each process, and the units that ship."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
from unittest import mock

from tests import up
from tests.bus import process_state
from tests.farm import BUILD, ROOT, Farm, wait_for

UNITS = ROOT / "docs" / "systemd"


class Manager:
    """A notify socket, as systemd has one for each unit."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gantry-notify-")
        self.path = f"{self.folder.name}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(self.path)
        self.words = []

    def read(self):
        """All that was told so far: a list of {name: value}."""
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except BlockingIOError:
                return self.words
            self.words.append(dict(line.split("=", 1) for line in text.splitlines()))

    def told(self, name, count=1):
        return sum(name in one for one in self.read()) >= count

    def close(self):
        self.socket.close()
        self.folder.cleanup()


class Notified(unittest.TestCase):
    def setUp(self):
        self.farm = Farm(start=False)
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        self.managers = {}

    def start(self, name, watchdog_ms=0):
        manager = self.managers[name] = Manager()
        self.addCleanup(manager.close)
        self.farm.environments[name] = {"NOTIFY_SOCKET": manager.path}
        if watchdog_ms:
            self.farm.environments[name]["WATCHDOG_USEC"] = str(watchdog_ms * 1000)
        self.farm.start(name)
        return manager

    def wait_told(self, name, word, count=1):
        wait_for(lambda: self.managers[name].told(word, count), what=f"{word} of the {name}")

    def test_ready_comes_when_it_can_do_its_work(self):
        worker = self.start("worker1")
        self.wait_told("worker1", "STATUS")
        self.assertEqual(worker.read()[0], {"STATUS": "waiting for the scheduler"})
        scheduler = self.start("scheduler")
        self.wait_told("scheduler", "STATUS")
        self.assertEqual(scheduler.read()[0], {"STATUS": "waiting for the store"})
        gateway = self.start("gateway")
        self.wait_told("gateway", "READY")
        self.assertEqual(self.farm.get("/healthz").status, 503)  # it answers; what it answers is another matter
        self.assertFalse(scheduler.told("READY") or worker.told("READY"))
        self.start("store")
        self.wait_told("worker1", "READY")
        self.assertTrue(scheduler.told("READY") and self.managers["store"].told("READY"))
        self.assertEqual(worker.read()[-1], {"READY": "1", "STATUS": "working as worker-001"})
        self.farm.wait_ready()
        self.assertEqual(len(gateway.read()), 1)

    def test_reload_and_end(self):
        names = ("store", "scheduler", "gateway", "worker1")
        for name in names:
            self.start(name)
        for name in names:
            self.wait_told(name, "READY")
            told = len(self.managers[name].read())
            self.farm.signal(name, signal.SIGHUP)
            wait_for(lambda: len(self.managers[name].read()) == told + 2, what=f"a reload of the {name}")
            reloading, ready = self.managers[name].read()[told:]
            self.assertEqual(reloading["RELOADING"], "1")
            self.assertGreater(int(reloading["MONOTONIC_USEC"]), 0)
            self.assertEqual(ready, {"READY": "1"})
        for name in reversed(names):
            self.assertEqual(self.farm.terminate(name), 0)
            self.assertEqual(self.managers[name].read()[-1]["STOPPING"], "1")

    def test_the_loop_feeds_the_watchdog(self):
        names = ("store", "scheduler", "gateway", "worker1")
        for name in names:
            self.start(name, watchdog_ms=50)
        for name in names:
            self.wait_told(name, "WATCHDOG", 3)
        self.farm.stop("store")
        wait_for(lambda: process_state(self.farm.pid("store")) == "T", what="its standing still")
        before = len(self.managers["store"].read())
        self.wait_told("gateway", "WATCHDOG", len(self.managers["gateway"].read()) + 3)
        self.assertEqual(len(self.managers["store"].read()), before)
        self.farm.cont("store")
        self.wait_told("store", "WATCHDOG", before + 3)

    def test_what_a_run_sees(self):
        for name in ("store", "scheduler", "gateway", "worker1"):
            self.start(name, watchdog_ms=1000)
        self.farm.wait_ready()
        run = self.farm.wait_run(self.farm.trigger(self.farm.task("curious", "env")))
        lines = [line["message"] for line in run["logs"]]
        self.assertTrue(any(line.startswith("GANTRY_") for line in lines))
        self.assertFalse([line for line in lines if line.startswith(("NOTIFY_", "WATCHDOG_"))])

    def test_lines_for_the_journal(self):
        path = self.farm.log_path("store")
        path.touch()
        info = os.stat(path)
        self.farm.environments["store"] = {"JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}"}
        self.farm.start("store")
        wait_for(lambda: "GTY-STORE-READY" in self.farm.log("store"), what="the store")
        for line in self.farm.log("store").splitlines():
            self.assertRegex(line, r"^<[3467]>")
        self.assertRegex(self.farm.log("store"), r"(?m)^<6>\S+ INFO store GTY-STORE-READY")
        self.farm.environments["scheduler"] = {"JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}"}  # of another's stderr
        self.farm.start("scheduler")
        wait_for(lambda: "GTY-SCHEDULER-READY" in self.farm.log("scheduler"), what="the scheduler")
        self.assertNotIn("<6>", self.farm.log("scheduler"))


class AllInOne(unittest.TestCase):
    def test_gantry_up_speaks_for_its_children(self):
        manager = Manager()
        self.addCleanup(manager.close)
        more = dict(up.environment(), NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="4000000")  # rarely: its words wait for us in a short queue
        with mock.patch.object(up, "environment", lambda: more):
            farm = up.Up(start=False)
            self.addCleanup(farm.close)
            farm.start()
        wait_for(lambda: manager.told("READY") and manager.told("WATCHDOG"), 120, what="READY and WATCHDOG")
        url = farm.wait_ready()
        self.assertEqual([one for one in manager.read() if "WATCHDOG" not in one], [{"READY": "1", "STATUS": url}])  # none is a child's
        farm.process.send_signal(signal.SIGHUP)
        wait_for(lambda: sum("READY" in one for one in manager.read()) == 2, what="a reload")
        self.assertEqual(farm.terminate(), 0)
        self.assertTrue(manager.told("STOPPING"))


class Units(unittest.TestCase):
    def lines(self, path):
        return [line for line in path.read_text().splitlines() if line and not line.startswith(("#", ";"))]

    def test_each_process_has_one(self):
        for name in ("store", "scheduler", "gateway", "worker@"):
            with self.subTest(name):
                lines = self.lines(UNITS / f"gantry-{name}.service")
                self.assertIn("Type=notify", lines)
                self.assertIn("ExecReload=/bin/kill -HUP $MAINPID", lines)
                self.assertTrue(any(line.startswith(f"ExecStart=/usr/local/bin/gantry-{name.rstrip('@')} --config /etc/gantry.conf") for line in lines))
                self.assertIn("PartOf=gantry.target", lines)
                for word in ("WatchdogSec=", "Restart=on-failure", "LimitNOFILE=", "StateDirectory=gantry", "ProtectSystem=", "User=gantry"):
                    self.assertTrue(any(line.startswith(word) for line in lines), word)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here")
    def test_systemd_understands_them(self):
        with tempfile.TemporaryDirectory(prefix="gantry-units-") as folder:
            for unit in sorted(UNITS.glob("gantry*.*")):
                if unit.suffix in (".service", ".target"):
                    text = unit.read_text().replace("/usr/local/bin/", f"{BUILD}/")
                    pathlib.Path(folder, unit.name).write_text(text)
            names = [str(path) for path in sorted(pathlib.Path(folder).iterdir())]
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, timeout=60)
            said = [line for line in done.stderr.splitlines() if folder in line or "gantry" in line]
            self.assertEqual((done.returncode, said), (0, []), done.stderr)


if __name__ == "__main__":
    unittest.main()
