"""A renderer in Blender's place. Its pictures show which frame they are of and which process made them; it waits where a test tells it to.

    program = make(folder, "engine")   # for render.blender; a second one, dies="kill" or "words", runs out of memory at each frame
    (folder / "hold3").touch()         # frame 3 is begun, and not finished while this is there
    begun(folder)                      # [Begun(frame, pid, where)]
"""

import collections
import json
import os
import pathlib
import re
import signal
import struct
import sys
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZE = 16, 12
VERSION = "3.4.1"
Begun = collections.namedtuple("Begun", "frame pid where")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(frame, maker):
    """A PNG of one colour, the frame's own; whose it is stands beside that."""
    rows = (b"\0" + bytes((frame % 256, 255 - frame % 256, 128)) * SIZE[0]) * SIZE[1]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *SIZE, 8, 2, 0, 0, 0)) + chunk(b"tEXt", b"Source\0%010d" % maker) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def shown(content):
    """(frame, maker) of a picture, which is what was made, byte for byte."""
    maker = int(re.search(rb"tEXtSource\0(\d{10})", content)[1])
    at = content.index(b"IDAT")
    frame = zlib.decompress(content[at + 4:at + 4 + struct.unpack(">I", content[at - 4:at])[0]])[1]
    assert content == picture(frame, maker)
    return frame, maker


def make(folder, name, dies=""):
    """The program, which has that folder for its signs."""
    path = folder / name
    path.write_text(f"#!/usr/bin/python3\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests import stand_in\nstand_in.main({str(folder)!r}, {dies!r})\n")
    os.chmod(path, 0o755)
    return path


def begun(folder):
    path = folder / "began"
    return [Begun(*json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def render(folder, dies, frame, output):
    with open(folder / "began", "a", encoding="utf-8") as began:
        began.write(json.dumps([frame, os.getpid(), os.getcwd()]) + "\n")
    print("GANTRY READY", VERSION, flush=True)
    while (folder / f"hold{frame}").exists():
        time.sleep(0.02)
    if dies == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if dies == "words":
        sys.exit("Error: Malloc returns null: len=4294967296 in imbuf, total 8589934592")
    pathlib.Path(output.replace("####", f"{frame:04d}") + ".png").write_bytes(picture(frame, os.getpid()))


def main(folder, dies):
    """As worker/render/engine.c calls Blender, once for each frame or to be kept for several."""
    if "--python-expr" in sys.argv:
        print("Blender", VERSION)
    elif "-f" in sys.argv:
        render(pathlib.Path(folder), dies, int(sys.argv[-1]), sys.argv[sys.argv.index("-o") + 1])
    else:
        for line in sys.stdin:
            wish = json.loads(line)
            render(pathlib.Path(folder), dies, wish["frame"], wish["output"])
            print("GANTRY DONE", wish["token"], flush=True)
