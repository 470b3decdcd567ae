"""Scene files written from the descriptions of their formats, without the programs: for what those cannot write any more, or not yet, and for
what nobody should.

    python3 -m tests.scene.tiny    writes the corpus of the fuzz targets
"""

import gzip
import json
import pathlib
import re
import struct

# ---- Blender ----

SIZES = {"char": 1, "uchar": 1, "short": 2, "int": 4, "float": 4, "double": 8, "int64_t": 8, "void": 0}
CODES = {"char": "b", "short": "h", "int": "i", "float": "f", "double": "d", "int64_t": "q"}
ID = [("void", "*next"), ("char", "name[66]"), ("char", "_pad[6]"), ("IDProperty", "*properties")]
STRUCTS = {
    "ListBase": [("void", "*first"), ("void", "*last")],
    "ID": ID,
    "IDPropertyData": [("void", "*pointer"), ("ListBase", "group"), ("int", "val"), ("int", "val2")],
    "IDProperty": [("IDProperty", "*next"), ("IDProperty", "*prev"), ("char", "type"), ("char", "subtype"), ("short", "flag"), ("char", "name[64]"),
                   ("int", "saved"), ("IDPropertyData", "data")],
    "ImageFormatData": [("char", "imtype"), ("char", "depth"), ("char", "_pad[6]")],
    "RenderData": [("ImageFormatData", "im_format"), ("int", "sfra"), ("int", "efra"), ("int", "frame_step"), ("int", "xsch"), ("int", "ysch"),
                   ("short", "size"), ("short", "frs_sec"), ("float", "frs_sec_base"), ("char", "engine[32]"), ("char", "pic[1024]")],
    "Scene": [("ID", "id"), ("Object", "*camera"), ("RenderData", "r"), ("ListBase", "markers"), ("float", "matrix[4][4]"), ("void", "(*call)()")],
    "TimeMarker": [("TimeMarker", "*next"), ("TimeMarker", "*prev"), ("int", "frame"), ("char", "name[64]"), ("Object", "*camera")],
    "Object": [("ID", "id"), ("short", "type"), ("char", "_pad[6]")],
    "Image": [("ID", "id"), ("char", "name[1024]"), ("void", "*packedfile"), ("short", "source"), ("char", "_pad[6]")],
    "Library": [("ID", "id"), ("char", "name[1024]"), ("char", "filepath[1024]")],
    "Sequence": [("Sequence", "*next"), ("Sequence", "*prev"), ("char", "name[64]"), ("int", "type"), ("Strip", "*strip")],
    "Strip": [("StripElem", "*stripdata"), ("char", "dir[768]")],
    "StripElem": [("char", "name[256]")],
    "FileGlobal": [("Scene", "*curscene")],
}


