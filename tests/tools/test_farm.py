"""What tests/farm.py promises to tests."""

import socket
import subprocess
import sys
import unittest
from unittest import mock

from tests import farm

MANY = 200
TAKE = f"from tests import farm; print(*[farm.free_port() for _ in range({MANY})], flush=True); input()"


class Ports(unittest.TestCase):
    def test_of_tests_that_run_at_once(self):
        """None is given to two of them, nor by the kernel to a socket that asks for any."""
        others = [subprocess.Popen([sys.executable, "-c", TAKE], cwd=farm.ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                  for _ in range(2)]
        got = [farm.free_port() for _ in range(MANY)]
        for other in others:
            got += map(int, other.stdout.readline().split())
        for other in others:
            other.communicate("over\n")
        self.assertEqual(len(set(got)), 3 * MANY)
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
            self.assertGreater(any_port.getsockname()[1], max(got))

    def test_in_use(self):
        port = farm.free_port()
        with socket.create_server(("127.0.0.1", port)):
            farm.taken.pop(port).close()  # whoever listens there is no test
            with mock.patch.object(farm, "ports", lambda: range(port, port + 1)), self.assertRaisesRegex(AssertionError, "no port is free"):
                farm.free_port()


if __name__ == "__main__":
    unittest.main()
