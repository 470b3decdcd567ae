#include "gateway/stats.h"

#include <stdlib.h>

#include "gateway/gateway.h"
#include "proto/clock.h"

#define FRESH_MS 1000
#define DEADLINE_MS 1000
#define WAITERS_MAX 1024

struct question {
    struct stats_asker *asker;
    enum ask_whom whom;
    uint64_t began_us, corr;
    bool asking;
};

struct stats_asker {
    struct gateway *gateway;
    struct stats_view view;
    uint64_t measured_ms; /* monotonic; 0: never */
    struct question questions[2];
    struct {
        struct request *request;
        void (*on_stats)(struct request *request, const struct stats_view *view);
    } waiters[WAITERS_MAX];
    uint32_t waiter_count;
};

bool stats_number(const struct stats_part *part, const char *name, uint64_t *value)
{
    *value = 0;
    for (uint32_t i = 0; i < part->number_count; i++) {
        if (strcmp(part->numbers[i].name, name) == 0) {
            *value = part->numbers[i].value;
            return true;
        }
    }
    return false;
}

const struct stats_times *stats_times(const struct stats_part *part, const char *name)
{
    for (uint32_t i = 0; i < part->times_count; i++) {
        if (strcmp(part->times[i].name, name) == 0)
            return &part->times[i];
    }
    return NULL;
}

/* False when another version's buckets are no such, or too many. */
static bool times_fill(struct stats_times *times, const struct rec_histogram *histogram)
{
    uint32_t count = histogram->bounds.count;

    if (count > HISTOGRAM_BOUNDS || histogram->counts.count != count + 1)
        return false;
    str_copy(times->name, sizeof times->name, histogram->name);
    times->count = count;
    memcpy(times->bounds, histogram->bounds.items, count * sizeof *times->bounds);
    memcpy(times->counts, histogram->counts.items, (count + 1) * sizeof *times->counts);
    times->sum_us = histogram->sum;
    return true;
}

void stats_part_fill(struct stats_part *part, const struct msg_stats_answer *answer)
{
    part->answers = true;
    for (uint32_t i = 0; i < answer->counts.count && part->number_count < STATS_COUNTS; i++) {
        struct stats_number *number = &part->numbers[part->number_count++];
        str_copy(number->name, sizeof number->name, answer->counts.items[i].name);
        number->value = answer->counts.items[i].value;
    }
    for (uint32_t i = 0; i < answer->histograms.count && part->times_count < STATS_HISTOGRAMS; i++)
        part->times_count += times_fill(&part->times[part->times_count], &answer->histograms.items[i]);
}

static void measured(struct stats_asker *asker)
{
    uint32_t count = asker->waiter_count;

    asker->measured_ms = clock_mono_ms();
    asker->waiter_count = 0; /* a waiter may ask something else, never this again */
    for (uint32_t i = 0; i < count; i++)
        asker->waiters[i].on_stats(asker->waiters[i].request, &asker->view);
}

/* A question has ended; msg is NULL when nothing came. */
static void on_answer(void *arg, const struct msg *msg, const struct err *err)
{
    struct question *question = arg;
    struct stats_asker *asker = question->asker;
    struct stats_part *part = &asker->view.parts[question->whom];
    (void)err;

    question->asking = false;
    *part = (struct stats_part){.seconds = (double)(clock_mono_us() - question->began_us) / 1e6};
    if (msg && msg->shape->id == MSG_STATS_ANSWER)
        stats_part_fill(part, &msg->u.stats_answer);
    if (!asker->questions[0].asking && !asker->questions[1].asking)
        measured(asker);
}

static void question_send(struct question *question)
{
    struct bus_client *client = ask_client(question->asker->gateway->ask, question->whom);
    struct msg_stats stats = {0};

    if (!bus_client_is_up(client)) {
        on_answer(question, NULL, NULL);
        return;
    }
    uint64_t corr = bus_ask(client, &shape_msg_stats, &stats, (struct str){NULL, 0}, DEADLINE_MS, on_answer, question);
    if (question->asking)
        question->corr = corr;
}

void stats_ask(struct request *request, void (*on_stats)(struct request *request, const struct stats_view *view))
{
    struct stats_asker *asker = request->gateway->stats;
    bool under_way = asker->questions[0].asking || asker->questions[1].asking;

    if (!under_way && asker->measured_ms > 0 && clock_mono_ms() - asker->measured_ms < FRESH_MS) {
        on_stats(request, &asker->view);
        return;
    }
    if (asker->waiter_count == WAITERS_MAX) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    asker->waiters[asker->waiter_count].request = request;
    asker->waiters[asker->waiter_count++].on_stats = on_stats;
    if (under_way)
        return;
    for (int i = 0; i < 2; i++) {
        asker->questions[i].asking = true;
        asker->questions[i].began_us = clock_mono_us();
    }
    question_send(&asker->questions[0]);
    question_send(&asker->questions[1]);
}

struct stats_asker *stats_asker_new(struct gateway *gateway, struct err *err)
{
    struct stats_asker *asker = calloc(1, sizeof *asker);

    if (!asker) {
        err_set(err, ERR_NO_MEMORY, "no memory for the statistics");
        return NULL;
    }
    asker->gateway = gateway;
    for (int i = 0; i < 2; i++)
        asker->questions[i] = (struct question){.asker = asker, .whom = (enum ask_whom)i};
    return asker;
}

void stats_asker_free(struct stats_asker *asker)
{
    if (!asker)
        return;
    for (int i = 0; i < 2; i++) {
        if (asker->questions[i].asking)
            bus_forget(ask_client(asker->gateway->ask, asker->questions[i].whom), asker->questions[i].corr);
    }
    free(asker);
}
