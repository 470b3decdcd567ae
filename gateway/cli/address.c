#include "gateway/cli/address.h"

#include <stdio.h>
#include <sys/stat.h>

#include "proto/ident.h"

/* The port that a farm with a free port (0) on this data folder wrote down; 0 if there is none. */
static int written_port(const struct settings *settings)
{
    char folder[256];
    char path[320];
    struct stat there;
    int port = 0;

    if (stat(settings_text(settings, SET_DATA), &there) != 0 ||
        ident_runtime_dir(settings_text(settings, SET_DATA), folder, sizeof folder, NULL) != 0) {
        return 0;
    }
    snprintf(path, sizeof path, "%s/gateway.port", folder);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%5d", &port) != 1 || port < 1 || port > 65535) {
            port = 0;
        }
        fclose(file);
    }
    return port;
}

/* Where one that listens on http.host is reached from this machine. */
static const char *host_of(const struct settings *settings)
{
    const char *host = settings_text(settings, SET_HTTP_HOST);
    bool any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "*") == 0;

    return any ? "localhost" : host;
}

static bool tls(const struct settings *settings)
{
    return settings_text(settings, SET_HTTP_TLS_CERT)[0] != '\0';
}

static void address_write(const struct settings *settings, const char *host, int port, char *out, size_t size)
{
    snprintf(out, size, strchr(host, ':') != NULL ? "%s://[%s]:%d" : "%s://%s:%d", tls(settings) ? "https" : "http", host, port);
}

void address_of_farm(const struct settings *settings, char *out, size_t size)
{
    int port = (int)settings_count_of(settings, SET_HTTP_PORT);
    const char *given = settings_text(settings, SET_CLI_URL);

    if (given[0] != '\0') {
        snprintf(out, size, "%s", given);
        return;
    }
    if (port == 0 || strcmp(settings_source(settings, SET_HTTP_PORT), "default") == 0) {
        int written = written_port(settings);
        port = written != 0 ? written : port;
    }
    /* A certificate for this machine is more likely to be for its name than for its address. */
    const char *host = host_of(settings);
    address_write(settings, tls(settings) && strcmp(host, "127.0.0.1") == 0 ? "localhost" : host, port, out, size);
}

bool address_of_own(const struct settings *settings, char *out, size_t size)
{
    int port = (int)settings_count_of(settings, SET_HTTP_PORT);

    if (port == 0 && (port = written_port(settings)) == 0) {
        return false;
    }
    address_write(settings, host_of(settings), port, out, size);
    return true;
}
