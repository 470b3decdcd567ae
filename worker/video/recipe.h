/* What ffmpeg is to be told about a video: pure functions of what the probe found and what is wished for. */
#ifndef GANTRY_WORKER_VIDEO_RECIPE_H
#define GANTRY_WORKER_VIDEO_RECIPE_H

#include "worker/video/probe.h"

enum recipe_engine { ENGINE_CPU, ENGINE_NVENC, ENGINE_QSV, ENGINE_VPU, ENGINES };

struct wish {
    enum recipe_engine engine;
    bool av1; /* instead of HEVC; by cpu only */
    bool vr;
    unsigned crf;       /* 0: as fits engine and video */
    const char *preset; /* empty: as fits */
    unsigned rate;      /* 30 or 60: no more frames a second; 0: as they are */
    unsigned threads;   /* 0: as many as it likes */
    const char *pools;  /* x265's NUMA pools; empty: all */
    bool hardware_decode;
    bool joins; /* what is made is joined with others */
};

struct recipe_part {            /* a segment of a film, and what it is joined of */
    int64_t from, to;           /* time stamps of the film: what is shown at `from` or later, before `to` */
    bool first, last;           /* there is nothing before, behind */
    int64_t base_num, base_den; /* a unit of the film's clock in seconds */
};

#define RECIPE_ARGS 512

struct recipe {
    char *argv[RECIPE_ARGS + 1]; /* of ffmpeg, NULL-terminated; each owned */
    unsigned count;
    bool failed;                    /* no memory, or too many arguments */
    const char *extension, *format; /* "mp4", "mkv"; ffmpeg's name for it */
    const char *codec;              /* that the film must have then: hevc, av1 */
    const char *encoder, *preset;   /* ffmpeg's name of it */
    unsigned crf;
    bool joined;                         /* its film is copied from segments */
    unsigned audio, subtitles, pictures; /* streams that are kept of each */
    char left_out[160];                  /* what is not kept, in words; empty: nothing */
};

extern const char *const recipe_engines[ENGINES + 1]; /* "cpu", …; ends in NULL */
enum recipe_engine recipe_engine(const char *name);   /* ENGINES: none of that name */
/* ffmpeg's name of the encoder; NULL: there is none. */
const char *recipe_encoder(enum recipe_engine engine, bool av1);

/* Why a video is left alone whatever is wished, as what makes it what it is, or one of its streams, would be lost; NULL: it is not. */
const char *recipe_refusal(const struct probe *probe);

/* The container that holds its streams: "mp4" or "mkv". */
const char *recipe_container(const struct probe *probe);

/* Fills the recipe. -1 when recipe->failed. recipe_clear afterwards in either case. */
int recipe_make(struct recipe *recipe, const struct probe *probe, const struct wish *wish, const char *source,
                const char *target);
/* The film alone, and of it a segment, into a file of its own (mp4) whose time begins at 0. */
int recipe_segment(struct recipe *recipe, const struct probe *probe, const struct wish *wish, const struct recipe_part *part,
                   const char *source, const char *target);
/* The same result as recipe_make's, but that its film is copied from the segments that a list for ffmpeg's concat demuxer names. offset_us:
 * between the start of the source and its film's first frame. */
int recipe_join(struct recipe *recipe, const struct probe *probe, const struct wish *wish, const char *list, int64_t offset_us,
                const char *source, const char *target);
void recipe_clear(struct recipe *recipe);

/* Whether what was made may stand for its source. NULL: yes; else why not, in text. */
const char *recipe_fault(const struct recipe *recipe, const struct probe *source, const struct probe *made, char *text,
                         size_t size);

#endif
