#!/usr/bin/python3
"""docs/worker-protocol.md against proto/messages.def: every message and field of the protocol stands in it as the table says, every
example in hexadecimal is the message written beside it, and the tiny worker stays tiny."""

import ast
import pathlib
import re
import sys
import unittest

import msgpack

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
from tests.bus import BY_NUMBER, TABLE, from_wire  # noqa: E402

PAGE = (ROOT / "docs" / "worker-protocol.md").read_text()
NUMBERS = {name: int(value) for name, value in re.findall(r"^#define (\w+) (\d+)\b", (ROOT / "proto" / "messages.h").read_text(), re.M)}


def sections():
    """heading -> its text, for the headings of messages and records."""
    parts = re.split(r"^#{2,4} (.*)$", PAGE, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def number(text):
    text = text.strip().replace("U64", "INT64_MAX")
    if text == "INT64_MAX":
        return "2^63-1"
    text = re.sub(r"KIB\((\d+)\)", r"(\1 * 1024)", text)
    return str(eval(text, dict(NUMBERS, INT64_MIN=-(1 << 63))))  # a constant expression of our own table


def rows():
    """owner -> [(key, name, type, required, bounds)] from messages.def."""
    text = (ROOT / "proto" / "messages.def").read_text()
    out = {}
    for kind, rest in re.findall(r"^(FIELD|NEST|LIST)\((.*)\)\s*$", text, re.M):
        words = [word.strip() for word in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', rest)]
        required = "yes" if words[2] == "REQ" else ""
        if kind == "FIELD":
            plain = words[3] in ("BOOL", "REAL")
            row = (words[1], words[4], words[3].lower(), required, "" if plain else f"{number(words[5])} to {number(words[6])}")
        elif kind == "NEST":
            row = (words[1], words[4], words[3], required, "")
        else:
            row = (words[1], words[4], words[3] + "[]", required, f"{number(words[5])} to {number(words[6])}")
        out.setdefault(words[0], []).append(row)
    return out


class Page(unittest.TestCase):
    def check_fields(self, owner, text):
        shown = {}
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if len(cells) == 6 and cells[0].isdigit():
                shown[cells[1].strip("`")] = tuple([cells[0], cells[1].strip("`")] + cells[2:5])
        for row in rows().get(owner, []):
            self.assertEqual(shown.pop(row[1], None), row, f"{owner}: write the field as {row}")
        self.assertFalse(shown, f"{owner}: the table has no such fields")

    def test_every_message_of_workers(self):
        found = {}
        for heading, text in sections().items():
            match = re.match(r"([A-Z_]+) 0x([0-9a-f]{4})", heading)
            if match:
                found[int(match.group(2), 16)] = (match.group(1), text)
        for number_, shape in BY_NUMBER.items():
            if 0x0400 <= number_ <= 0x04ff:
                self.assertIn(number_, found, f"{shape} is not on the page")
        for number_, (name, text) in found.items():
            self.assertEqual(BY_NUMBER[number_], "msg_" + name.lower())
            self.check_fields("msg_" + name.lower(), text)

    def test_every_record_used(self):
        texts = sections()
        todo, done = [shape for number_, shape in BY_NUMBER.items() if 0x0400 <= number_ <= 0x04ff], set()
        while todo:
            for _, nested, _ in TABLE[todo.pop()].keys.values():
                if nested and nested not in done:
                    done.add(nested)
                    todo.append(nested)
        for record in done:
            self.assertIn(record[4:], texts, "a record without its section")
            self.check_fields(record, texts[record[4:]])

    def test_examples(self):
        count = 0
        for block in re.findall(r"```hex\n(.*?)```", PAGE, re.S):
            for bytes_text, value in re.findall(r"((?:[0-9a-f]{2}[ \n])+)(\[.*\])\n", block):
                frame = bytes.fromhex(bytes_text)
                self.assertEqual(frame, msgpack.packb(ast.literal_eval(value)), value)
                parts = msgpack.unpackb(frame, strict_map_key=False)
                shape = BY_NUMBER[parts[0]]
                known = {key for key, _, _ in TABLE[shape].keys.values()}
                self.assertLessEqual(set(parts[1]), known, value)
                from_wire(shape, parts[1])
                count += 1
        self.assertGreater(count, 20)

    def test_rules_of_errors(self):
        sources = "".join((ROOT / path).read_text() for path in ("proto/bus_server.c", "scheduler/worker.c", "scheduler/worker_session.c"))
        rules = set(re.findall(r'ERR_(?:PROTOCOL|CONFLICT), (?:"\w*", |\.rule = STR_LIT\()"(\w+)"', sources))
        self.assertLessEqual({"malformed", "message", "hello", "superseded"}, rules)
        for rule in rules:
            self.assertIn(f"`{rule}`", sections()["7. Errors"], "a worker is not told what to do")

    def test_tiny_worker_is_tiny(self):
        lines = (ROOT / "tests" / "worker" / "tiny_worker.py").read_text().splitlines()
        self.assertLess(len(lines), 200)
        self.assertFalse(re.findall(r"messages\.def|tests\.bus", "\n".join(lines)))


if __name__ == "__main__":
    unittest.main()
