/* Objects of an S3-compatible store: put, looked for, fetched, removed, listed. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/s3_ask.h"
#include "proto/clock.h"

#define PARTS_MAX 9000u /* a store takes 10,000 */
#define UPLOAD_ID 1024

static struct s3_ask ask_of(struct s3 *s3, const unsigned char *md5, const char *method, const char *name, const char *more)
{
    return (struct s3_ask){.s3 = s3,
                           .lane = md5 ? s3_lane(md5) : 0,
                           .method = method,
                           .name = name,
                           .more = more,
                           .text = "",
                           .from = -1,
                           .into = -1};
}

/* One whose answer does not matter. */
static int ask_done(struct s3_ask *ask, char why[S3_WHY])
{
    int rc = s3_ask(ask, why);

    buf_free(&ask->answer);
    return rc;
}

/* ---- there, gone, fetched ---- */

int s3_there(struct s3 *s3, const unsigned char md5[BLOB_MD5], bool *there, uint64_t *size, char why[S3_WHY])
{
    char name[S3_NAME];
    curl_off_t length = -1;

    s3_name(md5, name);
    struct s3_ask ask = ask_of(s3, md5, "HEAD", name, "");
    int rc = ask_done(&ask, why);
    *there = rc == 0;
    if (*there)
        curl_easy_getinfo(ask.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    *size = length > 0 ? (uint64_t)length : 0;
    return rc < 0 ? -1 : 0;
}

int s3_get(struct s3 *s3, const unsigned char md5[BLOB_MD5], int fd, char why[S3_WHY])
{
    char name[S3_NAME];

    s3_name(md5, name);
    struct s3_ask ask = ask_of(s3, md5, "GET", name, "");
    ask.into = fd;
    return ask_done(&ask, why);
}

int s3_remove(struct s3 *s3, const unsigned char md5[BLOB_MD5], char why[S3_WHY])
{
    char name[S3_NAME];

    s3_name(md5, name);
    struct s3_ask ask = ask_of(s3, md5, "DELETE", name, "");
    return ask_done(&ask, why) < 0 ? -1 : 0;
}

/* ---- put ---- */

static int missing(const struct s3 *s3, char why[S3_WHY])
{
    snprintf(why, S3_WHY, "%.60s: there is no bucket of that name, or it lost what was sent", s3->place.url);
    return -1;
}

/* In one request; the store holds it against its MD5 by itself. */
static int put_whole(struct s3 *s3, const unsigned char *md5, const char *name, int fd, uint64_t size, char why[S3_WHY])
{
    char sum[64];
    struct s3_ask ask = ask_of(s3, md5, "PUT", name, "");

    sodium_bin2base64(sum, sizeof sum, md5, BLOB_MD5, sodium_base64_VARIANT_ORIGINAL);
    snprintf(ask.header, sizeof ask.header, "Content-MD5: %s", sum);
    ask.from = fd;
    ask.length = size;
    int rc = ask_done(&ask, why);
    return rc > 0 ? missing(s3, why) : rc;
}

/* The name of an upload in parts, escaped. */
static int parts_begin(struct s3 *s3, const unsigned char *md5, const char *name, char id[UPLOAD_ID], char why[S3_WHY])
{
    struct s3_ask ask = ask_of(s3, md5, "POST", name, "uploads=");
    struct str said = {NULL, 0};
    int rc = s3_ask(&ask, why);
    struct str rest = buf_str(&ask.answer);
    bool found = rc == 0 && s3_tag(&rest, "UploadId", &said) && said.len > 0 && said.len < UPLOAD_ID / 4;
    char *text = found ? curl_easy_escape(ask.curl, said.ptr, (int)said.len) : NULL;

    if (rc > 0)
        rc = missing(s3, why);
    if (rc == 0 && !text) {
        snprintf(why, S3_WHY, "%.60s: an odd answer to an upload in parts", s3->place.url);
        rc = -1;
    }
    if (text)
        snprintf(id, UPLOAD_ID, "%s", text);
    curl_free(text);
    buf_free(&ask.answer);
    return rc;
}

/* What the store calls a part, as a line of the list that ends the upload. */
static int part_note(struct s3_ask *ask, unsigned number, struct buf *list, char why[S3_WHY])
{
    struct curl_header *tag;

    if (curl_easy_header(ask->curl, "ETag", 0, CURLH_HEADER, -1, &tag) != CURLHE_OK || strpbrk(tag->value, "<>&")) {
        snprintf(why, S3_WHY, "%.60s: a part without an ETag", ask->s3->place.url);
        return -1;
    }
    buf_printf(list, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", number, tag->value);
    return 0;
}

static int parts_send(struct s3 *s3, const unsigned char *md5, const char *name, const char *id, int fd, uint64_t size,
                      struct buf *list, char why[S3_WHY])
{
    uint64_t part = size / PARTS_MAX + 1 > s3->part ? size / PARTS_MAX + 1 : s3->part;
    unsigned number = 1;

    for (uint64_t at = 0; at < size; at += part, number++) {
        char more[UPLOAD_ID + 64];
        snprintf(more, sizeof more, "partNumber=%u&uploadId=%s", number, id);
        struct s3_ask ask = ask_of(s3, md5, "PUT", name, more);
        ask.from = fd;
        ask.first = at;
        ask.length = size - at < part ? size - at : part;
        int rc = ask_done(&ask, why);
        if (rc > 0)
            rc = missing(s3, why);
        if (rc < 0 || part_note(&ask, number, list, why) != 0)
            return -1;
    }
    return 0;
}

/* An upload that ends well may still say that it did not: with a 200. */
static int parts_end(struct s3 *s3, const unsigned char *md5, const char *name, const char *id, uint64_t size, struct buf *list,
                     char why[S3_WHY])
{
    char more[UPLOAD_ID + 64];
    struct str said;
    uint64_t there;
    bool whole = false;

    snprintf(more, sizeof more, "uploadId=%s", id);
    buf_printf(list, "</CompleteMultipartUpload>");
    if (list->failed || buf_add(list, "", 1) != 0) {
        snprintf(why, S3_WHY, "%s", strerror(ENOMEM));
        return -1;
    }
    struct s3_ask ask = ask_of(s3, md5, "POST", name, more);
    ask.text = list->data;
    int rc = s3_ask(&ask, why);
    struct str rest = buf_str(&ask.answer);
    if (rc == 0 && s3_tag(&rest, "Code", &said)) {
        snprintf(why, S3_WHY, "%.60s: %.*s", s3->place.url, said.len < 80 ? (int)said.len : 80, said.ptr);
        rc = -1;
    }
    buf_free(&ask.answer);
    if (rc > 0 && s3_there(s3, md5, &whole, &there, why) != 0) /* the answer of a try before this one may have been lost */
        return -1;
    if (rc > 0)
        return whole && there == size ? 0 : missing(s3, why);
    return rc;
}

static int put_parts(struct s3 *s3, const unsigned char *md5, const char *name, int fd, uint64_t size, char why[S3_WHY])
{
    struct buf list = {.limit = (size_t)4 << 20};
    char id[UPLOAD_ID], more[UPLOAD_ID + 64], unheard[S3_WHY];

    if (parts_begin(s3, md5, name, id, why) != 0)
        return -1;
    buf_printf(&list, "<CompleteMultipartUpload>");
    int rc = parts_send(s3, md5, name, id, fd, size, &list, why);
    if (rc == 0)
        rc = parts_end(s3, md5, name, id, size, &list, why);
    if (rc < 0) { /* its parts are to go */
        snprintf(more, sizeof more, "uploadId=%s", id);
        struct s3_ask ask = ask_of(s3, md5, "DELETE", name, more);
        ask_done(&ask, unheard);
    }
    buf_free(&list);
    return rc;
}

int s3_put(struct s3 *s3, const unsigned char md5[BLOB_MD5], int fd, uint64_t size, bool *stood, char why[S3_WHY])
{
    char name[S3_NAME];
    uint64_t there;

    if (s3_there(s3, md5, stood, &there, why) != 0)
        return -1;
    *stood = *stood && there == size;
    if (*stood)
        return 0;
    s3_name(md5, name);
    return size > s3->part ? put_parts(s3, md5, name, fd, size, why) : put_whole(s3, md5, name, fd, size, why);
}

/* ---- small ones ---- */

int s3_small_get(struct s3 *s3, const char *name, char *out, size_t size, char why[S3_WHY])
{
    struct s3_ask ask = ask_of(s3, NULL, "GET", name, "");
    int rc = s3_ask(&ask, why);

    str_copy(out, size, buf_str(&ask.answer));
    buf_free(&ask.answer);
    return rc;
}

int s3_small_put(struct s3 *s3, const char *name, int fd, uint64_t size, char why[S3_WHY])
{
    struct s3_ask ask = ask_of(s3, NULL, "PUT", name, "");

    ask.from = fd;
    ask.length = size;
    int rc = ask_done(&ask, why);
    return rc > 0 ? missing(s3, why) : rc;
}

/* ---- listed ---- */

/* An object that is named as files are; others are not ours. */
static void object_read(struct s3_page *page, struct str begin, struct str object)
{
    struct str rest = object, key, size, at;
    unsigned char *md5 = page->md5s + (size_t)page->count * BLOB_MD5;

    if (page->count == S3_PAGE || !s3_tag(&rest, "Key", &key) || key.len != begin.len + 2 * BLOB_MD5 ||
        memcmp(key.ptr, begin.ptr, begin.len) != 0 || !blob_read_hex((struct str){key.ptr + begin.len, key.len - begin.len}, md5))
        return;
    rest = object;
    page->sizes[page->count] = s3_tag(&rest, "Size", &size) ? strtoull(size.ptr, NULL, 10) : 0; /* to its end tag */
    rest = object;
    page->at_ms[page->count] = UINT64_MAX; /* not known: it stays */
    if (s3_tag(&rest, "LastModified", &at))
        clock_parse_iso(at.ptr, at.len, &page->at_ms[page->count]);
    page->count++;
}

int s3_list_read(const char *prefix, struct str answer, struct s3_page *page)
{
    char begin[S3_PREFIX + sizeof "assets/"];
    struct str rest = answer, again = answer, object, next;
    int rc = 0;

    snprintf(begin, sizeof begin, "%sassets/", prefix);
    page->count = 0;
    page->next[0] = '\0';
    while (s3_tag(&rest, "Contents", &object))
        object_read(page, str_of(begin), object);
    if (s3_tag(&again, "NextContinuationToken", &next) && next.len > 0) { /* of a length of 0 libcurl would look for a NUL */
        char *text = curl_easy_escape(NULL, next.ptr, (int)next.len);
        if (!text || !str_copy(page->next, sizeof page->next, str_of(text)))
            rc = -1;
        curl_free(text);
    }
    return rc;
}

int s3_list(struct s3 *s3, struct s3_page *page, char why[S3_WHY])
{
    char more[sizeof page->next + 3 * S3_PREFIX + 100];
    char *prefix = curl_easy_escape(NULL, s3->place.prefix, 0);

    if (!prefix) {
        snprintf(why, S3_WHY, "%s", strerror(ENOMEM));
        return -1;
    }
    snprintf(more, sizeof more, "%s%s%slist-type=2&max-keys=%u&prefix=%sassets%%2F", page->next[0] ? "continuation-token=" : "",
             page->next, page->next[0] ? "&" : "", S3_PAGE, prefix);
    curl_free(prefix);
    struct s3_ask ask = ask_of(s3, NULL, "GET", "", more);
    int rc = s3_ask(&ask, why);
    if (rc == 0 && (rc = s3_list_read(s3->place.prefix, buf_str(&ask.answer), page)) != 0)
        snprintf(why, S3_WHY, "%.100s: its list cannot be gone on with",
                 s3->place.url); /* what follows would never be looked at */
    buf_free(&ask.answer);
    return rc > 0 ? missing(s3, why) : rc;
}
