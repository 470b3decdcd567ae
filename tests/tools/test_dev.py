"""./dev and what belongs to it, without building anything: dependencies are asked of stand-ins."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from tests.tools.source import ROOT, read

COMMANDS = ("deps", "build", "up", "demo", "test", "bench", "chaos", "fmt")
PRESETS = ("dev", "release", "asan", "tsan", "coverage", "fuzz")


class Dev(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gantry-dev-")
        self.addCleanup(self.folder.cleanup)
        self.bin = pathlib.Path(self.folder.name)
        self.bin.chmod(0o755)
        self.stand_in("promtool", "")
        self.s3rver = self.bin / "build" / "tools" / "node_modules" / "s3rver"
        self.s3rver.mkdir(parents=True)
        for name in ("bash", "dirname", "nproc", "env", "sed"):
            (self.bin / name).symlink_to(next(p for p in (f"/usr/bin/{name}", f"/bin/{name}") if os.path.exists(p)))

    def stand_in(self, name, script):
        path = self.bin / name
        path.write_text("#!/bin/bash\n" + script)
        path.chmod(0o755)

    def dev(self, *arguments, uid=None):
        """./dev with nothing but the stand-ins on PATH, as root or as somebody else."""
        copy = self.bin / "dev"
        copy.write_text(read("dev"))
        copy.chmod(0o755)
        command = ["/bin/bash", str(copy), *arguments]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, user=uid,
                              env={"PATH": str(self.bin)}, timeout=300)

    @unittest.skipUnless(os.geteuid() == 0, "becomes other users")
    def test_deps_without_root_or_sudo_says_what_is_lacking(self):
        self.stand_in("dpkg-query", "for p in \"${@:4}\"; do [[ $p == cmake ]] || echo \"ii  $p\"; done\n")
        done = self.dev("deps", uid=65534)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("lacking: cmake\n", done.stderr)
        self.assertIn("apt-get install --no-install-recommends cmake\n", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "becomes other users")
    def test_deps_with_sudo(self):
        self.stand_in("dpkg-query", "exit 1\n")
        self.stand_in("sudo", "[[ $1 == -n ]] || echo \"sudo $*\"\n")
        done = self.dev("deps", uid=65534)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("sudo env DEBIAN_FRONTEND=noninteractive apt-get update", done.stdout)
        self.assertIn("apt-get install -qy --no-install-recommends build-essential", done.stdout)

    @unittest.skipUnless(os.geteuid() == 0, "becomes other users")
    def test_deps_as_root(self):
        self.stand_in("dpkg-query", "exit 1\n")
        self.stand_in("apt-get", "echo \"$DEBIAN_FRONTEND $*\"\n")
        done = self.dev("deps", "test")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("noninteractive update", done.stdout)
        self.assertIn("libcmocka-dev", done.stdout)
        self.assertNotIn("libcmocka-dev", self.dev("deps").stdout)
        self.stand_in("apt-get", "exit 100\n")
        self.assertEqual(self.dev("deps").returncode, 1)

    def test_promtool_comes_without_its_service(self):
        """The package that has it starts a server where it is installed."""
        (self.bin / "promtool").unlink()
        for name in ("mktemp", "mkdir", "tar", "chmod", "mv", "rm", "cat"):
            (self.bin / name).symlink_to(next(p for p in (f"/usr/bin/{name}", f"/bin/{name}") if os.path.exists(p)))
        inside = self.bin / "package" / "usr" / "bin"
        inside.mkdir(parents=True)
        (inside / "promtool").write_text("#!/bin/bash\necho checked\n")
        self.stand_in("dpkg-query", "for p in \"${@:4}\"; do echo \"ii  $p:amd64\"; done\n")
        self.stand_in("dpkg-deb", f"tar -C {self.bin}/package -c ./usr/bin/promtool\n")
        # what apt knows is too old at first
        self.stand_in("apt-get", f"echo \"apt-get $*\"\ncase $1 in\nupdate) echo >{self.bin}/updated ;;\n"
                                 f"download) [[ -f {self.bin}/updated ]] && echo >prometheus_1_amd64.deb ;;\nesac\n")
        self.stand_in("sudo", "\"$@\"\n")
        done = self.dev("deps", "test")
        self.assertEqual(done.returncode, 0, done)
        said = [line for line in done.stdout.splitlines() if line.startswith("apt-get")]
        self.assertEqual(said, ["apt-get download -q prometheus", "apt-get update -q", "apt-get download -q prometheus"])
        made = subprocess.run([self.bin / "build" / "tools" / "promtool"], capture_output=True, text=True, check=True)
        self.assertEqual(made.stdout, "checked\n")
        self.assertEqual(self.dev("deps", "test").stdout, "")
        self.assertNotIn("prometheus", read("dev").split("test_packages=(")[1].split(")")[0])

    def test_s3rver_comes_by_npm(self):
        self.s3rver.rmdir()
        (self.bin / "mkdir").symlink_to("/usr/bin/mkdir" if os.path.exists("/usr/bin/mkdir") else "/bin/mkdir")
        self.stand_in("dpkg-query", "for p in \"${@:4}\"; do echo \"ii  $p:amd64\"; done\n")
        self.stand_in("npm", "echo \"npm $*\"\n")
        done = self.dev("deps", "test")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("npm --prefix build/tools install", done.stderr)
        self.assertIn("s3rver@", done.stderr)

    def test_deps_does_nothing_when_all_is_there(self):
        self.stand_in("dpkg-query", "for p in \"${@:4}\"; do echo \"ii  $p:amd64\"; done\n")
        done = self.dev("deps", "test")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_half_installed_counts_as_lacking(self):
        self.stand_in("dpkg-query", "for p in \"${@:4}\"; do echo \"iU  $p\"; done\n")
        self.stand_in("apt-get", "echo \"apt $*\"\n")
        self.stand_in("sudo", "[[ $1 == -n ]] || { shift 2; \"$@\"; }\n")
        self.assertIn("install", self.dev("deps").stdout)

    def test_help_names_every_command(self):
        done = self.dev()
        self.assertEqual(done.returncode, 0)
        for name in COMMANDS:
            self.assertIn(f"\n  {name}", done.stdout)
        done = self.dev("nonsense")
        self.assertEqual(done.returncode, 1)
        self.assertIn('unknown command "nonsense"', done.stderr)

    def test_scripts_parse(self):
        for script in ("dev", ".ci/run"):
            subprocess.run(["/bin/bash", "-n", str(ROOT / script)], check=True)
            self.assertTrue(os.access(ROOT / script, os.X_OK), script)

    def test_presets(self):
        presets = json.loads(read("CMakePresets.json"))
        named = {p["name"]: p for p in presets["configurePresets"] if not p.get("hidden")}
        self.assertEqual(set(named), set(PRESETS))
        self.assertEqual({p["configurePreset"] for p in presets["buildPresets"]}, set(PRESETS))


if __name__ == "__main__":
    unittest.main()
