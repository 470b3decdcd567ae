/* `gantry config`, `gantry version` */
#include <stdio.h>

#include "gateway/auth_file.h"
#include "gateway/cli/args.h"
#include "gateway/cli/show.h"
#include "proto/settings_table.h"

static int config_json(const struct settings *settings)
{
    json_t *all = json_object();
    char range[128];

    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        json_object_set_new(all, setting->name,
                            json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s}", "value", settings_text(settings, (enum setting_id)i),
                                      "source", settings_source(settings, (enum setting_id)i), "default", setting->initial,
                                      "values", setting_range(setting, range, sizeof range), "reload", (int)setting->reload,
                                      "read_by", setting->who, "doc", setting->doc));
    }
    int code = show_json(all);
    json_decref(all);
    return code;
}

/* Files of secrets that the settings name, and that others may read: once, whatever is asked for. */
static void tell_exposed(const struct settings *settings)
{
    const char *key = settings_text(settings, SET_HTTP_TLS_KEY), *tokens = settings_text(settings, SET_AUTH_JWT_KEYS);
    char why[PATH_MAX + 128];

    if (key[0] != '\0' && auth_file_exposed(key, why, sizeof why)) {
        fprintf(stderr, "gantry: warning: http.tls_key: %s\n", why);
    }
    if (tokens[0] != '\0' && auth_file_tokens_exposed(tokens, why, sizeof why)) {
        fprintf(stderr, "gantry: warning: auth.jwt_keys: %s\n", why);
    }
}

int config_command(struct cli *cli)
{
    if (args_has(cli->args, "markdown")) {
        settings_markdown(stdout);
        return EXIT_FINE;
    }
    tell_exposed(cli->settings);
    if (cli->json) {
        return config_json(cli->settings);
    }
    if (args_has(cli->args, "explain")) {
        settings_explain(cli->settings, stdout);
        return EXIT_FINE;
    }
    for (size_t i = 0; i < settings_count; i++) {
        const char *source = settings_source(cli->settings, (enum setting_id)i);
        if (strcmp(source, "default") != 0) {
            printf("%s = %s # %s\n", settings_table[i].name, settings_text(cli->settings, (enum setting_id)i), source);
        }
    }
    return EXIT_FINE;
}

int version_command(struct cli *cli)
{
    puts(cli->json ? "{\"version\": \"" GANTRY_VERSION "\"}" : "gantry " GANTRY_VERSION);
    return EXIT_FINE;
}
