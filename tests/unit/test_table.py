#!/usr/bin/python3
"""A faulty table of messages does not compile. Usage: test_table.py COMPILER SOURCE_FOLDER

Each case is proto/messages.def with one line added or changed, found by the compiler before the real one.
"""
import os
import subprocess
import sys
import tempfile
import unittest

COMPILER, SOURCE = sys.argv[1], sys.argv[2]


def compile_table(table):
    """Answers the compiler's words, or None if it had none to say."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "proto"))
        with open(os.path.join(folder, "proto", "messages.def"), "w", encoding="utf-8") as file:
            file.write(table)
        done = subprocess.run(
            [COMPILER, "-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-Werror", "-I", folder, "-I", SOURCE,
             os.path.join(SOURCE, "proto", "messages.c")], capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else done.stderr


class Table(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(SOURCE, "proto", "messages.def"), encoding="utf-8") as file:
            self.table = file.read()

    def changed(self, old, new):
        self.assertIn(old, self.table)
        return self.table.replace(old, new, 1)

    def refused(self, table, words):
        said = compile_table(table)
        self.assertIsNotNone(said, "it compiles")
        self.assertIn(words, said)

    def with_field(self, line):
        return self.changed("END(msg_done)", line + "\nEND(msg_done)")

    def test_as_it_is(self):
        self.assertIsNone(compile_table(self.table))

    def test_a_good_field(self):
        self.assertIsNone(compile_table(self.with_field('FIELD(msg_done, 59, OPT, UINT, extra, 0, 9, "")')))

    def test_id_twice(self):
        self.refused(self.changed("0x0002,", "0x0001,"), "CODEC_ONCE_0x0001")

    def test_id_twice_spelt_otherwise(self):
        self.refused(self.changed("0x0002,", "1,"), "duplicate case value")

    def test_message_twice(self):
        self.refused(self.changed("MSG(PING, ping,", "MSG(PONG, ping,"), "MSG_PONG")

    def test_key_twice(self):
        self.refused(self.with_field('FIELD(msg_done, 1, OPT, UINT, extra, 0, 9, "")'), "CODEC_ONCE_msg_done_1")

    def test_key_too_large(self):
        self.refused(self.with_field('FIELD(msg_done, 60, OPT, UINT, extra, 0, 9, "")'), "keys are 1 to 59")

    def test_key_zero(self):
        self.refused(self.with_field('FIELD(msg_done, 0, OPT, UINT, extra, 0, 9, "")'), "keys are 1 to 59")

    def test_field_twice(self):
        self.refused(self.with_field('FIELD(msg_done, 59, OPT, UINT, id, 0, 9, "")'), "duplicate member")

    def test_reversed_range(self):
        self.refused(self.with_field('FIELD(msg_done, 59, REQ, UINT, extra, 9, 8, "")'), "reversed range")

    def test_reversed_list(self):
        self.refused(self.with_field('LIST(msg_done, 59, REQ, lease, extra, 9, 8, "")'), "reversed range")

    def test_optional_without_zero(self):
        self.refused(self.with_field('FIELD(msg_done, 59, OPT, UINT, extra, 1, 8, "")'), "holds zero")

    def test_optional_record(self):
        self.refused(self.with_field('NEST(msg_done, 59, OPT, lease, extra, "")'), "REQ or NUL")

    def test_unknown_kind(self):
        self.refused(self.with_field('FIELD(msg_done, 59, OPT, WORD, extra, 0, 8, "")'), "CODEC_C_WORD")

    def test_unknown_party(self):
        self.refused(self.changed("MSG(PING, ping, 0x0002, ANY,", "MSG(PING, ping, 0x0002, NOBODY,"), "PARTY_NOBODY")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
