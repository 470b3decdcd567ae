#include "gateway/blob_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/file.h"
#include "proto/ident.h"
#include "proto/log.h"

#define MARK ".gantry-owner"
#define ID 16u
#define ID_TEXT (2 * ID + 2) /* with a line's end and a NUL */

void blob_owner_set(struct blob_owner *owner, const struct settings *settings, struct s3 *s3, bool look)
{
    *owner = (struct blob_owner){.look = look, .s3 = s3};
    snprintf(owner->id, sizeof owner->id, "%s/farm.id", settings_text(settings, SET_DATA));
    blob_root(settings, owner->root);
}

bool blob_owner_well(const struct blob_owner *owner)
{
    return !owner->anothers[0] && !owner->why[0] && !owner->cause;
}

/* Of a file as long as an id at most; what is longer is none. 1: there is none. -1, told. */
static int text_read(struct blob_owner *owner, const char *path, char out[ID_TEXT])
{
    struct buf text = {0};
    struct err err = {0};

    errno = 0;
    int rc = file_read(path, &text, &err);
    if (rc < 0) {
        owner->cause = errno ? errno : EIO;
        log_error("GTY-BLOB-OWNER", "%s", err.text);
    }
    str_copy(out, ID_TEXT, buf_str(&text));
    buf_free(&text);
    return rc;
}

/* Of what is not there yet. Where there is no room for it, that is all: a collection may be what makes room. */
static int text_write(struct blob_owner *owner, const char *path, const char *text)
{
    struct err err = {0};

    errno = 0;
    if (file_replace(path, str_of(text), true, &err) == 0)
        return 0;
    int cause = errno ? errno : EIO;
    log_error("GTY-BLOB-OWNER", "%s", err.text);
    if (cause == ENOSPC || cause == EDQUOT) {
        owner->full = true;
        return 0;
    }
    owner->cause = cause;
    return -1;
}

/* The farm's id, made if there is none. One that could not be kept is no other's, and is left nowhere. */
static int id_read(struct blob_owner *owner, char out[ID_TEXT])
{
    int rc = text_read(owner, owner->id, out);

    if (rc > 0) {
        ident_random(out, ID);
        str_append(out, ID_TEXT, "", "\n");
        rc = text_write(owner, owner->id, out);
    }
    if (rc == 0 && strlen(out) < 2 * ID) {
        log_error("GTY-BLOB-OWNER", "%s is damaged", owner->id);
        owner->cause = EIO;
        rc = -1;
    }
    return rc;
}

static void judge(struct blob_owner *owner, const char *id, const char *mark, const char *place)
{
    if (strcmp(id, mark) == 0)
        return;
    str_copy(owner->anothers, sizeof owner->anothers, str_cut(str_of(place), sizeof owner->anothers - 1));
    log_warn("GTY-BLOB-OWNER", "%s is another farm's by its mark, " MARK ": gantry blobs gc removes nothing there", place);
}

void blob_owner_folder(struct file_job *job)
{
    struct blob_owner *owner = (struct blob_owner *)(void *)job;
    char id[ID_TEXT], mark[ID_TEXT], path[BLOB_PATH];

    owner->absent = access(owner->root, F_OK) != 0; /* there is nothing to own yet */
    if (owner->absent || id_read(owner, id) != 0)
        return;
    snprintf(path, sizeof path, "%s/" MARK, owner->root);
    int rc = text_read(owner, path, mark);
    if (rc > 0 && !owner->look && !owner->full)
        text_write(owner, path, id);
    else if (rc == 0)
        judge(owner, id, mark, owner->root);
}

void blob_owner_store(struct file_job *job)
{
    struct blob_owner *owner = (struct blob_owner *)(void *)job;
    char id[ID_TEXT], mark[ID_TEXT], place[S3_WHY];

    if (id_read(owner, id) != 0)
        return;
    int rc = s3_small_get(owner->s3, MARK, mark, sizeof mark, owner->why);
    if (rc > 0 && !owner->look && !owner->full) {
        int fd = open(owner->id, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            owner->cause = errno;
            return;
        }
        s3_small_put(owner->s3, MARK, fd, strlen(id), owner->why);
        close(fd);
    } else if (rc == 0) {
        s3_where(owner->s3, place);
        judge(owner, id, mark, place);
    }
}