class Blend:
    """One file: blocks are added, and bytes() is it. New headers are those of 5.0."""

    def __init__(self, version=304, pointer=8, big=False, large=False, structs=None):
        self.version, self.pointer, self.large = version, pointer, large
        self.order = ">" if big else "<"
        self.structs = structs or STRUCTS
        self.blocks, self.numbers = [], {name: i for i, name in enumerate(self.structs)}

    def number(self, code, value):
        return struct.pack(self.order + code, value)

    def address(self, value):
        return self.number("Q" if self.pointer == 8 else "I", value)

    def size_of(self, name):
        return SIZES[name] if name in SIZES else sum(self.field(*f)[0] for f in self.structs[name])

    def field(self, kind, name):
        """Bytes of a field, elements, and its plain name."""
        count = 1
        for part in re.findall(r"\[(\d+)\]", name):
            count *= int(part)
        each = self.pointer if name[0] in "*(" else self.size_of(kind)
        return each * count, count, re.sub(r"[*()]|\[.*", "", name)

    def pack(self, name, values):
        out = b""
        for kind, title in self.structs[name]:
            size, _, plain = self.field(kind, title)
            value = values.get(plain)
            if value is None:
                out += bytes(size)
            elif title[0] in "*(":
                out += self.address(value)
            elif kind == "char" and isinstance(value, (str, bytes)):
                out += (value if isinstance(value, bytes) else value.encode())[:size].ljust(size, b"\0")
            elif kind in CODES:
                out += self.number(CODES[kind], value)
            else:
                out += self.pack(kind, value)
        return out

    def code(self, text):
        if len(text) == 2 and self.order == ">":
            return b"\0\0" + text.encode()
        return text.encode().ljust(4, b"\0")

    def raw(self, code, data, old=0, number=0, count=1, length=None):
        length = len(data) if length is None else length
        if self.large:
            head = self.code(code) + self.number("i", number) + self.number("Q", old) + self.number("q", length) + self.number("q", count)
        else:
            head = self.code(code) + self.number("I", length) + self.address(old) + self.number("I", number) + self.number("I", count)
        self.blocks.append(head + data)
        return self

    def add(self, code, kind, old, /, **values):
        return self.raw(code, self.pack(kind, values), old, self.numbers[kind])

    def dna(self):
        types = list(SIZES) + list(self.structs)
        names = list(dict.fromkeys(n for fields in self.structs.values() for _, n in fields))
        out = b"SDNA" + b"NAME" + self.number("I", len(names)) + b"".join(n.encode() + b"\0" for n in names)
        out = out.ljust((len(out) + 3) // 4 * 4, b"\0") + b"TYPE" + self.number("I", len(types)) + b"".join(t.encode() + b"\0" for t in types)
        out = out.ljust((len(out) + 3) // 4 * 4, b"\0") + b"TLEN" + b"".join(self.number("H", self.size_of(t) & 0xffff) for t in types)
        out = out.ljust((len(out) + 3) // 4 * 4, b"\0") + b"STRC" + self.number("I", len(self.structs))
        for name, fields in self.structs.items():
            out += self.number("H", types.index(name)) + self.number("H", len(fields))
            out += b"".join(self.number("H", types.index(t)) + self.number("H", names.index(n)) for t, n in fields)
        return out

    def head(self):
        if self.large:
            return b"BLENDER17-01v%04d" % self.version
        return b"BLENDER" + (b"-" if self.pointer == 8 else b"_") + (b"V" if self.order == ">" else b"v") + b"%03d" % self.version

    def bytes(self, dna=None, end=True):
        before = self.blocks[:]
        self.raw("DNA1", self.dna() if dna is None else dna)
        if end:
            self.raw("ENDB", b"")
        out, self.blocks = self.head() + b"".join(self.blocks), before
        return out


def blend(**more):
    """A file with one of each thing."""
    file = Blend(**more)
    file.add("GLOB", "FileGlobal", 0x10, curscene=0x200)
    file.add("SC", "Scene", 0x100, id={"name": "SCFirst"})
    file.add("SC", "Scene", 0x200, id={"name": "SCShot 7", "properties": 0x300}, camera=0x500, markers={"first": 0x210, "last": 0x210},
             r={"im_format": {"imtype": 23}, "sfra": -3, "efra": 77, "frame_step": 2, "xsch": 2048, "ysch": 1152, "size": 50, "frs_sec": 25,
                "frs_sec_base": 1.0, "engine": "CYCLES", "pic": "//out/####"})
    file.add("DATA", "TimeMarker", 0x210, next=0x210, camera=0x510)  # a ring
    file.add("DATA", "IDProperty", 0x300, type=6, data={"group": {"first": 0x310, "last": 0x310}})
    file.add("DATA", "IDProperty", 0x310, type=6, name="cycles", data={"group": {"first": 0x320, "last": 0x320}})
    file.add("DATA", "IDProperty", 0x320, type=1, name="samples", data={"val": 123})
    file.add("DATA", "Sequence", 0x400, name="SQfilm", type=3, strip=0x410)
    file.add("DATA", "Strip", 0x410, stripdata=0x420, dir="//clips/")
    file.add("DATA", "StripElem", 0x420, name="a.mp4")
    file.add("OB", "Object", 0x500, id={"name": "OBCamera"}, type=11)
    file.add("OB", "Object", 0x510, id={"name": "OB相机"}, type=11)
    file.add("OB", "Object", 0x520, id={"name": "OBCube"}, type=1)
    file.add("IM", "Image", 0x600, id={"name": "IMwood"}, name="//tex/wood.png", source=1)
    file.add("IM", "Image", 0x610, id={"name": "IMpacked"}, name="//tex/in.png", source=1, packedfile=0x999)
    file.add("IM", "Image", 0x620, id={"name": "IMmade"}, name="//tex/made.png", source=4)
    file.add("ME", "Object", 0x700, id={"name": "MEmesh"})
    file.raw("DATA", bytes(100), 0x710)
    file.add("LI", "Library", 0x800, id={"name": "LIlib"}, name="//lib.blend", filepath="/abs/lib.blend")
    return file


def large_of(old):
    """A file of today's headers (12 bytes, little-endian, 8 bytes a pointer) with those of 5.0 in their place."""
    out, at = b"BLENDER17-01v0500", 12
    while at < len(old):
        code, length, address, number, count = struct.unpack_from("<4sIQII", old, at)
        out += struct.pack("<4siQqq", code, number, address, length, count) + old[at + 24:at + 24 + length]
        at += 24 + length
    return out


# ---- Maya binary ----

class Iff:
    def __init__(self, wide):
        self.wide, self.unit = wide, 8 if wide else 4

    def chunk(self, tag, data, length=None):
        length = len(data) if length is None else length
        head = tag + (bytes(4) + struct.pack(">Q", length) if self.wide else struct.pack(">I", length))
        return head + data.ljust((len(data) + self.unit - 1) // self.unit * self.unit, b"\0")

    def group(self, kind, *chunks):
        return self.chunk(b"FOR8" if self.wide else b"FOR4", kind.ljust(self.unit, b"\0") + b"".join(chunks))

    def text(self, name, value):
        return self.chunk(b"STR ", name.encode() + b"\0\0" + value.encode() + b"\0")

    def real(self, name, value):
        return self.chunk(b"DBLE", name.encode() + b"\0\0" + struct.pack(">d", value))

    def node(self, kind, name, *attributes):
        return self.group(kind, self.chunk(b"CREA", b"\1" + name.encode() + b"\0"), *attributes)

    def select(self, name, *attributes):
        return self.group(b"SLCT", self.chunk(b"SLCT", b"\1" + name.encode() + b"\0"), *attributes)


def maya_binary(wide=True):
    iff = Iff(wide)
    return iff.group(
        b"Maya",
        iff.group(b"HEAD", iff.chunk(b"VERS", b"2022\0"), iff.chunk(b"PLUG", b"mtoa\0" b"5.0\0"), iff.chunk(b"TUNI", b"film\0")),
        iff.group(b"FREF", iff.chunk(b"FREF", b"C:/refs/char.mb{1}\0")),
        iff.node(b"DCAM", "shotCamShape"),
        iff.node(b"DCAM", "sideShape", iff.real("rnd", 0)),
        iff.node(b"RTFT", "file1", iff.text("ftn", "sourceimages/wood.jpg")),
        iff.node(b"XXXX", "abc1", iff.text("fn", "caches/sea.abc"), iff.text("fn", "word")),
        iff.group(b"DMSH", iff.chunk(b"CREA", b"\1meshShape\0"), iff.chunk(b"MESH", bytes(20000))),
        iff.select(":defaultRenderGlobals", iff.text("ren", "arnold"), iff.real("fs", 3), iff.real("ef", 9), iff.real("outf", 40)),
        iff.select(":defaultResolution", iff.real("w", 1280), iff.real("h", 720)))


# ---- Unreal ----

def fstring(text):
    if text.isascii():
        return struct.pack("<i", len(text) + 1) + text.encode() + b"\0"
    wide = text.encode("utf-16-le")
    return struct.pack("<i", -(len(wide) // 2 + 1)) + wide + b"\0\0"


UMAP_NAMES = ["None", "/Script/Engine", "/Engine/BasicShapes/Cube", "/Game/Props/Chair", "/Game/Maps/Level.Level", "/Foliage/Trees/Oak", "Ünïcode",
              "/Game/Props/Chair"]


def umap(names=None, legacy=-8, ue4=522, ue5=1009, count=None, at=None):
    names = UMAP_NAMES if names is None else names
    head = struct.pack("<Iiiii", 0x9E2A83C1, legacy, 864, ue4, ue5) if legacy <= -8 else struct.pack("<Iiii", 0x9E2A83C1, legacy, 864, ue4)
    head += struct.pack("<i", 0)
    if ue5 >= 1016:
        head += bytes(24)
    head += struct.pack("<i", 1) + bytes(20)
    if ue5 < 1016:
        head += struct.pack("<i", 4096)
    head += fstring("None") + struct.pack("<I", 0)
    place = len(head) + 8 + 100
    head += struct.pack("<ii", len(names) if count is None else count, place if at is None else at)
    return head + bytes(100) + b"".join(fstring(n) + bytes(4) for n in names)


UPROJECT = {"FileVersion": 3, "EngineAssociation": "5.3", "Plugins": [{"Name": "MovieRenderPipeline", "Enabled": True}, {"Name": "Off", "Enabled": False}],
            "AdditionalPluginDirectories": ["../Shared"]}


# ---- Maya ASCII ----

MAYA = '''//Maya ASCII 2024 scene
//Name: wolf.ma
//Codeset: 936
/* a "long; comment */
file -rdi 1 -ns "char" -rfn "charRN" -op "v=0;" -typ "mayaAscii" "C:/proj/char.ma";
file -r -ns "char" -dr 1 -rfn "charRN" -op "v=0;" -typ "mayaAscii" "C:/proj/char.ma{1}";
requires maya "2024";
requires -nodeType "aiOptions" -dataType "x" "mtoa" "5.3.1";
requires "stereoCamera" "10.0";
currentUnit -l centimeter -a degree -t pal;
fileInfo "application" "maya";
createNode camera -s -n "perspShape" -p "persp";
\tsetAttr -k off ".v" no;
\tsetAttr ".rnd" no;
createNode camera -n "cameraShape1" -p "camera1";
\tsetAttr -k off ".v";
createNode mesh -n "m";
\tsetAttr -s 3 ".vt[0:2]"  0 0 0 1 1 1 2 2 2;
\tsetAttr ".ftn" -type "string" "not_of_a_file_node.jpg";
createNode file -n "file1";
\trename -uid "AAAA";
\tsetAttr ".ftn" -type "string" "C:/textures/wood.jpg";
createNode file -n "file2";
\tsetAttr ".ftn" -type "string" "sourceimages/t.<UDIM>.exr";
createNode file -n "file3";
\tsetAttr ".ftn" -type "string" "Y:\\\\Render_Test\\\\mis;sing\\".jpg";
createNode AlembicNode -n "abc1";
\tsetAttr ".fns[0]" -type "string" (
\t\t"D:/ca"
\t\t+ "che.abc");
createNode reference -n "charRN";
\tsetAttr ".fn[0]" -type "string" "C:/proj/char.ma";
\tsetAttr ".ed" -type "dataReferenceEdits"
\t\t"charRN"
\t\t"charRN" 3
\t\t2 "|char:root" "visibility" " 1"
\t\t2 "char:skin" "fileTextureName" " -type \\"string\\" \\"C:/proj/skin v2.jpg\\""
\t\t2 "char:skin" "ftn" " -type \\"string\\" \\"\\"";
createNode gpuCache -n "gpu1";
\tsetAttr ".cfn" -type "string" "";
createNode audio -n "sound1";
\tsetAttr ".f" -type "string" "sound/a.wav";
createNode imagePlane -n "plane1";
\tsetAttr ".imn" -type "string" "//sourceimages/plate.####.jpg";
createNode aiStandIn -n "proxy1";
\tsetAttr ".dso" -type "string" "$ASSETS/tree.ass";
select -ne :defaultRenderGlobals;
\tsetAttr ".ren" -type "string" "arnold";
\tsetAttr ".outf" 51;
\tsetAttr ".imfkey" -type "string" "exr";
\tsetAttr ".ifp" -type "string" "<Scene>/shot";
\tsetAttr ".fs" 1;
\tsetAttr -av ".ef" 100;
select -ne :defaultResolution;
\tsetAttr ".w" 2048;
\tsetAttr ".h" 1152;
createNode aiOptions -s -n "defaultArnoldRenderOptions";
\tsetAttr ".AASamples" 7;
\tsetAttr ".GI_diffuse_samples" 5;
\tsetAttr ".GISpecularSamples" 5;
// End of wolf.ma
'''


def corpus():
    """{name of a fuzz target: {name of a file: bytes}}"""
    return {
        "blend": {
            "old": blend().bytes(), "four_bytes": blend(pointer=4).bytes(), "big": blend(big=True).bytes(),
            "big_four": blend(pointer=4, big=True).bytes(), "new": blend(version=500, large=True).bytes(), "gzip": gzip.compress(blend().bytes(), mtime=0),
            "cut": blend().bytes()[:5000], "no_dna": blend().bytes(dna=b"SDNA"),
        },
        "maya_ascii": {"all": MAYA.encode(), "gzip": gzip.compress(MAYA.encode(), mtime=0), "gbk": MAYA.replace("wood", "木头").encode("gbk"),
                       "open_quote": MAYA.encode()[:700], "comment": b"/* *", "slash": b"/", "escapes": b'file -r "\\\\\\";\\'},
        "maya_binary": {"wide": maya_binary(True), "narrow": maya_binary(False), "cut": maya_binary(True)[:300],
                        "deep": Iff(False).group(b"Maya", Iff(False).chunk(b"FOR4", b"HEAD", 0x7fffffff))},
        "unreal": {"umap": umap(), "ue4": umap(legacy=-7, ue5=0), "newest": umap(legacy=-9, ue5=1016), "uproject": json.dumps(UPROJECT).encode()},
    }


def regressions():
    """The same of files that nobody should write."""
    ring = blend().add("DATA", "IDProperty", 0x310, next=0x310, type=6, name="x", data={"group": {"first": 0x310}})
    lying = Blend().raw("SC", b"x" * 50, 1, 0, length=0x7fffffff)
    dna = blend().dna()
    deep = b""
    for _ in range(40):
        deep = Iff(False).group(b"NODE", deep)
    return {
        "blend": {"ring": ring.bytes(), "lying_length": lying.bytes(), "huge_dna": blend().bytes(dna=dna[:8] + b"\xff\xff\xff\x7f" + dna[12:]),
                  "header": b"BLENDER17-02v0500"},
        "maya_ascii": {"bomb": gzip.compress(b"\n" * (4 << 20), mtime=0), "quotes": b'"' * 5000 + b'\\' * 5000, "no_end": b'setAttr ".ftn" -type "string" (' * 50},
        "maya_binary": {"deep_groups": Iff(False).group(b"Maya", deep), "short_group": Iff(True).chunk(b"FOR8", b"")},
        "unreal": {"names": umap(count=0x3d0900), "back": umap(at=5), "arrays": b"[" * 3000},
    }


def main():
    folder = pathlib.Path(__file__).resolve().parents[1] / "fuzz"
    for kind, targets in (("corpus", corpus()), ("regressions", regressions())):
        for target, files in targets.items():
            for name, data in files.items():
                path = folder / kind / target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


if __name__ == "__main__":
    main()
