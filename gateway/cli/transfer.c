/* Files to the farm and from it. They go over a connection of their own, which libcurl keeps: its options are made anew for each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "gateway/cli/client_parts.h"
#include "proto/messages.h"

#define SILENT_S 600L /* a farm that has all of a large file reads it once more before it answers */

struct move {
    struct client *client;
    struct client_transfer *transfer;
    struct curl_slist *headers;
    curl_mime *form;
    int fd;
    uint64_t left; /* bytes that are still to be sent */
};

/* ---- libcurl's callbacks ---- */

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    const struct move *move = arg;

    (void)down_all, (void)up_all;
    if (move->transfer->moved != NULL) {
        move->transfer->moved(move->transfer->arg, (uint64_t)down + (uint64_t)up);
    }
    return client_interrupted(move->client) ? 1 : 0;
}

static size_t on_send(char *out, size_t size, size_t count, void *arg)
{
    struct move *move = arg;
    size_t most = size * count < move->left ? size * count : (size_t)move->left;
    ssize_t got;

    do {
        got = read(move->fd, out, most);
    } while (got < 0 && errno == EINTR && !client_interrupted(move->client));
    if (got < 0 || (got == 0 && most > 0)) { /* it became shorter */
        return CURL_READFUNC_ABORT;
    }
    move->left -= (uint64_t)got;
    return (size_t)got;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct move *move = arg;

    if (origin != SEEK_SET || lseek(move->fd, (off_t)move->transfer->from + offset, SEEK_SET) < 0) {
        return CURL_SEEKFUNC_FAIL;
    }
    move->left = move->transfer->length - (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
    struct move *move = arg;
    long status = 0;

    curl_easy_getinfo(move->client->moving, CURLINFO_RESPONSE_CODE, &status);
    if (move->transfer->take == NULL || (status != 200 && status != 206)) {
        return client_gather(data, size, count, &move->client->answer);
    }
    return move->transfer->take(move->transfer->arg, status, data, size * count) == 0 ? size * count : 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    static const char name[] = "location:";
    struct move *move = arg;
    struct str line = {data, (uint32_t)(size * count)};

    if (line.len > sizeof name && strncasecmp(data, name, sizeof name - 1) == 0) {
        struct str value = str_trim((struct str){data + sizeof name - 1, line.len - (uint32_t)(sizeof name - 1)}, " \t\r\n");
        str_copy(move->transfer->location, sizeof move->transfer->location, value);
    }
    return size * count;
}

/* ---- a request ---- */

static int form_make(struct move *move)
{
    const struct client_transfer *transfer = move->transfer;
    CURL *curl = move->client->moving;
    CURLcode rc = CURLE_OK;

    move->form = curl_mime_init(curl);
    for (const struct client_field *field = transfer->form; move->form != NULL && rc == CURLE_OK && field->name != NULL;
         field++) {
        curl_mimepart *part = curl_mime_addpart(move->form);
        rc = part == NULL ? CURLE_OUT_OF_MEMORY : curl_mime_name(part, field->name);
        rc = rc != CURLE_OK ? rc : curl_mime_data(part, field->value, CURL_ZERO_TERMINATED);
    }
    if (move->form != NULL && rc == CURLE_OK && transfer->file != NULL) {
        curl_mimepart *part = curl_mime_addpart(move->form);
        rc = part == NULL ? CURLE_OUT_OF_MEMORY : curl_mime_name(part, "file");
        rc = rc != CURLE_OK ? rc : curl_mime_filedata(part, transfer->file);
        rc = rc != CURLE_OK ? rc : curl_mime_filename(part, "file"); /* what it is called is said by `path` */
    }
    return move->form != NULL && rc == CURLE_OK && curl_easy_setopt(curl, CURLOPT_MIMEPOST, move->form) == CURLE_OK ? 0 : -1;
}

static int body_make(struct move *move, struct err *err)
{
    const struct client_transfer *transfer = move->transfer;
    CURL *curl = move->client->moving;

    if (transfer->form != NULL) {
        return form_make(move) == 0 ? 0
                                    : err_set(err, ERR_IO, "%s cannot be read, or there is no memory",
                                              transfer->file != NULL ? transfer->file : "the form");
    }
    if (transfer->file != NULL) {
        move->fd = open(transfer->file, O_RDONLY | O_CLOEXEC);
        if (move->fd < 0 || on_seek(move, 0, SEEK_SET) != CURL_SEEKFUNC_OK) {
            return err_set(err, ERR_IO, "%s: %s", transfer->file, strerror(errno));
        }
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)transfer->length);
    } else if (strcmp(transfer->method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    }
    return 0;
}

