"""`gantry up` with real processes: ready, restarts, the end, and clear words when it cannot start."""

import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from tests import videos
from tests.farm import SLOW, alive, runtime_dir, wait_for
from tests.up import GANTRY, Up, environment, gantry


def healthy(up):
    """Its health, when it is well; None else, and while nobody answers."""
    try:
        health = up.get("/api/system/health")
    except (OSError, http.client.HTTPException):
        return None
    return health if health["status"] == "healthy" else None


def wait_healthy(up):
    """The health of a farm that is ready: where a process stands still for a second just now, it is another for that second."""
    return wait_for(lambda: healthy(up), 60, "a healthy farm")


class Life(unittest.TestCase):
    def test_one_ready_line_and_everything_else_on_stderr(self):
        with Up("--workers", "2") as up:
            url = up.wait_ready()
            self.assertEqual(url, f"http://localhost:{up.port}")
            health = wait_healthy(up)
            self.assertEqual(health["components"]["scheduler"]["active_workers"], 2)
            self.assertEqual(sorted(up.children()), ["gateway", "scheduler", "store", "worker-1", "worker-2"])
            self.assertEqual(up.terminate(), 0)
            self.assertEqual(up.out(), f"ready {url}\n")
            for label in ("store", "scheduler", "gateway", "worker-1", "worker-2"):
                self.assertRegex(up.err(), rf"(?m)^{label} *\| ")
            self.assertNotIn("\033", up.err())

    def test_a_free_port_is_taken_and_told(self):
        with Up(port=0) as up:
            url = up.wait_ready()
            self.assertNotEqual(up.port, 0)
            wait_healthy(up)
            # the command finds it by its data folder
            found = subprocess.run([GANTRY, "status", "--data", str(up.data)], env=environment(), capture_output=True, text=True)
            self.assertEqual(found.returncode, 0, found.stderr)
            self.assertIn(url.rsplit(":", 1)[1], found.stdout)

    def test_it_is_ready_though_it_asks_for_keys(self):
        with Up("--host", "0.0.0.0", start=False) as up:
            up.start()
            self.assertEqual(up.process.wait(60 * SLOW), 1)
            self.assertIn("gantry key create", up.err())
            made = gantry("key", "create", "--role", "user", "--name", "me", "--data", str(up.data))
            self.assertEqual(made.returncode, 0, made.stderr)
            up.start()
            url = up.wait_ready()
            self.assertEqual(url, f"http://localhost:{up.port}")
            refused = gantry("runs", "--url", url)
            self.assertEqual((refused.returncode, "GANTRY_KEY" in refused.stderr), (1, True), refused)
            shown = subprocess.run([GANTRY, "runs", "--url", url], env=dict(environment(), GANTRY_KEY=made.stdout.strip()), capture_output=True, text=True)
            self.assertEqual(shown.returncode, 0, shown.stderr)

    def test_it_is_ready_over_tls_with_a_certificate_of_any_name(self):
        with Up(start=False) as up:
            cert, key = up.folder / "cert.pem", up.folder / "key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                            "/CN=farm.example", "-keyout", str(key), "-out", str(cert)], capture_output=True, check=True)
            up.start("--http-tls-cert", str(cert), "--http-tls-key", str(key))
            self.assertEqual(up.wait_ready(), f"https://localhost:{up.port}")

    def test_it_is_ready_behind_a_certificate_that_has_ended(self):
        with Up(start=False) as up:
            cert, key, request = up.folder / "cert.pem", up.folder / "key.pem", up.folder / "request.pem"
            for command in (["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout",
                             str(key), "-out", str(request)],
                            ["x509", "-req", "-in", str(request), "-signkey", str(key), "-days", "-1", "-out", str(cert)]):
                subprocess.run(["openssl", *command], capture_output=True, check=True)
            up.start("--http-tls-cert", str(cert), "--http-tls-key", str(key))
            self.assertEqual(up.wait_ready(), f"https://localhost:{up.port}")
            said = r"GTY-TLS-EXPIRED http\.tls_cert: \S+cert\.pem ended at \d{4}-"  # by another way than the line that it is ready
            wait_for(lambda: re.search(said, up.err()), 60, "word of the certificate")
            self.assertNotIn("GTY-KEY-EXPOSED", up.err())

    def test_keys_that_others_may_read_are_told_of_once(self):
        with Up(start=False) as up:
            cert, key, tokens = up.folder / "cert.pem", up.folder / "key.pem", up.folder / "jwks.json"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "40", "-subj",
                            "/CN=localhost", "-keyout", str(key), "-out", str(cert)], capture_output=True, check=True)
            tokens.write_text('{"keys": [{"kty": "oct", "k": "%s"}]}' % ("A" * 43))
            key.chmod(0o640)
            tokens.chmod(0o604)
            flags = ["--http-tls-cert", str(cert), "--http-tls-key", str(key), "--auth-jwt-keys", str(tokens)]
            up.start(*flags)
            up.wait_ready()
            wait_for(lambda: up.err().count("GTY-KEY-EXPOSED") >= 2, 60, "word of both")
            told = [line for line in up.err().splitlines() if "GTY-KEY-EXPOSED" in line]
            self.assertEqual(len(told), 2, up.err())
            self.assertIn("its group may read it (mode 0640)", next(line for line in told if "http.tls_key" in line))
            self.assertIn("everybody on this machine may read it (mode 0604)", next(line for line in told if "auth.jwt_keys" in line))
            self.assertNotIn("GTY-TLS-E", up.err())
            for form in ([], ["--explain"], ["--json"]):
                shown = gantry("config", *form, *flags)
                self.assertEqual((shown.returncode, len(shown.stderr.splitlines())), (0, 2), shown)
            key.chmod(0o600)
            tokens.write_text(tokens.read_text().replace("oct", "not"))  # nothing of ours: no secret
            self.assertEqual(gantry("config", *flags).stderr, "")

    def test_sigterm_ends_all_in_time_while_a_run_goes_on(self):
        with Up("--workers", "1") as up:
            up.wait_ready()
            submitted = up.gantry("run", "--shell", "trap '' TERM; sleep 3600; true")  # its worker would wait for it
            self.assertEqual(submitted.returncode, 0, submitted.stderr)
            run_id = int(submitted.stdout)
            wait_for(lambda: up.get(f"/api/runs/{run_id}")["status"] == "running", 20, "the run to start")
            self.assertEqual(up.terminate(60), 0)
            self.assertFalse(up.runtime.exists(), "sockets nobody listens at are left")
            # the run went back to the queue: a new farm takes it up again
            up.start()
            up.wait_ready(times=2)
            wait_for(lambda: up.get(f"/api/runs/{run_id}")["status"] == "running", 30, "the run to start again")
            self.assertEqual(up.gantry("abort", str(run_id)).returncode, 0)

    def test_a_second_sigint_ends_at_once(self):
        with Up() as up:
            up.wait_ready()
            run_id = int(up.gantry("run", "--shell", "trap '' TERM; sleep 300; true").stdout)
            wait_for(lambda: up.get(f"/api/runs/{run_id}")["status"] == "running", 20, "the run to start")
            up.process.send_signal(signal.SIGINT)
            wait_for(lambda: "DRAIN" in up.err(), 10, "the end to begin")
            up.process.send_signal(signal.SIGINT)
            self.assertEqual(up.process.wait(60 * SLOW), 0)
            self.assertNotIn("GTY-STOP", up.err())  # as each of them says that is given the time to end by itself

    def test_settings_are_flags(self):
        with Up("--worker-types", "shell", "--lease-heartbeat-ms=200") as up:
            up.wait_ready()
            self.assertEqual(up.get("/api/workers")["items"][0]["task_types"], ["shell"])

    def test_a_library(self):
        """Is all that has to be said: it is looked through, and what is made stands below the data."""
        with tempfile.TemporaryDirectory(prefix="gantry-library-") as library:
            videos.put("h264.mp4", pathlib.Path(library) / "a/one.mp4")
            with Up("--library", library) as up:
                up.wait_ready()
                shown = lambda: up.get("/api/v1/videos")["videos"]  # noqa: E731
                wait_for(lambda: [one["transcode_status"] for one in shown()] == [4], 180, "its transcode")
                self.assertEqual([path.name for path in (up.data / "transcoded").rglob("*") if path.is_file()], ["one.mp4"])


