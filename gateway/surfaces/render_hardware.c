/* Hardware configs: what there is to be had for which price, from the setting render.hardware. */
#include <stdlib.h>

#include "gateway/gateway.h"
#include "gateway/surfaces/render.h"
#include "gateway/surfaces/transcode.h"
#include "proto/log.h"

#define PARTS 7

/* ---- the setting ---- */

/* The next piece of text, up to the separator. */
static struct str piece(struct str *text, char separator)
{
    const char *end = text->len ? memchr(text->ptr, separator, text->len) : NULL;
    struct str found = {text->ptr, end ? (uint32_t)(end - text->ptr) : text->len};
    uint32_t step = found.len + (end != NULL);

    *text = (struct str){text->ptr + step, text->len - step};
    return str_trim(found, " ");
}

static bool number_of(struct str text, uint64_t max, uint64_t *out)
{
    *out = 0;
    return str_is(text, "0") || (uri_number(text, out) && *out <= max);
}

static bool price_of(struct str text, double *out)
{
    char digits[32], *end;

    if (text.len == 0 || !str_copy(digits, sizeof digits, text) || digits[0] < '0' || digits[0] > '9')
        return false;
    *out = strtod(digits, &end);
    return *end == '\0' && *out >= 0 && *out < 1e9;
}

/* id:name:GB:cores:GPUs:GPU model:price */
static bool config_read(struct str line, struct render_config *out)
{
    struct str parts[PARTS];

    for (unsigned i = 0; i < PARTS; i++)
        parts[i] = piece(&line, ':');
    *out = (struct render_config){.id = parts[0], .name = parts[1], .gpu_model = parts[5]};
    return line.len == 0 && out->id.len > 0 && out->id.len <= 64 && out->name.len > 0 && out->name.len <= 256 &&
           number_of(parts[2], 65536, &out->ram) && number_of(parts[3], 65536, &out->cores) &&
           number_of(parts[4], 1024, &out->gpus) && price_of(parts[6], &out->price);
}

unsigned render_configs(const struct request *request, struct render_config out[RENDER_CONFIGS])
{
    struct str text = str_of(settings_text(request->gateway->settings, SET_RENDER_HARDWARE));
    unsigned count = 0;

    while (text.len && count < RENDER_CONFIGS) {
        struct str line = piece(&text, ';');
        if (line.len && config_read(line, &out[count]))
            count++;
        else if (line.len)
            log_warn("GTY-RENDER-HARDWARE", "render.hardware: \"%.*s\" is not id:name:GB:cores:GPUs:GPU model:price",
                     (int)line.len, line.ptr);
    }
    return count;
}

static bool config_has(const struct render_config *config, uint64_t ram, uint64_t gpus)
{
    return config->ram >= ram && config->gpus >= gpus;
}

const struct render_config *render_config_pick(const struct render_config *configs, unsigned count, struct str id, uint64_t ram,
                                               uint64_t gpus)
{
    const struct render_config *best = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (id.len && str_eq(configs[i].id, id))
            return &configs[i];
        if (!id.len && config_has(&configs[i], ram, gpus) && (!best || configs[i].price < best->price))
            best = &configs[i];
    }
    return best;
}

/* ---- all of them ---- */

static void config_write(struct writer *w, const char *key, const struct render_config *config, int available)
{
    writer_open(w, key, '{');
    writer_text(w, "id", config->id);
    writer_text(w, "config_name", config->name);
    writer_uint(w, "ram", config->ram);
    writer_uint(w, "cpu_cores", config->cores);
    writer_uint(w, "gpu_count", config->gpus);
    writer_text_or_null(w, "gpu_model", config->gpu_model);
    writer_real(w, "price_per_hour", config->price);
    if (available >= 0)
        writer_bool(w, "is_available", available > 0);
    writer_close(w, '}');
}

static void on_fitting(struct request *request, const struct msg *msg)
{
    struct render_config configs[RENDER_CONFIGS];
    unsigned count = render_configs(request, configs);
    struct writer w;

    render_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '[');
    for (unsigned i = 0; i < count; i++) {
        const struct uint_list *fits = msg ? &msg->u.render_fitting.fits : NULL;
        config_write(&w, NULL, &configs[i], fits && i < fits->count && fits->items[i]);
    }
    writer_close(&w, ']');
    render_close(request, &w, 200);
}

void render_hardware(struct request *request)
{
    struct render_config configs[RENDER_CONFIGS];
    unsigned count = render_configs(request, configs);
    uint64_t rams[RENDER_CONFIGS], gpus[RENDER_CONFIGS];
    struct msg_render_fits ask = {.rams = {rams, count}, .gpus = {gpus, count}};

    for (unsigned i = 0; i < count; i++) {
        rams[i] = configs[i].ram;
        gpus[i] = configs[i].gpus;
    }
    if (count)
        ask_soft(request, ASK_SCHEDULER, &shape_msg_render_fits, &ask, on_fitting);
    else
        on_fitting(request, NULL);
}

/* ---- what fits ---- */

static int by_price(const void *a, const void *b)
{
    const struct render_config *left = a, *right = b;

    return left->price < right->price ? -1 : left->price > right->price;
}

void render_match(struct request *request)
{
    struct render_config configs[RENDER_CONFIGS];
    uint64_t ram = 0, gpus = 0;
    unsigned count = 0, fit = 0;
    struct problem problem;
    struct writer w;

    if (request_read_json(request, &problem) != 0 || api_uint(request, "ram", API_OPTIONAL, 4, 512, &ram, &problem) < 0 ||
        api_uint(request, "gpu_count", API_OPTIONAL, 0, 8, &gpus, &problem) < 0) {
        reply_problem(request, &problem);
        return;
    }
    count = render_configs(request, configs);
    qsort(configs, count, sizeof *configs, by_price);
    for (unsigned i = 0; i < count; i++) {
        if (config_has(&configs[i], ram, gpus))
            configs[fit++] = configs[i];
    }
    if (fit == 0) {
        problem_set(&problem, PROBLEM_NOT_FOUND, "ram", "render_match");
        reply_problem(request, &problem);
        return;
    }
    render_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    config_write(&w, "recommended", &configs[0], -1);
    writer_open(&w, "alternatives", '[');
    for (unsigned i = 1; i < fit; i++)
        config_write(&w, NULL, &configs[i], -1);
    writer_close(&w, ']');
    writer_close(&w, '}');
    render_close(request, &w, 200);
}
