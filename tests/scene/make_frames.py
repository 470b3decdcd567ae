"""Run by Blender (-b --factory-startup -P this -- FOLDER): makes small scenes to be rendered, with what they refer to."""

import pathlib
import sys

import bpy

FOLDER = pathlib.Path(sys.argv[sys.argv.index("--") + 1])


def image(path, colour, kind="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = bpy.data.images.new("x", 4, 4)
    picture.pixels = [*colour, 1.0] * 16
    picture.filepath_raw = str(path)
    picture.file_format = kind
    picture.save()
    bpy.data.images.remove(picture)


def small():
    """The default scene, which asks for a denoiser, in 64x48 and one sample."""
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 48, 100
    return scene


def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / name), compress=name == "black.blend", relative_remap=name not in ("wood.blend", "both.blend", "shot/sequence.blend"))


def glow(node_tree, source):
    """Nothing but the picture is to be seen."""
    nodes = node_tree.nodes
    nodes.clear()
    out, emission, texture = (nodes.new("ShaderNode" + kind) for kind in ("OutputMaterial", "Emission", "TexImage"))
    texture.image = bpy.data.images.new("wood", 4, 4)
    texture.image.source = "FILE"
    texture.image.filepath = source
    node_tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    node_tree.links.new(emission.outputs["Emission"], out.inputs["Surface"])


def halves(left, right):
    """One picture on the left, another on the right, and nothing else."""
    for thing in list(bpy.data.objects):
        bpy.data.objects.remove(thing)
    for place, source in ((-1, left), (1, right)):
        bpy.ops.mesh.primitive_plane_add(size=2, location=(place, 0, 0))
        material = bpy.data.materials.new("half")
        material.use_nodes = True
        bpy.context.object.data.materials.append(material)
        glow(material.node_tree, source)
    camera = bpy.data.cameras.new("camera")
    camera.type, camera.ortho_scale = "ORTHO", 2
    above = bpy.data.objects.new("camera", camera)
    above.location = (0, 0, 5)
    bpy.context.scene.collection.objects.link(above)
    bpy.context.scene.camera = above


def sequences():
    """Two of them, red, green and blue one behind the other: one beside the scene, one of a drive of Windows."""
    colours = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    for at, colour in enumerate(colours):
        image(FOLDER / f"shot/seq/sea_{at + 1:04d}.png", colour)
        image(FOLDER / f"shot/C/sea/w{at + 1}.png", colours[(at + 1) % 3])
    small().view_settings.view_transform = "Standard"
    halves("//seq/sea_0001.png", "C:\\sea\\w1.png")
    for thing in bpy.data.objects:
        for node in thing.active_material.node_tree.nodes if thing.type == "MESH" else ():
            if node.type == "TEX_IMAGE":
                node.image.source = "SEQUENCE"
                node.image_user.frame_start, node.image_user.frame_duration, node.image_user.use_auto_refresh = 1, 3, True
    save("shot/sequence.blend")


def moving():
    """All that a frame could have of another one: noise that is other noise in each, blur between two, settings and nodes that change."""
    scene = small()
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_animated_seed = 2, False, True
    scene.render.use_motion_blur, scene.render.use_persistent_data = True, True
    scene.frame_current = 3
    cube = bpy.data.objects["Cube"]
    for frame, place in ((1, 0.0), (6, 2.0)):
        cube.location.x = cube.rotation_euler.z = place
        cube.keyframe_insert("location", frame=frame)
        cube.keyframe_insert("rotation_euler", frame=frame)
        scene.view_settings.exposure = place / 4
        scene.view_settings.keyframe_insert("exposure", frame=frame)
    scene.use_nodes = True
    layers, out = (next(node for node in scene.node_tree.nodes if node.type == kind) for kind in ("R_LAYERS", "COMPOSITE"))
    turn = scene.node_tree.nodes.new("CompositorNodeHueSat")
    scene.node_tree.links.new(layers.outputs["Image"], turn.inputs["Image"])
    scene.node_tree.links.new(turn.outputs["Image"], out.inputs["Image"])
    for frame, hue in ((1, 0.3), (6, 0.8)):
        turn.inputs["Hue"].default_value = hue
        turn.inputs["Hue"].keyframe_insert("default_value", frame=frame)
    save("moving.blend")
    cloth = cube.modifiers.new("Cloth", "CLOTH")
    assert cloth.type == "CLOTH"
    save("cloth.blend")


def main():
    image(FOLDER / "C/textures/wood.jpg", (0.0, 1.0, 0.0), "JPEG")
    image(FOLDER / "tex/y.png", (0.0, 0.0, 1.0))
    image(FOLDER / "C/textures/wood.png", (0.0, 1.0, 0.0))
    scene = small()
    cube = bpy.data.objects["Cube"]
    for frame, place in ((1, 0.0), (3, 1.0)):
        cube.location.x = place
        cube.keyframe_insert("location", frame=frame)
    save("cube.blend")
    scene.camera = None
    save("blind.blend")
    scene = small()
    scene.world.use_nodes = False
    scene.world.color = (0, 0, 0)
    for light in list(bpy.data.lights):
        bpy.data.lights.remove(light)
    save("black.blend")
    scene = small()
    scene.view_settings.view_transform = "Standard"
    cube = bpy.data.objects["Cube"]
    cube.scale = (9, 9, 9)
    cube.location = (0, 0, -9)
    glow(cube.active_material.node_tree, "C:\\textures\\wood.png")
    lost = bpy.data.images.new("lost", 4, 4)
    lost.source = "FILE"
    lost.filepath = "D:\\gone\\away.png"
    lost.use_fake_user = True
    save("wood.blend")
    scene = small()
    scene.view_settings.view_transform = "Standard"
    halves("C:\\textures\\wood.jpg", "//tex/y.png")
    save("both.blend")
    scene = small()
    scene.render.engine = "BLENDER_EEVEE"
    save("eevee.blend")
    moving()
    sequences()


main()
