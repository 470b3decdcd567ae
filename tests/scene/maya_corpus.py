"""Scenes as Maya writes them (the manual's chapter on Maya ASCII, and what its exporter puts where), and what is to be read of each.

CORPUS: {name: Expected}. `info` is what is said of rendering; what is not in it is Maya's own default, and has to be named in `assumed`. Assets are
(path, type, node), in the order of the file.
"""

import collections

Expected = collections.namedtuple("Expected", "text version info plugins cameras rendered assets sampling encoding not_read",
                                  defaults=(None, {}, {}, [], [], [], {}, "utf-8", []))

DEFAULTS = {"renderer": "mayaSoftware", "start_frame": 1, "end_frame": 10, "frame_step": 1, "fps": 24, "width": 960, "height": 540, "image_format": "iff"}

CAMERAS = "".join(f'''createNode transform -s -n "{name}";
\trename -uid "6F5D3A1C-4D2E-0A9B-7B61-3C8F0E5A0{n:03X}";
\tsetAttr ".v" no;
\tsetAttr ".t" -type "double3" 28 21 28 ;
createNode camera -s -n "{name}Shape" -p "{name}";
\trename -uid "11CA6C0B-4B4D-3F1E-96A5-B08C5D0A0{n:03X}";
\tsetAttr -k off ".v" no;
{rnd}\tsetAttr ".coi" 44.82186966202994;
\tsetAttr ".imn" -type "string" "{name}";
\tsetAttr ".den" -type "string" "{name}_depth";
\tsetAttr ".man" -type "string" "{name}_mask";
\tsetAttr ".hc" -type "string" "viewSet -p %camera";
''' for n, (name, rnd) in enumerate((("persp", ""), ("top", '\tsetAttr ".rnd" no;\n'), ("front", '\tsetAttr ".rnd" no;\n'), ("side", '\tsetAttr ".rnd" no;\n'))))
FOUR = ["perspShape", "topShape", "frontShape", "sideShape"]

END = '''select -ne :time1;
\tsetAttr ".o" 1;
\tsetAttr ".unw" 1;
select -ne :hardwareRenderingGlobals;
\tsetAttr ".otfna" -type "stringArray" 3 "NURBS Curves" "Polygons" "Subdiv Surface"  ;
\tsetAttr ".otfva" -type "Int32Array" 3 0 1 1 ;
select -ne :initialShadingGroup;
\tsetAttr ".ro" yes;
connectAttr "layerManager.dli[0]" "defaultLayer.id";
// End of scene
'''

UNTITLED = '''//Maya ASCII 2023 scene
//Name: untitled.ma
//Last modified: Tue, Nov 04, 2025 10:30:00 AM
//Codeset: 1252
requires maya "2023";
requires "stereoCamera" "10.0";
requires -nodeType "aiOptions" -nodeType "aiAOVDriver" -nodeType "aiAOVFilter" "mtoa" "5.2.1.1";
requires "stereoCamera" "10.0";
currentUnit -l centimeter -a degree -t film;
fileInfo "application" "maya";
fileInfo "product" "Maya 2023";
fileInfo "version" "2023";
fileInfo "cutIdentifier" "202202161415-df43006fd3";
fileInfo "osv" "Windows 10 Pro v2009 (Build: 19045)";
fileInfo "UUID" "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9";
''' + CAMERAS + '''createNode lightLinker -s -n "lightLinker1";
\tsetAttr -s 2 ".lnk";
createNode displayLayerManager -n "layerManager";
createNode displayLayer -n "defaultLayer";
createNode renderLayer -n "defaultRenderLayer";
\tsetAttr ".g" yes;
createNode script -n "uiConfigurationScriptNode";
\tsetAttr ".b" -type "string" (
\t\t"// Maya Mel UI Configuration File.\\n//\\n//  This script is machine generated.  Edit at your own risk.\\n//\\n\\nglobal string $gMainPane;\\n\\t$editor = \\"file -r \\\\\\"C:/no.ma\\\\\\";\\";\\n"
\t\t+ "createNode file -n \\"no\\";\\n\\tsetAttr \\".ftn\\" -type \\"string\\" \\"C:/no.jpg\\";\\n");
\tsetAttr ".st" 3;
createNode script -n "sceneConfigurationScriptNode";
\tsetAttr ".b" -type "string" "playbackOptions -min 1 -max 120 -ast 1 -aet 200 ";
\tsetAttr ".st" 6;
''' + END

