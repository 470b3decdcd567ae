/* What nodes and attributes of a Maya scene mean, whichever of its two formats they came in (maya_ascii.h, maya_binary.h). */
#ifndef GANTRY_WORKER_SCENE_MAYA_H
#define GANTRY_WORKER_SCENE_MAYA_H

#include "worker/scene/scene.h"

enum maya_what {
    MAYA_ASSET,
    MAYA_RENDERER,
    MAYA_FORMAT,        /* of images, by number */
    MAYA_FORMAT_NAME,   /* by name; of those that Maya has no number for */
    MAYA_FORMAT_DRIVER, /* of a renderer's own output */
    MAYA_OUTPUT,
    MAYA_NUMBER, /* offset: which */
    MAYA_SAMPLING,
    MAYA_RENDERABLE,
    MAYA_EDITS, /* what is changed in what a reference brings */
};

struct maya_row { /* an attribute of a node that matters; rows of one node stand together */
    const char *node;
    const char *brief, *full; /* the attribute's two names */
    enum maya_what what;
    enum asset_kind kind;
    size_t offset;    /* of a struct scene_number in struct scene */
    const char *name; /* of a sampling */
};

struct maya {
    struct scene *scene;
    struct str node;             /* the one that attributes belong to now; empty if it does not matter */
    const struct maya_row *rows; /* of it; NULL: none of its attributes matters */
    bool camera, renderable;     /* it is a camera; it is rendered */
    bool edits_read;             /* the reader looks into MAYA_EDITS */
    bool references;             /* there are some */
    int format;                  /* as a number; -1: not said */
    struct str format_name, format_driver;
};

void maya_begin(struct maya *maya, struct scene *scene);
/* Once all is read: what the file does not say is Maya's own default. */
void maya_end(struct maya *maya);

/* True when attributes of nodes of this type matter. */
bool maya_type_matters(struct str type);
/* A node begins: what is set from here on is set on it. */
void maya_node(struct maya *maya, struct str type, const char *name, size_t name_len);
/* One that is there from the start, as :defaultRenderGlobals: by its name alone. */
void maya_select(struct maya *maya, struct str name);
/* The row of an attribute of this node; NULL: it does not matter. attr: without its dot, with no [0]. */
const struct maya_row *maya_row(const struct maya *maya, struct str attr);
/* The same of any node, by the attribute's brief name, among those that hold a path. */
const struct maya_row *maya_row_anywhere(struct str attr);
bool maya_row_is_text(const struct maya_row *row);
void maya_text(struct maya *maya, const struct maya_row *row, const char *text, size_t len);
void maya_number(struct maya *maya, const struct maya_row *row, double value);

void maya_reference(struct maya *maya, const char *path, size_t len, const char *node, size_t node_len);
void maya_requires(struct maya *maya, struct str name, struct str version);
void maya_time_unit(struct maya *maya, struct str unit);

#endif
