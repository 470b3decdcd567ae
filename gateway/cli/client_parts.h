/* What the files of the client share: its insides, and the steps of a request. */
#ifndef GANTRY_CLI_CLIENT_PARTS_H
#define GANTRY_CLI_CLIENT_PARTS_H

#include <curl/curl.h>

#include "gateway/cli/client.h"
#include "proto/buf.h"

struct client {
    CURL *curl;
    CURL *moving; /* for files, made when it is first needed */
    char *url;
    const char *base; /* what its API's paths begin with */
    bool bare;        /* whose answers have no envelope */
    char *bearer;     /* whole header, or NULL */
    struct buf answer;
    uint64_t unreachable_ms, unavailable_ms;
    char trouble[CURL_ERROR_SIZE]; /* of the last try */
    bool unreachable;              /* the last try did not even connect */
    bool reached;                  /* some try of this call sent its request */
    void (*tell)(void *arg, const struct err *why);
    void *tell_arg;
    const volatile sig_atomic_t *interrupt;
    const char *key;
    long timeout_ms;
};

bool client_interrupted(const struct client *client);
/* libcurl's write function for what goes into client->answer, a struct buf. */
size_t client_gather(char *data, size_t size, size_t count, void *arg);
/* Headers of each request; write: its body is JSON, and it has a key. *failed: no memory, what is answered is not all of it. */
struct curl_slist *client_headers(const struct client *client, bool write, bool *failed);
/* Why libcurl gave up, as a sentence; write: something may have happened. Answers -1. */
int client_failed(const struct client *client, CURLcode rc, bool write, struct err *err);
/* What was answered, as JSON: as client_call. */
int client_answer(const struct client *client, long status, json_t **data, struct err *err);

#endif