REFERENCES = '''//Maya ASCII 2024 scene
//Name: shot010.ma
//Codeset: 1252
file -rdi 1 -rpr "Hero" -rfn "HeroRN" -op "VERS|2024|UVER|undef|MADE|undef|CHNG|Fri, Sep 15, 2023 12:23:52 PM|ICON|undef|INFO|undef|OBJN|1558|INCL|D:/Film/Sword.mb(|LUNI|cm|TUNI|film|AUNI|deg|"
\t\t -typ "mayaBinary" "D:/Film/assets/char/Hero/HeroRig.mb";
file -rdi 2 -ns "HeroSword" -rfn "Hero_HeroSwordRN" -op "v=0;" -typ "mayaBinary" "D:/Film/assets/char/Hero/HeroSword.mb";
file -rdi 1 -ns "Chair" -rfn "ChairRN" -op "v=0;"
\t\t-typ "mayaAscii" "D:/Film//assets/prop/Chair v2.ma";
file -rdi 1 -ns "Chair1" -dr 1 -rfn "ChairRN1" -op "v=0;" -typ "mayaAscii" "D:/Film//assets/prop/Chair v2.ma{1}";
file -rdi 1 -ns "Set" -rfn "SetRN" -op "fbx" -typ "FBX export"
\t\t "//server/film/assets/Set.fbx";
file -r -rpr "Hero" -dr 1 -rfn "HeroRN" -op "VERS|2024|INCL|D:/Film/Sword.mb(|"
\t\t -typ "mayaBinary" "D:/Film/assets/char/Hero/HeroRig.mb";
file -r -ns "Chair" -dr 1 -rfn "ChairRN" -op "v=0;" -typ "mayaAscii" "D:/Film//assets/prop/Chair v2.ma";
file -r -ns "Chair1" -dr 1 -rfn "ChairRN1" -op "v=0;" -typ "mayaAscii" "D:/Film//assets/prop/Chair v2.ma{1}";
file -r -ns "Set" -dr 1 -rfn "SetRN" -op "fbx" -typ "FBX export" "//server/film/assets/Set.fbx";
requires maya "2024";
createNode reference -n "HeroRN";
\tsetAttr -s 2 ".fn";
\tsetAttr ".fn[0]" -type "string" "D:/Film/assets/char/Hero/HeroRig.mb";
\tsetAttr ".fn[1]" -type "string" "D:/Film/assets/char/Hero/HeroProxy.mb";
\tsetAttr -s 91 ".phl";
\tsetAttr ".phl[1]" 0;
\tsetAttr ".ed" -type "dataReferenceEdits"
\t\t"HeroRN"
\t\t"HeroRN" 0
\t\t"Hero_HeroSwordRN" 0
\t\t"HeroRN" 6
\t\t0 "|Hero_root" "|group1" "-s -r "
\t\t2 "|group1|Hero_root" "translate" " -type \\"double3\\" 0 1 0"
\t\t2 "Hero_skin" "fileTextureName" " -type \\"string\\" \\"D:/Film/tex/hero skin \\\\\\"v3\\\\\\".<UDIM>.exr\\""
\t\t2 "Hero_eye" "ftn" " -type \\"string\\" \\"sourceimages/eye.png\\""
\t\t3 "Hero_a.outColor" "Hero_b.inColor" ""
\t\t5 4 "HeroRN" "|group1|Hero_root.visibility" "HeroRN.placeHolderList[1]" "";
\tsetAttr ".ptag" -type "string" "";
lockNode -l 1 ;
createNode reference -n "sharedReferenceNode";
\tsetAttr ".ed" -type "dataReferenceEdits"
\t\t"sharedReferenceNode";
// End of shot010.ma
'''

