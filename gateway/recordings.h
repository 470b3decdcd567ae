/* What is in the recorder's output folder: cycles' folders and the videos and pieces in them, from their names and sizes alone.
 *
 * Kept between listings, by the time a folder was changed last: only folders that have changed since are read again, and no video is
 * opened ever. Used in the helper thread for files only, but for its making and its end.
 */
#ifndef GANTRY_GATEWAY_RECORDINGS_H
#define GANTRY_GATEWAY_RECORDINGS_H

#include <time.h>

#include "proto/str.h"

#define RECORDINGS_FOLDERS 200000 /* beyond these, further ones are left out, and counted */
#define RECORDINGS_FILES 20000    /* of one folder */
#define RECORDINGS_NAME 16        /* YYYYMMDD_HHMMSS, with its NUL */

struct recording_file {
    char *name;
    uint64_t size;
    uint64_t changed_ms; /* wall */
    bool held;           /* by itself; see recordings_held.h */
};

struct recording_folder {
    char name[RECORDINGS_NAME];
    struct timespec changed;
    bool settled; /* what changes it from now on changes `changed`, too */
    struct recording_file *files;
    uint32_t count; /* by name */
    uint64_t bytes;
    uint32_t left_out; /* videos beyond RECORDINGS_FILES */
    struct recording_file
        *pieces; /* of recordings that are no video, by the folder's name: all of a run's are one; see recordings_pieces.h */
    uint32_t piece_count;
    uint64_t piece_bytes;
    bool held; /* all of it */
};

struct recordings {
    char root[4096];
    struct recording_folder *folders; /* the newest first */
    uint32_t count;
    uint32_t left_out; /* folders beyond RECORDINGS_FOLDERS */
};

struct recordings *recordings_new(void);             /* NULL when out of memory */
void recordings_free(struct recordings *recordings); /* takes NULL */

/* Looks at the folder again. One that is not there has nothing in it. -1 with errno. */
int recordings_look(struct recordings *recordings, const char *root);
const struct recording_folder *recordings_find(const struct recordings *recordings, struct str name); /* NULL: none */

bool recordings_folder_name(struct str name); /* whether it is one of a cycle's folder */
bool recordings_video_name(struct str name);  /* of a video: no hidden one, nothing but a name */
const char *recordings_type(struct str name); /* of a video, by its name: a media type */
struct str recordings_index(struct str name); /* the number in a file's name: of test_stream1.mp4 1; empty: none */

/* Removes a video, or a folder with all below it (file empty). Nothing outside of the folder is reached, by whatever name. -1 with errno. */
int recordings_remove(const char *root, struct str folder, struct str file);
/* Removes a folder in which no video is left, with its reports (report: the JSON one's name); -1 with errno, ENOTEMPTY where it holds anything
 * else, which stays. */
int recordings_clear(const char *root, struct str folder, const char *report);
/* Opens the folder of a cycle, for reading. -1 with errno. */
int recordings_folder(const char *root, struct str folder);
/* Opens a video for reading. -1 with errno. */
int recordings_open(const char *root, struct str folder, struct str file);

#endif
