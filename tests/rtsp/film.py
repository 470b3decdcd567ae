"""Films that test servers send: made once by ffmpeg, cut into what goes into a packet stream."""

import base64
import functools
import math
import pathlib
import subprocess
import tempfile

FRAMES = 25  # a second
KEYS = 12  # frames from key frame to key frame


def units(data):
    """The NAL units of an Annex B stream."""
    starts = []
    at = data.find(b"\0\0\1")
    while at >= 0:
        starts.append(at + 3)
        at = data.find(b"\0\0\1", at + 3)
    for begin, end in zip(starts, [*(start - 3 for start in starts[1:]), len(data)]):
        yield data[begin:end].rstrip(b"\0")


class Film:
    """frames: a list of lists of NAL units; a frame each. It is repeated as long as somebody looks."""

    def __init__(self, codec, frames, headers):
        self.codec, self.frames, self.headers = codec, frames, headers

    def sdp(self):
        sets = [base64.b64encode(unit).decode() for unit in self.headers]
        if self.codec == "h264":
            return f"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={','.join(sets)}\r\n"
        return f"a=rtpmap:96 H265/90000\r\na=fmtp:96 sprop-vps={sets[0]};sprop-sps={sets[1]};sprop-pps={sets[2]}\r\n"

    def kind(self, unit):
        return unit[0] & 31 if self.codec == "h264" else unit[0] >> 1 & 63

    def is_key(self, frame):
        keys = (5,) if self.codec == "h264" else range(16, 22)
        return any(self.kind(unit) in keys for unit in self.frames[frame % len(self.frames)])

    def payloads(self, frame, most=1300):
        """What goes into packets, and whether it is a frame's last."""
        parts = []
        for unit in self.frames[frame % len(self.frames)]:
            parts += [unit] if len(unit) <= most else self.fragments(unit, most)
        return [(part, part is parts[-1]) for part in parts]

    def fragments(self, unit, most):
        head = 1 if self.codec == "h264" else 2
        kind, body = self.kind(unit), unit[head:]
        for at in range(0, len(body), most):
            mark = (0x80 if at == 0 else 0) | (0x40 if at + most >= len(body) else 0) | kind
            lead = bytes([unit[0] & 0xE0 | 28, mark]) if self.codec == "h264" else bytes([unit[0] & 0x81 | 49 << 1, unit[1], mark])
            yield lead + body[at:at + most]


@functools.lru_cache(maxsize=None)
def film(codec="h264", size="320x180"):
    encoder = {"h264": ["libx264", "-x264-params", f"aud=1:slices=1:sliced-threads=0:keyint={KEYS}:scenecut=0"],
               "h265": ["libx265", "-x265-params", f"aud=1:slices=1:keyint={KEYS}:scenecut=0:bframes=0:log-level=none"]}[codec]
    raw = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FRAMES}", "-t", "1.92", "-pix_fmt", "yuv420p",
                          "-c:v", *encoder, "-bf", "0", "-preset", "ultrafast", "-f", {"h264": "h264", "h265": "hevc"}[codec], "-"],
                         check=True, capture_output=True, timeout=600).stdout
    delimiter, sets = (9, (7, 8)) if codec == "h264" else (35, (32, 33, 34))
    whole = Film(codec, [], [])
    seen = {}
    for unit in units(raw):
        kind = whole.kind(unit)
        if kind == delimiter:
            whole.frames.append([])
            continue
        if kind in sets:
            seen.setdefault(kind, unit)
        whole.frames[-1].append(unit)
    whole.headers = [seen[kind] for kind in sets]
    assert len(whole.frames) == 48, len(whole.frames)
    return whole


def tone(law, start, count):
    """Samples of G.711 (pcma, pcmu): a tone of 400 Hz at 8000 Hz."""
    return bytes(encode(law, int(8000 * math.sin(2 * math.pi * 400 * sample / 8000))) for sample in range(start, start + count))


def encode(law, value):
    sign, value = (0x80, value) if value >= 0 else (0, -value)
    if law == "pcmu":
        value = min(value, 32635) + 132
        exponent = max(value.bit_length() - 8, 0)
        return ~((0 if sign else 0x80) | exponent << 4 | value >> exponent + 3 & 15) & 0xFF
    value = min(value, 32767) >> 4
    exponent = max(value.bit_length() - 5, 0)
    low = value & 15 if exponent == 0 else value >> exponent & 15
    exponent += value >= 16
    low = low if exponent < 2 else value >> exponent - 1 & 15
    return (sign | exponent << 4 | low) ^ 0x55


def look(path, *entries):
    """What ffprobe says of a file, as {stream type: {entry: value}}."""
    out = subprocess.run(["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_type,codec_name,nb_read_packets,duration,width,height",
                          "-of", "compact=p=0", str(path)], check=True, capture_output=True, text=True, timeout=120).stdout
    rows = [dict(pair.split("=", 1) for pair in line.split("|")) for line in out.splitlines() if line]
    return {row["codec_type"]: row for row in rows}


def decode_faults(path):
    """What ffmpeg has to say while it decodes all of a file."""
    return subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-enc_time_base", "1:90000", "-f", "null", "-"], check=False, capture_output=True, text=True,
                          timeout=120).stderr


def scratch():
    return pathlib.Path(tempfile.mkdtemp(prefix="gantry-rtsp-"))