ARNOLD = '''//Maya ASCII 2022 scene
//Codeset: UTF-8
requires maya "2022";
requires -nodeType "aiOptions" -nodeType "aiImage" -nodeType "aiStandIn" -nodeType "aiVolume" -dataType "x"
\t\t "mtoa" "5.0.0.1";
currentUnit -l meter -a degree -t 23.976fps;
createNode aiImage -n "aiImage1";
\trename -uid "FE801BEC-4F5E-F3CD-E3E6-25AA64AABF18";
\tsetAttr ".filename" -type "string" "Z:/show_S01//sourceimages/bowl_albedo.<udim>.tx";
\tsetAttr ".cs" -type "string" "sRGB";
createNode aiImage -n "aiImage2";
\tsetAttr ".filename" -type "string" "";
createNode file -n "file1";
\tsetAttr ".ail" yes;
\tsetAttr ".ftn" -type "string" "Z:/show_S01/sky.hdr";
\tsetAttr ".cs" -type "string" "Raw";
createNode aiSkyDomeLight -n "aiSkyDomeLightShape1" -p "aiSkyDomeLight1";
\tsetAttr -k off ".v";
createNode aiStandIn -n "tree1Shape" -p "tree1";
\tsetAttr -k off ".v";
\tsetAttr ".dso" -type "string" "Z:/show_S01/proxy/tree.ass.gz";
\tsetAttr ".mode" 6;
createNode aiVolume -n "smoke1Shape" -p "smoke1";
\tsetAttr ".filename" -type "string" "Z:/show_S01/vdb/smoke.####.vdb";
\tsetAttr ".grids" -type "string" "density";
createNode aiPhotometricLight -n "lamp1Shape" -p "lamp1";
\tsetAttr ".ai_filename" -type "string" "Z:/show_S01/ies/lamp.ies";
createNode camera -n "shotCamShape" -p "shotCam";
\tsetAttr -k off ".v";
\tsetAttr ".rnd" yes;
createNode aiOptions -s -n "defaultArnoldRenderOptions";
\taddAttr -ci true -sn "ARV_options" -ln "ARV_options" -dt "string";
\tsetAttr ".AA_samples" 6;
\tsetAttr ".GI_diffuse_samples" 3;
\tsetAttr ".GI_sss_samples" 4;
\tsetAttr ".version" -type "string" "5.0.0.1";
\tsetAttr ".ARV_options" -type "string" "Test Resolution=100%;Camera=perspShape;Color Management.Gamma=1;";
createNode aiAOVDriver -s -n "defaultArnoldDriver";
\tsetAttr ".ai_translator" -type "string" "exr";
createNode aiAOVDriver -s -n "defaultArnoldDisplayDriver";
\tsetAttr ".ai_translator" -type "string" "maya";
select -ne :defaultRenderGlobals;
\taddAttr -ci true -h true -sn "dss" -ln "defaultSurfaceShader" -dt "string";
\tsetAttr ".ren" -type "string" "arnold";
\tsetAttr ".outf" 51;
\tsetAttr ".imfkey" -type "string" "exr";
\tsetAttr -k on ".an" yes;
\tsetAttr ".fs" 1001;
\tsetAttr ".ef" 1100;
\tsetAttr ".bfs" 2;
\tsetAttr ".ifp" -type "string" "<Scene>/<RenderLayer>/<Scene>";
select -ne :defaultResolution;
\tsetAttr -av -k on ".w" 1998;
\tsetAttr -av -k on ".h" 1080;
\tsetAttr ".pa" 1;
'''

