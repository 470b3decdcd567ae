"""The command against a farm that is somewhere else: https:// behind a private authority, keys, and what goes wrong on the way."""

import json
import pathlib
import ssl
import subprocess
import tempfile
import unittest

from tests.farm import SLOW, Farm, free_port, wait_for
from tests.patience import PATIENT
from tests.up import GANTRY, environment, gantry


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True, timeout=120 * SLOW)


def make_authority(folder, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")


def make_certificate(folder, authority, host):
    """farm.pem and farm.key, for this host and signed by that authority."""
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}",
            "-keyout", folder / "farm.key", "-out", folder / "farm.csr")
    (folder / "names").write_text(f"subjectAltName=DNS:{host}\n")
    openssl("x509", "-req", "-days", "2", "-in", folder / "farm.csr", "-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}.key",
            "-CAcreateserial", "-extfile", folder / "names", "-out", folder / "farm.pem")


class Remote(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="gantry-remote-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = pathlib.Path(cls.folder.name)
        make_authority(cls.path, "ours")
        make_authority(cls.path, "theirs")
        make_certificate(cls.path, "ours", "localhost")
        cls.farm = Farm(start=False, http_tls_cert=str(cls.path / "farm.pem"), http_tls_key=str(cls.path / "farm.key"), auth_required="always",
                        **PATIENT)
        made = gantry("key", "create", "--role", "user", "--name", "me", "--data", str(cls.farm.data))
        assert made.returncode == 0, made.stderr
        cls.key = made.stdout.strip()
        cls.key_file = cls.path / "key"
        cls.key_file.touch(0o600)
        cls.key_file.write_text(f"{cls.key}\nwords about it\n")
        cls.farm.secure = ssl.create_default_context(cafile=str(cls.path / "ours.pem"))
        cls.farm.secure.check_hostname = False  # the tests call it by its address
        cls.farm.headers = {"Authorization": f"Bearer {cls.key}"}
        cls.farm.autostart = True
        cls.farm.__enter__()
        cls.addClassCleanup(cls.farm.__exit__, None, None, None)
        cls.url = f"https://localhost:{cls.farm.port}"

    def gantry(self, *words, ca="ours", url=None, **variables):
        """The command in an environment that knows nothing of the farm's folder."""
        trust = ["--ca", str(self.path / f"{ca}.pem")] if ca else []
        return subprocess.run([GANTRY, *words, "--url", url or self.url, *trust], env=dict(environment(), **variables), text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120 * SLOW, cwd=self.path)

    def good(self, *words, **more):
        done = self.gantry(*words, **more)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def bad(self, code, word, *words, **more):
        done = self.gantry(*words, **more)
        self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (code, "", 1), done)
        self.assertIn(word, done.stderr)
        self.assertNotIn(self.key, done.stderr)

    def test_by_key_file_and_by_variable(self):
        self.assertIn("worker-001", self.good("workers", "--key-file", str(self.key_file)))
        self.assertIn("worker-001", self.good("workers", GANTRY_KEY_FILE=str(self.key_file)))
        self.assertIn("worker-001", self.good("workers", GANTRY_KEY=self.key))
        self.assertIn("worker-001", self.good("workers", ca=None, GANTRY_KEY=self.key, GANTRY_CA=str(self.path / "ours.pem")))
        self.bad(1, "revoked", "workers", GANTRY_KEY="wrong", GANTRY_KEY_FILE=str(self.key_file))  # the variable itself goes first
        done = self.gantry("run", "--wait", "--key-file", str(self.key_file), "--shell", "echo from afar")
        self.assertEqual((done.returncode, done.stdout), (0, "from afar\n"), done)

    def test_the_key_is_in_no_command_line(self):
        run = self.gantry("run", "--key-file", str(self.key_file), "--shell", "true")
        self.assertEqual(run.returncode, 0, run)
        following = subprocess.Popen([GANTRY, "run", "--wait", "--shell", "read x", "--url", self.url, "--ca", str(self.path / "ours.pem"),
                                      "--key-file", str(self.key_file)], env=environment(), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertNotIn(self.key.encode(), pathlib.Path("/proc", str(following.pid), "cmdline").read_bytes())
        following.communicate(timeout=120 * SLOW)

    def test_keys_that_are_none(self):
        self.bad(1, "GANTRY_KEY or --key-file", "workers")
        self.bad(1, "GANTRY_KEY or --key-file", "workers", GANTRY_KEY="gty_nonsense")
        self.bad(2, "No such file", "workers", "--key-file", "/nonexistent")
        self.bad(2, "cannot be read", "workers", "--key-file", "/")
        for text in ("", "\n", "two words\n", "tab\tbed\n", "x" * 10000, "schlüssel\n"):
            (self.path / "bad").touch(0o600)
            (self.path / "bad").write_text(text)
            self.bad(2, "holds no key", "workers", "--key-file", str(self.path / "bad"))
        self.bad(2, "holds no key", "workers", GANTRY_KEY="a\r\nX-Evil: b")
        shared = self.path / "shared"
        shared.write_text(self.key)
        shared.chmod(0o644)
        self.bad(2, "can be read by everybody", "workers", "--key-file", str(shared))

    def test_certificates_that_are_not_trusted(self):
        self.bad(2, "--ca names the certificates", "workers", ca="theirs", GANTRY_KEY=self.key)
        self.bad(2, "--ca names the certificates", "workers", ca=None, GANTRY_KEY=self.key)
        self.bad(2, "--ca names the certificates", "workers", url=f"https://127.0.0.1:{self.farm.port}", GANTRY_KEY=self.key)  # not its name
        self.bad(2, "nowhere.pem", "workers", ca="nowhere", GANTRY_KEY=self.key)

    def test_wrong_ports_and_names(self):
        self.bad(1, "no farm answers at", "workers", url=f"https://localhost:{free_port()}", GANTRY_KEY=self.key)
        self.bad(1, "no machine of that name", "workers", url=f"https://{'x' * 64}.invalid", GANTRY_KEY=self.key)  # so long that no server is asked for it
        self.bad(2, "is it https://?", "workers", url=f"http://localhost:{self.farm.port}", GANTRY_KEY=self.key)
        with Farm(workers=0, start=False) as plain:
            plain.start("gateway")
            plain_url = f"https://localhost:{plain.port}"
            wait_for(lambda: "GTY-HTTP-LISTEN" in plain.log("gateway"), 60, "the gateway listening")
            self.bad(2, "is it http://?", "workers", url=plain_url, GANTRY_KEY=self.key)

    def test_tasks_from_afar(self):
        path = self.path / "tasks.yaml"
        path.write_text("name: remote\ntask_type: shell\nexecutor: shell\ncommand: echo $1\narguments: [0755]\n")
        self.assertRegex(self.good("task", "apply", "-f", str(path), GANTRY_KEY=self.key), r"^task \d+ remote created\n$")
        shown = json.loads(self.good("task", "show", "remote", "--json", GANTRY_KEY=self.key))
        self.assertEqual(shown["arguments"], ["0755"])


if __name__ == "__main__":
    unittest.main()
