"""Real videos of all sorts, made with ffmpeg once a process: four seconds each, small."""

import functools
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile

PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4"]
TONE = ["-f", "lavfi", "-i", "sine=frequency=440:duration=4"]
LOW = ["-f", "lavfi", "-i", "sine=frequency=220:duration=4"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast"]
HEVC = ["-c:v", "libx265", "-preset", "ultrafast"]
QUIET = "log-level=none"
HDR10 = (f"{QUIET}:hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
         "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400")
SUBTITLES = "1\n00:00:00,500 --> 00:00:01,500\nhello\n\n2\n00:00:02,000 --> 00:00:03,000\nworld\n"
CHAPTERS = (";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=One\n"
            "[CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=4000\ntitle=Two\n")

MAKE = {
    "h264.mp4": [*PICTURE, *TONE, *H264, "-crf", "10", "-c:a", "aac"],
    "hevc.mkv": [*PICTURE, *TONE, *HEVC, "-x265-params", QUIET, "-c:a", "aac"],
    "hevc.mp4": [*PICTURE, *HEVC, "-x265-params", QUIET, "-tag:v", "hvc1"],
    "av1.webm": [*PICTURE, "-c:v", "libsvtav1", "-preset", "12"],
    "hdr10.mkv": [*PICTURE, "-pix_fmt", "yuv420p10le", *HEVC, "-x265-params", HDR10],
    "vfr.mkv": [*PICTURE, "-vf", "select='not(mod(n,3))+lt(n,40)'", "-vsync", "vfr", *H264],
    "multi.mkv": [*PICTURE, *TONE, *LOW, "-i", "{folder}/s.srt", "-i", "{folder}/chapters.txt", "-map", "0", "-map", "1", "-map", "2", "-map", "3",
                  "-map_metadata", "4", *H264, "-crf", "10", "-c:a:0", "aac", "-c:a:1", "ac3", "-c:s", "srt", "-metadata:s:a:0", "language=eng",
                  "-metadata:s:a:1", "language=chi", "-metadata:s:a:1", "title=第二"],
    "wide.mp4": ["-f", "lavfi", "-i", "color=size=3840x1920:rate=5:duration=1", *H264],
    "sound.m4a": [*TONE, "-c:a", "aac"],
}


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], check=True, stderr=subprocess.DEVNULL, timeout=300)


def box(kind, *content):
    """A box of an MP4 file."""
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


FULL = bytes(4)  # version and flags
DOLBY_VISION = box(b"dvvC", bytes([1, 0, 0x10, 0x0D, 0x10]), bytes(19))  # profile 8.1
SPHERE = box(b"sv3d", box(b"svhd", FULL, b"tests\0"), box(b"proj", box(b"prhd", FULL, bytes(12)), box(b"equi", FULL, bytes(16))))
# ITU-T T.35 of ST 2094-40, as a message (SEI) of HEVC before the first slice: one window, its three maxima, an average, and no more.
DYNAMIC = (("10110101", 8), (0x3C, 16), (1, 16), (4, 8), (1, 8), (1, 2), (0x5555555, 27), (0, 1), (0x15555, 17), (0x15555, 17), (0x15555, 17),
           (0x15555, 17), (0, 4), (0x155, 10), (0, 1), (0, 1), (0, 1))


def hdr10_plus(stream):
    """A stream of HEVC units with start codes, with that in its first frame."""
    bits = "".join(value if isinstance(value, str) else f"{value:0{size}b}" for value, size in DYNAMIC)
    payload = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8), "big")
    message = b"\0\0\1" + bytes([39 << 1, 1, 4, len(payload)]) + payload + b"\x80"
    at = next(at for at in range(len(stream)) if stream[at:at + 3] == b"\0\0\1" and 16 <= stream[at + 3] >> 1 <= 21)
    return stream[:at] + message + stream[at:]


def with_box(data, entry, extra):
    """An MP4 file whose moov is at its end, with a box more in its sample entry of this kind: all that are around it grow."""
    data = bytearray(data)
    at, chain = 0, []
    for kind, head in ((b"moov", 8), (b"trak", 8), (b"mdia", 8), (b"minf", 8), (b"stbl", 8), (b"stsd", 16), (entry, 0)):
        while data[at + 4:at + 8] != kind:
            at += struct.unpack(">I", data[at:at + 4])[0]
        chain.append(at)
        at += head
    end = chain[-1] + struct.unpack(">I", data[chain[-1]:chain[-1] + 4])[0]
    for place in chain:
        data[place:place + 4] = struct.pack(">I", struct.unpack(">I", data[place:place + 4])[0] + len(extra))
    return bytes(data[:end] + extra + data[end:])


@functools.cache
def folder():
    """Where they are made; goes with the process."""
    holder = tempfile.TemporaryDirectory(prefix="gantry-videos-")
    folder.holder = holder
    path = pathlib.Path(holder.name)
    (path / "s.srt").write_text(SUBTITLES)
    (path / "chapters.txt").write_text(CHAPTERS)
    return path


@functools.cache
def video(name):
    """The path of one of MAKE, of one with Dolby Vision, with HDR10+ or for VR (dolby.mp4, hdr10plus.mkv, sphere.mp4), or of a broken one: cut.mp4, noise.mkv, list.mp4, empty.mp4."""
    path = folder() / name
    if name == "cut.mp4":
        path.write_bytes(video("h264.mp4").read_bytes()[:30000])
    elif name == "noise.mkv":
        path.write_bytes(random.Random(7).randbytes(100000))
    elif name == "list.mp4":
        path.write_text("#EXTM3U\n#EXTINF:10,\n/etc/passwd\n")
    elif name == "dolby.mp4":
        path.write_bytes(with_box(video("hevc.mp4").read_bytes(), b"hvc1", DOLBY_VISION))
    elif name == "hdr10plus.mkv":
        ffmpeg("-i", str(video("hdr10.mkv")), "-c", "copy", "-f", "hevc", str(folder() / "plain.hevc"))
        (folder() / "plus.hevc").write_bytes(hdr10_plus((folder() / "plain.hevc").read_bytes()))
        ffmpeg("-r", "25", "-i", str(folder() / "plus.hevc"), "-c", "copy", "-bsf:v", "setts=ts=N", str(path))
    elif name == "sphere.mp4":
        path.write_bytes(with_box(video("h264.mp4").read_bytes(), b"avc1", SPHERE))
    elif name == "empty.mp4":
        path.write_bytes(b"")
    else:
        ffmpeg(*[word.format(folder=folder()) if word.startswith("{") else word for word in MAKE[name]], str(path))
    return path


def put(name, where):
    """A copy of a video at this path."""
    where = pathlib.Path(where)
    where.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(video(name), where)
    return where