READY = {"store": "GTY-STORE-READY", "scheduler": "GTY-SCHEDULER-READY", "gateway": "GTY-HTTP-LISTEN", "worker-1": "GTY-WORKER-WELCOME"}


class Restarts(unittest.TestCase):
    def test_whatever_is_killed_comes_back(self):
        with Up() as up:
            up.wait_ready()
            for label in ("store", "scheduler", "gateway", "worker-1"):
                with self.subTest(label):
                    count = up.err().count(READY[label])
                    up.kill_child(label)
                    wait_for(lambda: up.err().count(READY[label]) > count, 60, "its being ready again")  # health is a second old, maybe
                    wait_for(lambda: (health := healthy(up)) and health["components"]["scheduler"]["active_workers"] == 1, 60, "a healthy farm")
                    done = up.gantry("run", "--wait", "--shell", "echo alive")
                    self.assertEqual((done.returncode, done.stdout), (0, "alive\n"), done.stderr)
            self.assertIn("starting it again", up.err())

    def test_a_killed_up_leaves_nothing_and_can_be_started_again(self):
        with Up() as up:
            up.wait_ready()
            done = up.gantry("run", "--wait", "--shell", "echo before")
            self.assertEqual(done.returncode, 0, done.stderr)
            started = set(up.children().values())
            up.kill()
            wait_for(lambda: not [pid for pid in started if alive(pid)], 5, "the end of its children")
            up.start()
            up.wait_ready(times=2)
            self.assertEqual(up.get("/api/runs/1")["status"], "completed")
            done = up.gantry("run", "--wait", "--shell", "echo after")
            self.assertEqual((done.returncode, done.stdout), (0, "after\n"), done.stderr)

    def test_a_restart_right_after_a_kill_works(self):
        with Up() as up:
            up.wait_ready()
            for times in (2, 3):
                up.kill()
                up.start()
                up.wait_ready(times=times)

    def test_a_superseded_scheduler_stays_away_while_the_other_answers(self):
        with Up() as up:
            up.wait_ready()
            log = open(up.folder / "rival", "wb")
            rival = subprocess.Popen([str(pathlib.Path(GANTRY).parent / "gantry-scheduler"), "--data", str(up.data)],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment())
            log.close()
            try:
                wait_for(lambda: "has taken over: not starting one while it answers" in up.err(), 60, "the older one to give way")
                wait_for(lambda: "scheduler" not in up.children(), 30, "the end of the older one")
                done = up.gantry("run", "--wait", "--shell", "echo rival")
                self.assertEqual((done.returncode, done.stdout), (0, "rival\n"), done.stderr)
                self.assertNotIn("scheduler", up.children())
                count = up.err().count(READY["scheduler"])
            finally:
                rival.kill()
                rival.wait()
            wait_for(lambda: up.err().count(READY["scheduler"]) > count, 60, "its own one in the rival's place")
            done = up.gantry("run", "--wait", "--shell", "echo own")
            self.assertEqual((done.returncode, done.stdout), (0, "own\n"), done.stderr)

    def test_sighup_reaches_every_process(self):
        with Up() as up:
            up.wait_ready()
            up.process.send_signal(signal.SIGHUP)
            for label in ("store", "scheduler", "gateway", "worker"):
                wait_for(lambda: any(line.startswith(label) and "RELOAD" in line.upper() for line in up.err().splitlines()), 10,
                         f"{label} to read its settings again")
            self.assertEqual(len(up.children()), 4)


