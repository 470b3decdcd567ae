/* Executor http, the half in the run's own process: one request with libcurl. The response goes to stdout (bounded), to the file
 * GANTRY_RESULT (up to 64 KiB), and whole to the file GANTRY_OUTPUT where the task has an output. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"
#include "worker/executors/executor.h"
#include "worker/executors/http.h"

#define STATUSES_MAX 32

struct request {
    char *bytes; /* of the file; the texts below point into it */
    const char *method, *url, *body;
    struct curl_slist *headers;
    long statuses[STATUSES_MAX];
    size_t status_count;
};

struct response {
    size_t total;
    size_t kept;
    char result[HTTP_RESULT_MAX];
    int output; /* -1 if there is none */
    bool failed;
};

static void request_clear(struct request *request)
{
    curl_slist_free_all(request->headers);
    free(request->bytes);
}

static bool request_entry(struct request *request, const char *name, const char *value)
{
    if (strcmp(name, "method") == 0)
        request->method = value;
    else if (strcmp(name, "url") == 0)
        request->url = value;
    else if (strcmp(name, "body") == 0)
        request->body = value;
    else if (strcmp(name, "status") == 0 && request->status_count < STATUSES_MAX)
        request->statuses[request->status_count++] = strtol(value, NULL, 10);
    else if (strcmp(name, "header") == 0) {
        struct curl_slist *headers = curl_slist_append(request->headers, value);
        if (!headers)
            return false;
        request->headers = headers;
    }
    return true;
}

static int request_read(const char *path, struct request *request)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size <= 0 || (size_t)info.st_size > HTTP_REQUEST_MAX)
        goto error;
    size_t len = (size_t)info.st_size;
    request->bytes = malloc(len);
    if (!request->bytes || read(fd, request->bytes, len) != (ssize_t)len || request->bytes[len - 1] != '\0')
        goto error;
    for (char *at = request->bytes, *next; at < request->bytes + len; at = next) {
        next = at + strlen(at) + 1;
        char *equals = strchr(at, '=');
        if (!equals)
            goto error;
        *equals = '\0';
        if (!request_entry(request, at, equals + 1))
            goto error;
    }
    close(fd);
    return request->method && request->url ? 0 : -1;
error:
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool write_whole(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t put = write(fd, data, len);
        if (put < 0 && errno != EINTR)
            return false;
        data += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    struct response *response = arg;
    size_t len = size * count, keep = HTTP_RESULT_MAX - response->kept, before = response->total;
    keep = len < keep ? len : keep;
    memcpy(response->result + response->kept, data, keep);
    response->kept += keep;
    response->total += len;
    if (before < HTTP_PRINT_MAX)
        fwrite(data, 1, len < HTTP_PRINT_MAX - before ? len : HTTP_PRINT_MAX - before, stdout);
    if (response->output >= 0 && !write_whole(response->output, data, len)) {
        fprintf(stderr, "cannot write the output: %s\n", strerror(errno));
        response->failed = true;
        return 0;
    }
    if (response->total > HTTP_RESPONSE_MAX) {
        fprintf(stderr, "the response is longer than %zu bytes\n", HTTP_RESPONSE_MAX);
        response->failed = true;
        return 0;
    }
    return len;
}

static int result_write(const struct response *response)
{
    const char *path = getenv("GANTRY_RESULT");
    static char text[HTTP_RESULT_MAX];
    if (!path)
        return 0;
    size_t len = str_clean(text, sizeof(text), (struct str){response->result, (uint32_t)response->kept});
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool well = fd >= 0 && write_whole(fd, text, len);
    if (fd >= 0)
        close(fd);
    return well ? 0 : -1;
}

static bool status_expected(const struct request *request, long status)
{
    for (size_t i = 0; i < request->status_count; i++)
        if (request->statuses[i] == status)
            return true;
    return request->status_count == 0 && status >= 200 && status < 300;
}

/* The method. libcurl repeats a custom one behind every redirect, while GET and POST of its own change as the statuses ask: what answers
 * a POST with 303 is to be read by a GET. */
static void curl_method(CURL *curl, const struct request *request)
{
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (strcmp(request->method, "POST") == 0 && !request->body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    else if (strcmp(request->method, request->body ? "POST" : "GET") != 0)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* http and https only, also behind a redirect. */
static void curl_prepare(CURL *curl, const struct request *request, struct response *response, char *error)
{
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "gantry/" GANTRY_VERSION);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, response);
    curl_method(curl, request);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->headers);
}

/* The URL as a log may show it: who the run calls itself there is nobody else's to know. The caller's to curl_free; NULL: none. */
static char *url_shown(const char *url)
{
    CURLU *parts = curl_url();
    char *shown = NULL;
    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK)
        curl_url_get(parts, CURLUPART_URL, &shown, 0);
    curl_url_cleanup(parts);
    return shown;
}

static int request_perform(const struct request *request, struct response *response)
{
    char error[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    if (!curl) {
        fprintf(stderr, "libcurl cannot be started\n");
        return 1;
    }
    curl_prepare(curl, request, response, error);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    fflush(stdout);
    if (response->total > HTTP_PRINT_MAX)
        fprintf(stderr, "the response has %zu bytes; the log shows the first %zu\n", response->total, HTTP_PRINT_MAX);
    if (response->failed)
        return 1;
    if (code != CURLE_OK) {
        char *shown = url_shown(request->url);
        fprintf(stderr, "%s: %s\n", shown ? shown : "the URL", error[0] ? error : curl_easy_strerror(code));
        curl_free(shown);
        return 1;
    }
    if (result_write(response) < 0) {
        fprintf(stderr, "the result cannot be written: %s\n", strerror(errno));
        return 1;
    }
    if (!status_expected(request, status)) {
        char *shown = url_shown(request->url);
        fprintf(stderr, "%s %s answered status %ld\n", request->method, shown ? shown : "the URL", status);
        curl_free(shown);
        return 1;
    }
    return 0;
}

int http_main(const char *request_file)
{
    static struct response response;
    struct request request = {0};
    const char *output = getenv("GANTRY_OUTPUT");
    int rc = 1;
    response.output = -1;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || request_read(request_file, &request) < 0) {
        fprintf(stderr, "the request cannot be read from %s\n", request_file);
        goto error;
    }
    if (output && (response.output = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) {
        fprintf(stderr, "cannot write the output %s: %s\n", output, strerror(errno));
        goto error;
    }
    rc = request_perform(&request, &response);
    if (response.output >= 0)
        close(response.output);
error:
    request_clear(&request);
    curl_global_cleanup();
    return rc;
}
