/* `gantry config`, `gantry version` */
#include <stdio.h>

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

int config_command(struct cli *cli)
{
    if (args_has(cli->args, "markdown")) {
        settings_markdown(stdout);
        return EXIT_FINE;
    }
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
