/* An S3-compatible store as the place of the blob store's files (blob.s3_url): objects that are named <blob.s3_prefix>assets/<md5>.
 *
 * A file comes into the folder first, as without such a store (blob.h): it is hashed and whole there, an upload that was broken off goes on there,
 * and a gateway that dies leaves a file that its next start knows what to do with. Then it is sent, and an object appears whole or not at all. To
 * stream it on as it comes would save the disk, but what a killed gateway had sent would be lost, and a wrong hash be noticed only in the store.
 *
 * What is asked of the store blocks, and takes long: it is done in threads of its own, LANES of them, so that a large file holds up neither the
 * loop nor what the helper thread does. All about one file is done in one lane, one after the other.
 */
#ifndef GANTRY_GATEWAY_S3_H
#define GANTRY_GATEWAY_S3_H

#include "gateway/blob.h"
#include "gateway/s3_sign.h"

#define S3_LANES 4u
#define S3_WHY 200      /* what went wrong, for people */
#define S3_PAGE 1000u   /* objects listed at a time */
#define S3_LINK_S 3600u /* that an address which is given away is good */

struct s3;

/* What the settings say. *out is NULL where they name no store. -1 with err. */
int s3_open(struct s3 **out, struct loop *loop, const struct settings *settings, struct err *err);
void s3_close(struct s3 *s3); /* breaks off what is under way, and calls its done; takes NULL */

unsigned s3_lane(const unsigned char md5[BLOB_MD5]);
struct files *s3_files(struct s3 *s3, unsigned lane);

/* The bucket and the prefix as an address, for people. */
void s3_where(const struct s3 *s3, char out[S3_WHY]);
/* Where anybody can GET the file for an hour. False: the address does not fit. */
bool s3_link(const struct s3 *s3, const unsigned char md5[BLOB_MD5], char out[S3_ADDRESS]);

/* ---- in the file's lane; -1 with why ---- */

/* Puts the file (fd, of this hash) into the store, unless it is there. *stood: it was. */
int s3_put(struct s3 *s3, const unsigned char md5[BLOB_MD5], int fd, uint64_t size, bool *stood, char why[S3_WHY]);
/* Whether it is there. */
int s3_there(struct s3 *s3, const unsigned char md5[BLOB_MD5], bool *there, uint64_t *size, char why[S3_WHY]);
/* Its content into fd. 1: there is none. */
int s3_get(struct s3 *s3, const unsigned char md5[BLOB_MD5], int fd, char why[S3_WHY]);
/* It goes; also well where it is not there. */
int s3_remove(struct s3 *s3, const unsigned char md5[BLOB_MD5], char why[S3_WHY]);

/* ---- in lane 0 ---- */

/* A small object beside the files, below the prefix by this name: its text, as much of it as out (size bytes) takes. 1: there is none. */
int s3_small_get(struct s3 *s3, const char *name, char *out, size_t size, char why[S3_WHY]);
/* Made of what fd holds, or put in the place of what is there. */
int s3_small_put(struct s3 *s3, const char *name, int fd, uint64_t size, char why[S3_WHY]);

struct s3_page {
    char next[1100]; /* "": the first; behind the call: "", there is no further one */
    unsigned count;
    unsigned char md5s[S3_PAGE * BLOB_MD5];
    uint64_t sizes[S3_PAGE], at_ms[S3_PAGE]; /* when it came */
};

int s3_list(struct s3 *s3, struct s3_page *page, char why[S3_WHY]);

#endif
