#include "gateway/health.h"

#include <stdlib.h>

#include "gateway/gateway.h"
#include "gateway/survey.h"
#include "proto/clock.h"

struct health {
    struct survey survey;
    struct health_view view;
    void (*watch)(void *self, const struct health_view *view);
    void *watcher;
};

typedef void health_done(struct request *request, const struct health_view *view);

const char *health_word(bool good)
{
    return good ? "healthy" : "unhealthy";
}

const char *health_state_word(enum health_state state)
{
    static const char *const words[] = {"healthy", "degraded", "unhealthy"};
    return words[state];
}

uint64_t health_count(const struct health_part *part, const char *name)
{
    for (uint32_t i = 0; i < part->count_count; i++) {
        if (strcmp(part->counts[i].name, name) == 0)
            return part->counts[i].value;
    }
    return 0;
}

static void part_fill(struct health_part *part, const struct msg_pong *pong)
{
    part->answers = true;
    part->ready = pong->ready;
    str_copy(part->trouble, sizeof part->trouble, str_cut(pong->trouble, sizeof part->trouble - 1));
    part->count_count = pong->counts.count < HEALTH_COUNTS ? pong->counts.count : HEALTH_COUNTS;
    for (uint32_t i = 0; i < part->count_count; i++) {
        str_copy(part->counts[i].name, sizeof part->counts[i].name, pong->counts.items[i].name);
        part->counts[i].value = pong->counts.items[i].value;
    }
}

static void on_answer(void *self, enum ask_whom whom, const struct msg *msg, double seconds)
{
    struct health *health = self;
    struct health_view *view = &health->view;
    const struct health_part *store = &view->parts[ASK_STORE], *scheduler = &view->parts[ASK_SCHEDULER];

    view->parts[whom] = (struct health_part){.seconds = seconds};
    if (msg && msg->shape->id == MSG_PONG)
        part_fill(&view->parts[whom], &msg->u.pong);
    view->state = HEALTH_HEALTHY;
    if (store->trouble[0] || scheduler->trouble[0])
        view->state = HEALTH_DEGRADED;
    if (!store->ready || !scheduler->ready)
        view->state = HEALTH_UNHEALTHY;
    view->wall_ms = clock_wall_ms();
}

static void on_measured(void *self)
{
    struct health *health = self;

    if (health->watch)
        health->watch(health->watcher, &health->view);
}

static void tell(void *self, struct request *request, survey_done *done)
{
    struct health *health = self;

    ((health_done *)done)(request, &health->view);
}

void health_ask(struct request *request, void (*on_health)(struct request *request, const struct health_view *view))
{
    survey_ask(&request->gateway->health->survey, request, (survey_done *)on_health);
}

void health_measure(struct health *health)
{
    survey_measure(&health->survey);
}

void health_watch(struct health *health, void (*watch)(void *self, const struct health_view *view), void *self)
{
    health->watch = watch;
    health->watcher = self;
}

struct health *health_new(struct gateway *gateway, struct err *err)
{
    static const struct msg_ping ping;
    struct health *health = calloc(1, sizeof *health);

    if (!health) {
        err_set(err, ERR_NO_MEMORY, "no memory for the health check");
        return NULL;
    }
    health->survey = (struct survey){.gateway = gateway,
                                     .shape = &shape_msg_ping,
                                     .question = &ping,
                                     .answered = on_answer,
                                     .measured = on_measured,
                                     .tell = tell,
                                     .self = health};
    survey_init(&health->survey);
    return health;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    survey_close(&health->survey);
    free(health);
}