static int headers_make(struct move *move)
{
    bool failed = false;

    move->headers = client_headers(move->client, false, &failed);
    for (size_t i = 0; !failed && i < CLIENT_HEADERS && move->transfer->headers[i] != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(move->headers, move->transfer->headers[i]);
        failed = longer == NULL;
        move->headers = failed ? move->headers : longer;
    }
    return failed ? -1 : 0;
}

static int request_make(struct move *move, struct err *err)
{
    const struct client_transfer *transfer = move->transfer;
    CURL *curl = move->client->moving;
    char *url = NULL;

    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L); /* nothing is left of the one before */
    if (asprintf(&url, "%s%s%s", move->client->url, move->client->base, transfer->path) < 0) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    bool set = headers_make(move) == 0 && curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    free(url);
    if (!set) {
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    }
    if (body_make(move, err) != 0) {
        return -1;
    }
    const char *method = transfer->form == NULL && strcmp(transfer->method, "GET") != 0 ? transfer->method : NULL;
    set = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, move->headers);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, move);
    curl_easy_setopt(curl, CURLOPT_READDATA, move);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, move);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, move);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, move);
    return set ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* The handle for files: as the client's own, certificates included. */
static int handle_make(struct client *client)
{
    CURL *curl = client->moving != NULL ? NULL : curl_easy_duphandle(client->curl);

    if (client->moving != NULL) {
        return 0;
    }
    if (curl == NULL) {
        return -1;
    }
    client->moving = curl;
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENT_S);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    return 0;
}

/* ---- one try ---- */

static int move_run(struct move *move, json_t **data, struct err *err)
{
    struct client *client = move->client;
    struct client_transfer *transfer = move->transfer;
    long sent = 0;

    buf_reset(&client->answer);
    CURLcode code = curl_easy_perform(client->moving);
    client->unreachable = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
    curl_easy_getinfo(client->moving, CURLINFO_REQUEST_SIZE, &sent);
    curl_easy_getinfo(client->moving, CURLINFO_RESPONSE_CODE, &transfer->status);
    client->reached = sent > 0;
    if (code == CURLE_ABORTED_BY_CALLBACK && !client_interrupted(client)) {
        return err_set(err, ERR_IO, "%s has become shorter while it was sent", transfer->file);
    }
    if (code != CURLE_OK) {
        transfer->status = 0;
        return client_failed(client, code, false, err);
    }
    bool well = transfer->status >= 200 && transfer->status < 300;
    if (well && (transfer->take != NULL || client->answer.len == 0)) {
        return 0;
    }
    return client_answer(client, transfer->status, data, err);
}

int client_move(struct client *client, struct client_transfer *transfer, json_t **data, struct err *err)
{
    struct move move = {.client = client, .transfer = transfer, .fd = -1};

    transfer->status = 0;
    transfer->location[0] = '\0';
    if (data != NULL) {
        *data = NULL;
    }
    int rc = handle_make(client) == 0 ? request_make(&move, err) : err_set(err, ERR_NO_MEMORY, "out of memory");
    if (rc == 0) {
        rc = move_run(&move, data, err);
    }
    if (client->moving != NULL) {
        curl_easy_setopt(client->moving, CURLOPT_HTTPHEADER, NULL);
        curl_easy_setopt(client->moving, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(client->moving, CURLOPT_MIMEPOST, NULL);
    }
    curl_mime_free(move.form);
    curl_slist_free_all(move.headers);
    if (move.fd >= 0) {
        close(move.fd);
    }
    return rc;
}