class Early(unittest.TestCase):
    """Asked to end while they still read their settings, which hang: a pipe that nobody writes to."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gantry-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(shutil.rmtree, runtime_dir(self.folder), True)
        self.settings = os.path.join(self.folder, "settings")
        os.mkfifo(self.settings)

    def opened(self):
        """The pipe, once somebody waits for it to be written to."""
        try:
            return os.open(self.settings, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    def ends(self, *command):
        process = subprocess.Popen([*command, "--data", self.folder, "--config", self.settings], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True)
        try:
            pipe = wait_for(self.opened, 30, "the process to read its settings")
            process.send_signal(signal.SIGTERM)
            os.close(pipe)
            while process.poll() is None:  # its children read them, too
                pipe = self.opened()
                if pipe is not None:
                    os.close(pipe)
                try:
                    process.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass
            return process.returncode, process.stderr.read()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    def test_each_daemon(self):
        for name in ("store", "scheduler", "gateway", "worker"):
            with self.subTest(name):
                code, err = self.ends(str(pathlib.Path(GANTRY).parent / f"gantry-{name}"))
                self.assertEqual(code, 0, err)

    def test_up(self):
        code, err = self.ends(GANTRY, "up", "--port", "0", "--render-port", "0", "--recorder-port", "0")
        self.assertEqual(code, 0, err)


class CannotStart(unittest.TestCase):
    def refused(self, up, *words):
        """Exits with 1 and says why in its last line; nothing is left running."""
        self.assertEqual(up.process.wait(60 * SLOW), 1)
        last = up.err().strip().splitlines()[-1]
        self.assertRegex(last, r"^gantry up: ")
        for word in words:
            self.assertIn(word, last)
        self.assertEqual(up.out(), "")

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with Up(port=port) as up:
                self.refused(up, "gateway", str(port), "in use")

    def test_an_unwritable_folder(self):
        with Up(data="/proc/nothing/here") as up:
            self.refused(up, "/proc/nothing")

    def test_a_folder_that_is_a_file(self):
        with tempfile.NamedTemporaryFile() as file, Up(data=file.name) as up:
            self.refused(up, file.name)

    def test_a_database_in_use(self):
        with Up() as first:
            first.wait_ready()
            store = first.child("store")
            with Up(data=first.data) as second:
                self.refused(second, "already", str(first.process.pid))
            self.assertEqual(first.child("store"), store)
            wait_healthy(first)

    def test_a_store_that_runs_by_itself(self):
        folder = tempfile.mkdtemp(prefix="gantry-test-")
        log = open(os.path.join(folder, "store.log"), "wb")
        store = subprocess.Popen([str(pathlib.Path(GANTRY).parent / "gantry-store"), "--data", folder], stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log, env=environment())
        log.close()
        try:
            wait_for(lambda: READY["store"] in pathlib.Path(folder, "store.log").read_text(), 60, "the store to have the database")
            with Up(data=folder) as up:
                self.refused(up, "store", "use")
                self.assertTrue((up.runtime / "store.sock").exists(), "the socket of a store that lives was removed")
            self.assertIsNone(store.poll())
        finally:
            store.terminate()
            store.wait(60 * SLOW)
            shutil.rmtree(folder)

    def test_settings_that_cannot_be_read(self):
        with Up(start=False) as up:
            (up.data / "gantry.conf").mkdir()  # not even by root
            up.start()
            self.refused(up, "gantry.conf", "cannot read")

    def test_a_setting_that_cannot_be(self):
        done = subprocess.run([GANTRY, "up", "--port", "99999"], env=environment(), capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)
        self.assertIn("port", done.stderr)


if __name__ == "__main__":
    unittest.main()