CACHES = '''//Maya ASCII 2018ff09 scene
requires maya "2018ff09";
requires "AbcImport" "1.0";
requires -nodeType "gpuCache" "gpuCache" "1.0";
requires -nodeType "xgmPalette" -nodeType "xgmDescription" "xgenToolkit" "1.0";
createNode AlembicNode -n "sea_AlembicNode";
\tsetAttr ".abc_File" -type "string" "D:/cache/sea_v003.abc";
\tsetAttr ".fns" -type "stringArray" 2 "D:/cache/sea_v003.abc" "D:/cache/foam_v001.abc"  ;
createNode gpuCache -n "cityShape" -p "city";
\tsetAttr -k off ".v";
\tsetAttr ".cfn" -type "string" "D:/cache/city.abc";
\tsetAttr ".cmp" -type "string" "|city|tower";
createNode cacheFile -n "clothCache1";
\tsetAttr ".cn" -type "string" "clothCache1";
\tsetAttr ".cp" -type "string" "D:/film/cache/nCache/shot010/";
\tsetAttr ".ct" -type "string" "mcx";
createNode xgmPalette -n "hair";
\taddAttr -ci true -sn "xgVersion" -ln "xgVersion" -dt "string";
\tsetAttr ".mntl" -type "double3" 0 0 0 ;
\tsetAttr ".xbf" -type "string" "";
\tsetAttr ".xfn" -type "string" "shot010__hair.xgen";
\tsetAttr ".xgVersion" -type "string" "C:/Program Files/Autodesk/Maya2018/plug-ins/xgen/";
createNode mayaUsdProxyShape -n "kitShape" -p "kit";
\tsetAttr ".fp" -type "string" "D:/film/kit.usda";
'''

PATHS = '''//Maya ASCII 2020 scene
//Codeset: UTF-8
createNode file -n "a";
\tsetAttr ".ftn" -type "string" "C:\\\\proj\\\\tex\\\\a.jpg";
createNode file -n "b";
\tsetAttr ".ftn" -type "string" "\\\\\\\\server\\\\share\\\\b.tif";
createNode file -n "c";
\tsetAttr ".fileTextureName" -type "string" "$PROJ/tex/c // no comment; /* nor this */.png";
createNode file -n "d\\"q";
\tsetAttr ".ftn" -type "string" "tex/{d} 'quoted' \\"twice\\".png";
createNode file -n "木";
\tsetAttr ".ftn" -type "string" "D:/贴图/木头 ② – é.jpg";
createNode file -n "e" ;
\tsetAttr ".ftn" -type "string" "C:/proj/tex/e.jpg"; setAttr ".cs" -type "string" "sRGB"; createNode file -n "f"; setAttr ".ftn" -type "string" "f.jpg";
createNode file -n "again";
\tsetAttr ".ftn" -type "string" "f.jpg";
createNode file -n "none";
\tsetAttr ".ftn" -type "string" "";
createNode psdFileTex -n "psd1";
\tsetAttr ".ftn" -type "string" "C:/proj/tex/layers.psd";
createNode place2dTexture -n "place2dTexture1";
\tsetAttr ".ftn" -type "string" "no.jpg";
createNode file -n "split";
\tsetAttr ".ftn" -type "string" (
\t\t"C:/proj/a very long folder/"
\t\t+ "tex/"
\t\t+ "split.jpg");
setAttr "a.ftn" -type "string" "no.jpg";
'''

SOUNDS = '''//Maya ASCII 2019 scene
requires maya "2019";
currentUnit -l centimeter -a degree -t ntsc;
createNode audio -n "dialogue";
\tsetAttr ".ef" 101;
\tsetAttr ".se" 101;
\tsetAttr ".f" -type "string" "C:/film/sound/dialogue.wav";
createNode imagePlane -n "plateShape" -p "plate";
\tsetAttr -k off ".v";
\tsetAttr ".t" 2;
\tsetAttr ".imn" -type "string" "C:/film/plates/plate.<f>.jpg";
createNode movie -n "movie1";
\tsetAttr ".ftn" -type "string" "C:/film/plates/animatic.mov";
createNode colorManagementGlobals -n "no";
select -ne :defaultColorMgtGlobals;
\tsetAttr ".cfe" yes;
\tsetAttr ".cfp" -type "string" "C:/film/ocio/config.ocio";
select -ne :defaultRenderGlobals;
\tsetAttr ".outf" 8;
\tsetAttr ".ef" 250.5;
'''

COMMENTS = '''//Maya ASCII 2021 scene
/* file -r "C:/no.ma"; */ requires /* "no" */ maya "2021"; // requires "no" "1";
// createNode file -n "no"; setAttr ".ftn" -type "string" "no.jpg";
;;;
/**/createNode file -n "a";//**/
\tsetAttr ".ftn" -type "string" "/*a*/.jpg"; /* over
several " lines; */
fileInfo "note" "a \\"quoted\\" ; createNode file -n \\"no\\"; // \\\\";
'''

