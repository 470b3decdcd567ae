#include "gateway/survey.h"

#include "gateway/gateway.h"
#include "proto/clock.h"

#define FRESH_MS 1000

static bool under_way(const struct survey *survey)
{
    return survey->parts[0].asking || survey->parts[1].asking;
}

static bool fresh(const struct survey *survey)
{
    return survey->measured_ms > 0 && clock_mono_ms() - survey->measured_ms < FRESH_MS;
}

static void finish(struct survey *survey)
{
    uint32_t count = survey->waiter_count;

    survey->measured_ms = clock_mono_ms();
    survey->waiter_count = 0; /* none of them asks this again meanwhile, so the list can be walked */
    for (uint32_t i = 0; i < count; i++)
        survey->tell(survey->self, survey->waiters[i].request, survey->waiters[i].done);
    if (survey->measured)
        survey->measured(survey->self);
}

/* A question has ended; msg is NULL when nothing came. */
static void on_answer(void *arg, const struct msg *msg, const struct err *err)
{
    struct survey_part *part = arg;
    struct survey *survey = part->survey;
    (void)err;

    part->asking = false;
    survey->answered(survey->self, part->whom, msg, (double)(clock_mono_us() - part->began_us) / 1e6);
    if (!under_way(survey))
        finish(survey);
}

static void part_ask(struct survey_part *part)
{
    struct survey *survey = part->survey;
    struct bus_client *client = ask_client(survey->gateway->ask, part->whom);

    if (!bus_client_is_up(client)) { /* no need to wait for what cannot come */
        on_answer(part, NULL, NULL);
        return;
    }
    uint64_t corr =
        bus_ask(client, survey->shape, survey->question, (struct str){NULL, 0}, ask_soft_ms(survey->gateway), on_answer, part);
    if (part->asking)
        part->corr = corr;
}

static void begin(struct survey *survey)
{
    for (int i = 0; i < 2; i++) {
        survey->parts[i].asking = true;
        survey->parts[i].began_us = clock_mono_us();
    }
    part_ask(&survey->parts[0]);
    part_ask(&survey->parts[1]);
}

void survey_ask(struct survey *survey, struct request *request, survey_done *done)
{
    if (!under_way(survey) && fresh(survey)) {
        survey->tell(survey->self, request, done);
        return;
    }
    if (survey->waiter_count == SURVEY_WAITERS) {
        reply_problem_kind(request, PROBLEM_OVERLOADED);
        return;
    }
    survey->waiters[survey->waiter_count].request = request;
    survey->waiters[survey->waiter_count++].done = done;
    if (!under_way(survey))
        begin(survey);
}

void survey_measure(struct survey *survey)
{
    if (!under_way(survey) && !fresh(survey))
        begin(survey);
}

void survey_init(struct survey *survey)
{
    for (int i = 0; i < 2; i++)
        survey->parts[i] = (struct survey_part){.survey = survey, .whom = (enum ask_whom)i};
}

void survey_close(struct survey *survey)
{
    for (int i = 0; i < 2; i++) {
        if (survey->parts[i].asking)
            bus_forget(ask_client(survey->gateway->ask, survey->parts[i].whom), survey->parts[i].corr);
    }
}
