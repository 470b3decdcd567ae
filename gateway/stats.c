#include "gateway/stats.h"

#include <stdlib.h>

#include "gateway/gateway.h"
#include "gateway/survey.h"

struct stats_asker {
    struct survey survey;
    struct stats_view view;
};

typedef void stats_done(struct request *request, const struct stats_view *view);

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

static void on_answer(void *self, enum ask_whom whom, const struct msg *msg, double seconds)
{
    struct stats_asker *asker = self;
    struct stats_part *part = &asker->view.parts[whom];

    *part = (struct stats_part){.seconds = seconds};
    if (msg && msg->shape->id == MSG_STATS_ANSWER)
        stats_part_fill(part, &msg->u.stats_answer);
}

static void tell(void *self, struct request *request, survey_done *done)
{
    struct stats_asker *asker = self;

    ((stats_done *)done)(request, &asker->view);
}

void stats_ask(struct request *request, void (*on_stats)(struct request *request, const struct stats_view *view))
{
    survey_ask(&request->gateway->stats->survey, request, (survey_done *)on_stats);
}

struct stats_asker *stats_asker_new(struct gateway *gateway, struct err *err)
{
    static const struct msg_stats stats;
    struct stats_asker *asker = calloc(1, sizeof *asker);

    if (!asker) {
        err_set(err, ERR_NO_MEMORY, "no memory for the statistics");
        return NULL;
    }
    asker->survey = (struct survey){
        .gateway = gateway, .shape = &shape_msg_stats, .question = &stats, .answered = on_answer, .tell = tell, .self = asker};
    survey_init(&asker->survey);
    return asker;
}

void stats_asker_free(struct stats_asker *asker)
{
    if (!asker)
        return;
    survey_close(&asker->survey);
    free(asker);
}
