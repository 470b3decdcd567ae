"""The C files are as clang-format writes them. Other versions of it write other things, so only the one of `./dev deps tools` is asked."""

import shutil
import subprocess
import unittest

from tests.tools.source import ROOT

VERSION = "version 14."


def formatter():
    for name in ("clang-format-14", "clang-format"):
        if shutil.which(name) and VERSION in subprocess.run([name, "--version"], capture_output=True, text=True).stdout:
            return name
    return None


class Format(unittest.TestCase):
    @unittest.skipUnless(formatter(), "clang-format 14 is not installed")
    @unittest.skipUnless((ROOT / ".git").exists() and shutil.which("git"), "not a git checkout")
    def test_every_file_is_formatted(self):
        listed = subprocess.run(["git", "ls-files", "-z", "*.c", "*.h"], cwd=ROOT, capture_output=True, check=True).stdout
        files = [name for name in listed.decode().split("\0") if name and (ROOT / name).exists()]
        self.assertGreater(len(files), 100)
        done = subprocess.run([formatter(), "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, "run ./dev fmt\n" + done.stderr[:4000])


if __name__ == "__main__":
    unittest.main()
