/* `gantry key worker` and `gantry key process`: whose certificates the farm lets in over tcp. They work on the folder of certificates, on
 * the machine of who listens, which sees what has changed by itself. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/deed.h"
#include "gateway/cli/show.h"
#include "proto/curve_keys.h"

struct folders {
    char list[PATH_MAX];   /* curve.h: allowed/ or trusted/ */
    char server[PATH_MAX]; /* the farm's public certificate */
};

static int fail(const char *text)
{
    fprintf(stderr, "gantry key: %s\n", text);
    return EXIT_TROUBLE;
}

static int folders_of(const struct settings *settings, const char *list, struct folders *folders)
{
    const char *set = settings_text(settings, SET_BUS_CURVE_DIR);
    const char *data = settings_text(settings, SET_DATA);
    const char *base = set[0] != '\0' ? set : data, *below = set[0] != '\0' ? "" : "/curve";
    int listed = snprintf(folders->list, PATH_MAX, "%s%s/%s", base, below, list);
    int server = snprintf(folders->server, PATH_MAX, "%s%s/server.key", base, below);
    return listed < PATH_MAX && server < PATH_MAX ? 0 : -1;
}

/* What the other side needs beside its own pair: the certificate it knows the farm by. */
static bool server_copy(const char *from, const char *folder)
{
    char path[PATH_MAX], bytes[4096];
    FILE *in = fopen(from, "re");
    size_t len = in != NULL ? fread(bytes, 1, sizeof bytes, in) : 0;
    bool whole = false;

    if (in != NULL) {
        fclose(in);
    }
    if (len == 0 || snprintf(path, sizeof path, "%s/server.key", folder) >= (int)sizeof path) {
        return false;
    }
    FILE *out = fopen(path, "we");
    if (out != NULL) {
        whole = fwrite(bytes, 1, len, out) == len;
        whole = fclose(out) == 0 && whole;
    }
    return whole;
}

static int add(struct cli *cli, const struct folders *folders, const char *list_name, const char *name)
{
    const char *given = args_text(cli->args, "public-key");
    const char *out = args_text(cli->args, "out");
    char key[CURVE_KEY + 1];
    struct err err = {0};

    if (given != NULL) {
        if (!curve_key_valid(given)) {
            return fail("--public-key: expected the 40 characters of a public key, as in its owner's curve/client.key");
        }
        str_copy(key, sizeof key, str_of(given));
    } else if (curve_keys_make(out != NULL ? out : name, key, &err) != 0) {
        return fail(err.text);
    }
    if (curve_keys_add(folders->list, name, key, &err) != 0) {
        return fail(err.text);
    }
    printf("%s %s\n", name, key);
    fflush(stdout);
    deed_tell(cli, "gantry key %s add %s (%s)", list_name, name, key);
    if (given == NULL) {
        bool knows = server_copy(folders->server, out != NULL ? out : name);
        fprintf(stderr, "its certificates are in %s: they are its owner's curve/ folder%s\n", out != NULL ? out : name,
                knows ? "" : ", with the farm's curve/server.key, which is not there yet");
    }
    return EXIT_FINE;
}

static void list_row(void *arg, const char *name, const char *key)
{
    json_t *all = arg;

    if (all != NULL) {
        json_array_append_new(all, json_pack("{s:s, s:s}", "name", name, "public_key", key));
    } else {
        printf("%-40s  %s\n", key[0] != '\0' ? key : "(no key)", name);
    }
}

static int list(const struct cli *cli, const struct folders *folders)
{
    json_t *all = cli->json ? json_array() : NULL;
    struct err err = {0};
    int rc = curve_keys_each(folders->list, list_row, all, &err);
    int code = rc != 0 ? fail(err.text) : cli->json ? show_json(all) : EXIT_FINE;

    json_decref(all);
    return code;
}

/* list_name: as the command has it; folder: as curve.h does. */
static int key_command(struct cli *cli, const char *list_name, const char *folder)
{
    const char *action = args_at(cli->args, 0);
    const char *name = args_count(cli->args) > 1 ? args_at(cli->args, 1) : NULL;
    struct folders folders;
    struct err err = {0};

    if (folders_of(cli->settings, folder, &folders) != 0) {
        return fail("the path of the folder is too long");
    }
    if (strcmp(action, "list") == 0 && name == NULL) {
        return list(cli, &folders);
    }
    bool adds = strcmp(action, "add") == 0;
    if ((!adds && strcmp(action, "revoke") != 0) || name == NULL) {
        fprintf(stderr, "gantry key: expected `list`, `add NAME` or `revoke NAME`\n");
        return EXIT_USAGE;
    }
    if (!curve_name_valid(name)) {
        return fail("a key's name has 1 to 64 characters out of A-Z a-z 0-9 . _ -");
    }
    if (adds) {
        return add(cli, &folders, list_name, name);
    }
    if (curve_keys_remove(folders.list, name, &err) != 0) {
        return fail(err.text);
    }
    deed_tell(cli, "gantry key %s revoke %s", list_name, name);
    return EXIT_FINE;
}

int key_worker(struct cli *cli)
{
    return key_command(cli, "worker", "allowed");
}

int key_process(struct cli *cli)
{
    return key_command(cli, "process", "trusted");
}
