"""Run by Blender (-b --factory-startup -P this -- FOLDER): makes .blend files of many sorts, and beside each a .json with what Blender
itself says of it once it is opened again."""

import json
import pathlib
import struct
import sys
import wave

import bpy

FOLDER = pathlib.Path(sys.argv[sys.argv.index("--") + 1])
FILES = FOLDER / "files"
IMAGES = {"PNG": "png", "JPEG": "jpg", "OPEN_EXR": "exr", "OPEN_EXR_MULTILAYER": "exr", "TIFF": "tif", "TARGA": "tga", "BMP": "bmp",
          "HDR": "hdr", "WEBP": "webp", "FFMPEG": "ffmpeg"}


# ---- files to refer to ----

def material():
    FILES.mkdir(parents=True, exist_ok=True)
    for name in ("wood.png", "tiles.1001.png", "tiles.1002.png", "木.png", "shot_0001.png", "shot_0002.png", "shot_0003.png"):
        image = bpy.data.images.new("x", 4, 4)
        image.filepath_raw = str(FILES / name)
        image.file_format = "PNG"
        image.save()
    with wave.open(str(FILES / "tone.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(struct.pack("<8000h", *range(8000)))
    for name in ("cloud.vdb", "smoke_08.vdb", "smoke_09.vdb", "smoke_10.vdb"):
        (FILES / name).write_bytes(b"no volume")
    (FILES / "sea.abc").write_bytes(b"no cache")
    (FILES / "note.py").write_text("print(1)\n")


def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene


def camera(scene, name):
    thing = bpy.data.objects.new(name, bpy.data.cameras.new(name + "Data"))
    scene.collection.objects.link(thing)
    return thing


# ---- one function a file ----

def plain(scene):
    scene.camera = camera(scene, "Camera")


def numbers(scene):
    scene.frame_start, scene.frame_end, scene.frame_step = -5, 12345, 3
    scene.render.fps, scene.render.fps_base = 30, 1.001
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 4096, 2160, 50
    scene.render.filepath = "//out/frame_####"


def cameras(scene):
    things = [camera(scene, f"Cam{i}") for i in range(5)]
    scene.camera = things[2]
    for i, frame in ((4, 10), (0, 20)):
        scene.timeline_markers.new(f"M{i}", frame=frame).camera = things[i]


def no_camera(scene):
    camera(scene, "Unused")


def image(name, path):
    made = bpy.data.images.load(path, check_existing=False)
    made.name = name
    return made


def images(scene):
    image("wood", "//files/wood.png")
    image("absolute", str(FILES / "wood.png"))
    image("tree", "//files/木.png")
    image("gone", str(FILES / "wood.png")).filepath_raw = "//files/gone.png"
    windows = image("windows", str(FILES / "wood.png"))
    windows.filepath_raw = "C:\\textures\\wood.jpg"
    bpy.data.images.new("generated", 8, 8)


def packed(scene):
    image("inside", "//files/wood.png").pack()
    image("outside", "//files/木.png")


def tiled(scene):
    made = image("tiles", "//files/tiles.1001.png")
    made.source = "TILED"
    made.filepath_raw = "//files/tiles.<UDIM>.png"


def sequence(scene):
    image("shots", "//files/shot_0001.png").source = "SEQUENCE"


def clips(scene):
    bpy.data.movieclips.load(str(FILES / "shot_0001.png")).filepath = "//files/shot_0001.png"


def fonts(scene):
    found = pathlib.Path(bpy.utils.resource_path("LOCAL") or "/").rglob("*.ttf") if bpy.utils.resource_path("LOCAL") else []
    path = next((str(p) for root in ("/usr/share/fonts", "/usr/share/blender") for p in sorted(pathlib.Path(root).rglob("*.ttf"))),
                None) or next((str(p) for p in found), None)
    curve = bpy.data.curves.new("text", "FONT")
    scene.collection.objects.link(bpy.data.objects.new("text", curve))
    if path:
        copy = FILES / "字.ttf"
        copy.write_bytes(pathlib.Path(path).read_bytes())
        curve.font = bpy.data.fonts.load(str(copy))
        curve.font.filepath = "//files/字.ttf"


def sounds(scene):
    bpy.data.sounds.load(str(FILES / "tone.wav")).filepath = "//files/tone.wav"
    editor = scene.sequence_editor_create()
    editor.sequences.new_sound("tone", str(FILES / "tone.wav"), 1, 1)


def strips(scene):
    editor = scene.sequence_editor_create()
    strip = editor.sequences.new_image("shots", str(FILES / "shot_0001.png"), 1, 1)
    strip.elements.append("shot_0002.png")
    strip.elements.append("shot_0003.png")
    meta = editor.sequences.new_meta("meta", 3, 1)
    meta.sequences.new_image("inside", str(FILES / "wood.png"), 1, 5)
    editor.sequences.new_effect("color", "COLOR", 4, 1, frame_end=20)


def volumes(scene):
    volume = bpy.data.volumes.new("cloud")
    volume.filepath = "//files/cloud.vdb"
    scene.collection.objects.link(bpy.data.objects.new("cloud", volume))


def volume_sequence(scene):
    volume = bpy.data.volumes.new("smoke")
    volume.filepath = "//files/smoke_08.vdb"
    volume.is_sequence = True
    scene.collection.objects.link(bpy.data.objects.new("smoke", volume))


def caches(scene):
    mesh = bpy.data.objects.new("mesh", bpy.data.meshes.new("mesh"))
    scene.collection.objects.link(mesh)
    modifier = mesh.modifiers.new("cached", "MESH_CACHE")
    modifier.filepath = "//files/points.pc2"


def fluid(scene):
    mesh = bpy.data.objects.new("domain", bpy.data.meshes.new("domain"))
    scene.collection.objects.link(mesh)
    modifier = mesh.modifiers.new("Fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    modifier.domain_settings.cache_directory = "//cache_fluid"


def scripts(scene):
    bpy.data.texts.load(str(FILES / "note.py")).filepath = "//files/note.py"
    bpy.data.texts.new("inside")


def profile(scene):
    light = bpy.data.lights.new("lamp", "POINT")
    light.use_nodes = True
    node = light.node_tree.nodes.new("ShaderNodeTexIES")
    node.mode = "EXTERNAL"
    node.filepath = "//files/lamp.ies"
    scene.collection.objects.link(bpy.data.objects.new("lamp", light))


def linked(scene):
    with bpy.data.libraries.load(str(FOLDER / "plain.blend"), link=True, relative=False) as (there, here):
        here.objects = ["Camera"]
    scene.collection.objects.link(here.objects[0])
    scene.camera = here.objects[0]
    bpy.data.libraries[0].filepath = "//plain.blend"


def cycles(scene):
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 321
    scene.cycles.max_bounces = 7


def cycles_untouched(scene):
    scene.render.engine = "CYCLES"


def eevee(scene):
    scene.render.engine = "BLENDER_EEVEE"
    scene.eevee.taa_render_samples = 77


def workbench(scene):
    scene.render.engine = "BLENDER_WORKBENCH"


def two_scenes(scene):
    scene.frame_end = 11
    other = bpy.data.scenes.new("Second")
    other.frame_end = 222
    bpy.context.window.scene = other


def unicode_names(scene):
    scene.name = "场景"
    scene.camera = camera(scene, "相机")


def many(scene):
    for i in range(300):
        scene.collection.objects.link(bpy.data.objects.new(f"Object{i}", bpy.data.meshes.new(f"Mesh{i}")))
    for i in range(40):
        image(f"image{i}", str(FILES / "wood.png")).filepath_raw = f"//files/many_{i}.png"


def format_of(name):
    def make(scene):
        scene.render.image_settings.file_format = name
    make.__name__ = "format_" + name.lower()
    return make


KINDS = [plain, numbers, cameras, no_camera, images, packed, tiled, sequence, clips, fonts, sounds, strips, volumes, volume_sequence, caches, fluid, scripts, profile,
         linked, cycles, cycles_untouched, eevee, workbench, two_scenes, unicode_names, many, *map(format_of, IMAGES)]


# ---- what Blender says ----

def sampling(scene):
    if scene.render.engine == "CYCLES":
        return {"samples": scene.cycles.samples}
    return {"samples": scene.eevee.taa_render_samples} if scene.render.engine == "BLENDER_EEVEE" else {}


def unpacked_paths():
    """What bpy.utils.blend_paths says, as a set; some Blenders name a packed file all the same."""
    inside = {i.filepath for i in bpy.data.images if i.packed_file}
    return sorted({p for p in bpy.utils.blend_paths(absolute=False, packed=False, local=True) if p and p not in inside})


def sequences():
    things = [*bpy.data.images, *bpy.data.movieclips, *bpy.data.volumes]
    return [t.filepath for t in things if getattr(t, "source", "") == "SEQUENCE" or getattr(t, "is_sequence", False)]


def said():
    scene = bpy.context.scene
    rendered = ([scene.camera.name] if scene.camera else []) + [m.camera.name for m in scene.timeline_markers if m.camera]
    return {
        "version": "%d.%d" % bpy.data.version[:2],
        "scene": scene.name,
        "renderer": scene.render.engine.lower().removeprefix("blender_"),
        "start_frame": scene.frame_start, "end_frame": scene.frame_end, "frame_step": scene.frame_step,
        "fps": scene.render.fps / scene.render.fps_base,
        "width": scene.render.resolution_x, "height": scene.render.resolution_y,
        "resolution_percentage": scene.render.resolution_percentage,
        "image_format": IMAGES[scene.render.image_settings.file_format],
        "output": scene.render.filepath,
        "render_camera": list(dict.fromkeys(rendered)),
        "cameras": sorted(o.name for o in bpy.data.objects if o.type == "CAMERA" and not o.library),
        "sampling": sampling(scene),
        "paths": unpacked_paths(),
        "sequences": sequences(),
        "packed": sorted(i.filepath for i in bpy.data.images if i.packed_file),
    }


def make(kind, name, compress):
    path = FOLDER / f"{name}.blend"
    empty()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))  # so that // means something
    kind(bpy.context.scene)
    for things in (bpy.data.images, bpy.data.sounds, bpy.data.texts, bpy.data.cache_files, bpy.data.movieclips):
        for thing in things:
            thing.use_fake_user = True  # what nothing uses is not saved
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=compress, relative_remap=False)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    (FOLDER / f"{name}.json").write_text(json.dumps(said()))


def main():
    material()
    for kind in KINDS:
        make(kind, kind.__name__, compress=False)
    for kind in (numbers, images, strips, many):
        make(kind, kind.__name__ + "_zstd", compress=True)
    print("MADE", len(KINDS) + 4)


main()