LONG = ('//Maya ASCII 2024 scene\nrequires maya "2024";\ncreateNode mesh -n "rockShape" -p "rock";\n\tsetAttr -s 300000 ".vt[0:299999]"  ' + "-0.5 0.25 1e-07 " * 100000 +
        ';\n\tsetAttr ".nts" -type "string" "' + "\\\\ \\\" ; createNode file -n no;" * 20000 + '";\ncreateNode file -n "behind";\n\tsetAttr ".ftn" -type "string" "' + "x/" * 1500 +
        'behind.jpg";\nselect -ne :defaultResolution;\n\tsetAttr ".w" 4096;\n\tsetAttr ".h" 1716;\n')

OTHERS = '''//Maya ASCII 2016 scene
requires maya "2016ff06";
requires -nodeType "mentalrayFramebuffer" -nodeType "mentalrayOptions" -nodeType "mentalrayGlobals"
\t\t -dataType "byteArray" "Mayatomr" "2016.0 - 3.13.1.2 ";
requires -nodeType "HIKRetargeterNode" -dataType "HIKCharacter"
\t\t "mayaHIK" "1.0_HIK_2016.5";
requires -nodeType "VRaySettingsNode" "vrayformaya" "6.10.01";
currentUnit -l centimeter -a degree -t 29.97fps;
createNode VRayMesh -n "forest_vrmesh";
\tsetAttr ".fn2" -type "string" "P:/assets/forest.vrmesh";
createNode RedshiftNormalMap -n "rsNormalMap1";
\tsetAttr ".tex0" -type "string" "P:/assets/bark_n.png";
createNode RedshiftDomeLight -n "rsDomeLightShape1" -p "rsDomeLight1";
\tsetAttr ".tex0" -type "string" "P:/assets/sky.exr";
createNode RedshiftProxyMesh -n "rsProxy1";
\tsetAttr ".fn" -type "string" "P:/assets/house.rs";
createNode RedshiftVolumeShape -n "cloudShape" -p "cloud";
\tsetAttr ".fn" -type "string" "P:/assets/cloud.vdb";
createNode camera -n "leftShape" -p "left";
\tsetAttr -k off ".v";
createNode stereoRigCamera -n "rigShape" -p "rig";
createNode camera -n "rightShape" -p "right";
\tsetAttr ".rnd" 0;
createNode VRaySettingsNode -s -n "vraySettings";
\tsetAttr ".imgfs" -type "string" "exr (multichannel)";
\tsetAttr ".fnprx" -type "string" "<Scene>/beauty";
\tsetAttr ".wi" 3840;
\tsetAttr ".he" 2160;
select -ne :defaultRenderGlobals;
\tsetAttr ".ren" -type "string" "vray";
\tsetAttr ".fs" -10;
\tsetAttr ".ef" 7.5;
'''

CODE_PAGE = '''//Maya ASCII 2017 scene
//Codeset: 932
requires maya "2017";
createNode file -n "file1";
\tsetAttr ".ftn" -type "string" "C:/素材/木目.png";
createNode file -n "file2";
\tsetAttr ".ftn" -type "string" "C:/tex/plain.png";
'''

