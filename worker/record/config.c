#include "worker/record/config.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "proto/messages.h"
#include "proto/url.h"

static int seconds_read(const json_t *object, const char *name, unsigned otherwise, unsigned high, unsigned *out, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    double number = value ? json_number_value(value) : otherwise;
    if ((value && !json_is_number(value)) || !(number >= 1 && number <= high))
        return err_set(err, ERR_INVALID, "parameter %s is to be a number of seconds from 1 to %u", name, high);
    *out = (unsigned)number;
    return 0;
}

static bool url_fits(const char *url)
{
    bool rtsp = strncasecmp(url, "rtsp://", 7) == 0 && url[7], rtsps = strncasecmp(url, "rtsps://", 8) == 0 && url[8];
    if ((!rtsp && !rtsps) || strlen(url) > RECORD_URL_MAX)
        return false;
    for (const char *at = url; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return false;
    return true;
}

static bool output_fits(const char *path)
{
    const char *base = strrchr(path, '/');
    return path[0] == '/' && strlen(path) < PUBLISH_PATH && !publish_parent_step(path) && base[1] && strcmp(base, "/.") != 0;
}

/* Where all recordings are, and what is to be true of that. */
static int place_read(const json_t *object, struct record_config *config, struct err *err)
{
    const json_t *root = json_object_get(object, "root"), *marked = json_object_get(object, "marked"),
                 *least = json_object_get(object, "min_free");
    const char *path = root ? json_string_value(root) : "";
    size_t len = path ? strlen(path) : 0;
    if (!path || len >= sizeof(config->root) || (len && (strncmp(path, config->output, len) != 0 || config->output[len] != '/')))
        return err_set(err, ERR_INVALID, "parameter root is to be a folder that output is below");
    if ((marked && !json_is_integer(marked)) || (least && (!json_is_integer(least) || json_integer_value(least) < 0)))
        return err_set(err, ERR_INVALID, "parameters marked and min_free are to be whole numbers");
    memcpy(config->root, path, len + 1);
    config->marked = json_integer_value(marked) != 0;
    config->min_free = (uint64_t)json_integer_value(least);
    return 0;
}

static int object_read(const json_t *object, struct record_config *config, struct err *err)
{
    const char *url = json_string_value(json_object_get(object, "url"));
    const char *output = json_string_value(json_object_get(object, "output"));
    if (!url || !url_fits(url))
        return err_set(err, ERR_INVALID,
                       "parameter url is to be an address rtsp://… or rtsps://… of at most %d bytes, without blanks",
                       RECORD_URL_MAX);
    if (!output || !output_fits(output))
        return err_set(err, ERR_INVALID, "parameter output is to be the absolute name of a file, without ..");
    snprintf(config->url, sizeof(config->url), "%s", url);
    snprintf(config->output, sizeof(config->output), "%s", output);
    if (!json_object_get(object, "duration_s"))
        return err_set(err, ERR_INVALID, "it needs the parameter duration_s");
    if (seconds_read(object, "duration_s", 1, RECORD_DURATION_MAX, &config->duration_s, err) < 0 ||
        seconds_read(object, "connect_s", RECORD_CONNECT, RECORD_TIMEOUT_MAX, &config->connect_s, err) < 0)
        return -1;
    const json_t *until = json_object_get(object, "until_ms");
    if (until && (!json_is_integer(until) || json_integer_value(until) < 0))
        return err_set(err, ERR_INVALID, "parameter until_ms is to be a time in milliseconds");
    config->until_ms = (uint64_t)json_integer_value(until);
    if (place_read(object, config, err) < 0)
        return -1;
    return seconds_read(object, "read_s", RECORD_READ, RECORD_TIMEOUT_MAX, &config->read_s, err);
}

int record_config_read(struct str json, struct record_config *config, struct err *err)
{
    json_error_t why;
    json_t *object = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &why);
    *config = (struct record_config){0};
    int rc = json_is_object(object) ? object_read(object, config, err)
                                    : err_set(err, ERR_INVALID, "the run's parameters cannot be read: %.150s", why.text);
    json_decref(object);
    return rc;
}

enum record_fault record_place_check(const struct record_config *config, struct err *err)
{
    char marker[PUBLISH_PATH + sizeof(RECORDER_MARKER) + 1];
    struct stat info;
    struct statvfs disk;
    if (!config->root[0])
        return FAULT_NONE;
    snprintf(marker, sizeof(marker), "%s/" RECORDER_MARKER, config->root);
    if (config->marked && lstat(marker, &info) < 0) {
        err_set(err, ERR_IO, "the output folder has lost its marker %.150s", marker);
        return FAULT_UNMOUNTED;
    }
    if (!config->min_free || statvfs(config->root, &disk) < 0)
        return FAULT_NONE;
    uint64_t there = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (there >= config->min_free)
        return FAULT_NONE;
    err_set(err, ERR_IO, "%llu MB are free, and a recording begins with %llu", there / 1000000ULL,
            (config->min_free + 999999ULL) / 1000000ULL);
    return FAULT_FULL;
}

int64_t record_due_us(const struct record_config *config, uint64_t start_ms)
{
    int64_t due = config->duration_s * INT64_C(1000000);
    if (config->until_ms == 0)
        return due;
    uint64_t left = config->until_ms > start_ms ? config->until_ms - start_ms : 0;
    return left < (uint64_t)due / 1000 ? (int64_t)left * 1000 : due;
}

/* ---- words without secrets ---- */

/* The parts of an address that nobody is to see: user and password, and the query. */
struct secrets {
    struct str user, query;
};

static struct str user_of(const char *behind_scheme)
{
    size_t authority = strcspn(behind_scheme, "/?# \t\n'\"");
    const char *at = authority ? memrchr(behind_scheme, '@', authority) : NULL;
    return (struct str){behind_scheme, at ? (uint32_t)(at - behind_scheme) : 0};
}

static struct secrets secrets_of(const char *url)
{
    const char *scheme = strstr(url, "://"), *query = strchr(url, '?');
    return (struct secrets){scheme ? user_of(scheme + 3) : (struct str){0}, query ? str_of(query + 1) : (struct str){0}};
}

static bool begins(const char *text, struct str word)
{
    return word.len > 2 && strncmp(text, word.ptr, word.len) == 0;
}

/* How much of text from here on is secret. */
static size_t secret_here(const struct secrets *secrets, const char *start, const char *text)
{
    if (begins(text, secrets->user))
        return secrets->user.len;
    if (begins(text, secrets->query))
        return secrets->query.len;
    if (text - start >= 3 && memcmp(text - 3, "://", 3) == 0)
        return user_of(text).len;
    return url_is_secret(start, text) ? strcspn(text, "& \t\n'\"") : 0;
}

void record_mask(const char *url, const char *text, char *out, size_t size)
{
    struct secrets secrets = secrets_of(url);
    size_t len = 0;
    for (const char *at = text; *at;) {
        size_t secret = secret_here(&secrets, text, at), room = size - 1 - len;
        const char *put = secret ? URL_MASK : at;
        size_t put_len = secret ? sizeof(URL_MASK) - 1 : 1;
        if (put_len > room)
            break;
        memcpy(out + len, put, put_len);
        len += put_len;
        at += secret ? secret : 1;
    }
    out[len] = '\0';
}
