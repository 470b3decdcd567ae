/* A result that comes over HTTP: what the files about it share. */
#ifndef GANTRY_GATEWAY_SURFACES_TRANSCODE_UPLOAD_H
#define GANTRY_GATEWAY_SURFACES_TRANSCODE_UPLOAD_H

#include <limits.h>

#include "gateway/files.h"
#include "gateway/surfaces/transcode.h"

#define UPLOAD_PART 64   /* room for the name of a part */
#define UPLOAD_SHA256 32 /* bytes */
#define UPLOAD_XXH3 16
#define UPLOAD_MADE 96 /* of rec_video.made */

enum upload_ending { UPLOAD_WELL, UPLOAD_WRONG_HASH, UPLOAD_REFUSED, UPLOAD_STANDS, UPLOAD_BADLY };

struct upload {
    struct file_job job;     /* the first: what the helper thread knows */
    struct request *request; /* NULL: it is gone, and the job frees this */
    bool working;
    int folder, fd;
    char part[UPLOAD_PART], name[NAME_MAX + 1];
    uint64_t task, attempt; /* attempt 0: its worker names none */
    uint64_t at;            /* bytes written so far */
    uint64_t first, behind; /* the part that comes, by what was said of it; 0 behind: it is all there is */
    uint64_t total;         /* of the whole file; 0: as above */
    bool hashed;
    unsigned char hash[UPLOAD_SHA256]; /* that it is said to have */
    unsigned char found[UPLOAD_XXH3];
    unsigned char made[UPLOAD_MADE]; /* what may stand at its name, and goes */
    uint32_t made_len;
    int cause; /* errno of what went wrong; 0: nothing has */
    enum upload_ending ending;
    const char *rule; /* by which it was refused */
};

void upload_free(struct upload *upload);
void upload_whole(void *self); /* the body is there: what follows answers the request */

/* The folder of results. False: its name does not fit. */
bool upload_save(const struct gateway *gateway, char out[4096]);
void upload_part_name(uint64_t task, uint64_t attempt, char out[UPLOAD_PART]);
/* The name of a result, by that of its source and another ending (empty: the source's). False: it does not fit. */
bool upload_name(struct str base, struct str extension, char out[NAME_MAX + 1]);
/* Reads the parameters attempt and extension. -1 with problem. */
int upload_words(const struct request *request, uint64_t *attempt, struct str *extension, struct problem *problem);

/* XXH3 128 of a whole file, big-endian, and its SHA-256 if that is wanted. Reads all of it. -1 with errno. */
int upload_hash(int fd, unsigned char xxh3[UPLOAD_XXH3], unsigned char *sha256);

void upload_answer(struct request *request, unsigned status, uint64_t received, bool complete);
void upload_refuse(struct request *request, enum problem_kind kind, const char *rule, const char *value);
void upload_refuse_disk(struct request *request, int cause);

#endif