CORPUS = {
    "untitled": Expected(UNTITLED, "2023", {"fps": 24}, {"stereoCamera": "10.0", "mtoa": "5.2.1.1"}, FOUR, ["perspShape"]),
    "references": Expected(REFERENCES, "2024", assets=[
        ("D:/Film/assets/char/Hero/HeroRig.mb", "reference", "HeroRN"), ("D:/Film/assets/char/Hero/HeroSword.mb", "reference", "Hero_HeroSwordRN"),
        ("D:/Film//assets/prop/Chair v2.ma", "reference", "ChairRN"), ("//server/film/assets/Set.fbx", "reference", "SetRN"),
        ("D:/Film/assets/char/Hero/HeroProxy.mb", "reference", "HeroRN"), ('D:/Film/tex/hero skin "v3".<UDIM>.exr', "texture", "HeroRN"),
        ("sourceimages/eye.png", "texture", "HeroRN")]),
    "arnold": Expected(ARNOLD, "2022", {
        "renderer": "arnold", "start_frame": 1001, "end_frame": 1100, "frame_step": 2, "fps": 23.976, "width": 1998, "height": 1080, "image_format": "exr",
        "output": "<Scene>/<RenderLayer>/<Scene>"}, {"mtoa": "5.0.0.1"}, ["shotCamShape"], ["shotCamShape"], [
            ("Z:/show_S01//sourceimages/bowl_albedo.<udim>.tx", "texture", "aiImage1"), ("Z:/show_S01/sky.hdr", "texture", "file1"),
            ("Z:/show_S01/proxy/tree.ass.gz", "proxy", "tree1Shape"), ("Z:/show_S01/vdb/smoke.####.vdb", "volume", "smoke1Shape"),
            ("Z:/show_S01/ies/lamp.ies", "light", "lamp1Shape")], {"camera": 6, "diffuse": 3, "sss": 4, "specular": 2}),
    "caches": Expected(CACHES, "2018ff09", plugins={"AbcImport": "1.0", "gpuCache": "1.0", "xgenToolkit": "1.0"}, assets=[
        ("D:/cache/sea_v003.abc", "cache", "sea_AlembicNode"), ("D:/cache/foam_v001.abc", "cache", "sea_AlembicNode"), ("D:/cache/city.abc", "cache", "cityShape"),
        ("D:/film/cache/nCache/shot010/", "cache", "clothCache1"), ("shot010__hair.xgen", "cache", "hair"), ("D:/film/kit.usda", "reference", "kitShape")]),
    "paths": Expected(PATHS, assets=[
        ("C:\\proj\\tex\\a.jpg", "texture", "a"), ("\\\\server\\share\\b.tif", "texture", "b"), ("$PROJ/tex/c // no comment; /* nor this */.png", "texture", "c"),
        ("tex/{d} 'quoted' \"twice\".png", "texture", 'd"q'), ("D:/贴图/木头 ② – é.jpg", "texture", "木"), ("C:/proj/tex/e.jpg", "texture", "e"), ("f.jpg", "texture", "f"),
        ("C:/proj/tex/layers.psd", "texture", "psd1"), ("C:/proj/a very long folder/tex/split.jpg", "texture", "split")]),
    "sounds": Expected(SOUNDS, "2019", {"fps": 30, "image_format": "jpg", "end_frame": 250.5}, assets=[
        ("C:/film/sound/dialogue.wav", "sound", "dialogue"), ("C:/film/plates/plate.<f>.jpg", "texture", "plateShape"), ("C:/film/plates/animatic.mov", "movie", "movie1"),
        ("C:/film/ocio/config.ocio", "color", "defaultColorMgtGlobals")]),
    "comments": Expected(COMMENTS, "2021", assets=[("/*a*/.jpg", "texture", "a")]),
    "long": Expected(LONG, "2024", {"width": 4096, "height": 1716}, assets=[("x/" * 1500 + "behind.jpg", "texture", "behind")]),
    "others": Expected(OTHERS, "2016ff06", {
        "renderer": "vray", "start_frame": -10, "end_frame": 7.5, "fps": 29.97, "width": 3840, "height": 2160, "image_format": "exr (multichannel)", "output": "<Scene>/beauty"},
        {"Mayatomr": "2016.0 - 3.13.1.2 ", "mayaHIK": "1.0_HIK_2016.5", "vrayformaya": "6.10.01"}, ["leftShape", "rightShape"], ["leftShape"], [
            ("P:/assets/forest.vrmesh", "proxy", "forest_vrmesh"), ("P:/assets/bark_n.png", "texture", "rsNormalMap1"), ("P:/assets/sky.exr", "texture", "rsDomeLightShape1"),
            ("P:/assets/house.rs", "proxy", "rsProxy1"), ("P:/assets/cloud.vdb", "volume", "cloudShape")]),
    "code_page": Expected(CODE_PAGE, "2017", assets=[("C:/素材/木目.png", "texture", "file1"), ("C:/tex/plain.png", "texture", "file2")], encoding="cp932"),
}
