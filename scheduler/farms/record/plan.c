#include "scheduler/farms/record/plan.h"

#include <stdbool.h>

struct plan {
    const struct plan_wish *wishes;
    struct plan_slot *slots;
    uint32_t count, lanes, total;
    uint32_t order[PLAN_STREAMS];   /* of wishes: whose turn comes first */
    uint32_t seconds[PLAN_STREAMS]; /* that each may have, by wish */
    uint32_t until[PLAN_STREAMS];   /* when a lane is free; more lanes than wishes are never used */
    uint32_t last[PLAN_STREAMS];    /* the wish that a lane has last */
};

typedef bool before(const struct plan *plan, uint32_t a, uint32_t b);

static bool heavier(const struct plan *plan, uint32_t a, uint32_t b)
{
    return plan->wishes[a].weight > plan->wishes[b].weight;
}

static bool longer(const struct plan *plan, uint32_t a, uint32_t b)
{
    return plan->seconds[a] > plan->seconds[b];
}

/* By insertion, so that equals keep their order. */
static void order_by(struct plan *plan, before *first)
{
    for (uint32_t i = 1; i < plan->count; i++) {
        uint32_t moved = plan->order[i], at = i;
        for (; at > 0 && first(plan, moved, plan->order[at - 1]); at--)
            plan->order[at] = plan->order[at - 1];
        plan->order[at] = moved;
    }
}

static uint32_t lane_free(const struct plan *plan)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < plan->lanes; i++)
        if (plan->until[i] < plan->until[best])
            best = i;
    return best;
}

/* Each in its turn into the lane that is free first. False: something had to be cut or left out. */
static bool lay(struct plan *plan)
{
    bool whole = true;
    for (uint32_t i = 0; i < plan->lanes; i++)
        plan->until[i] = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t wish = plan->order[i], lane = lane_free(plan), room = plan->total - plan->until[lane];
        uint32_t seconds = plan->seconds[wish] < room ? plan->seconds[wish] : room;
        whole = whole && seconds == plan->wishes[wish].seconds;
        plan->slots[wish] = (struct plan_slot){.start = seconds ? plan->until[lane] : 0, .seconds = seconds};
        if (!seconds)
            continue;
        plan->until[lane] += seconds;
        plan->last[lane] = wish;
    }
    return whole;
}

static void want_all(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++)
        plan->seconds[i] = plan->wishes[i].seconds < plan->total ? plan->wishes[i].seconds : plan->total;
}

/* What is there, by weight, among the first `count` of the order; who needs less than his share leaves the rest to the others. */
static void share(struct plan *plan, uint32_t count)
{
    bool served[PLAN_STREAMS] = {false};
    double left = (double)plan->lanes * plan->total;
    for (bool again = true; again;) {
        double weights = 0, given = 0;
        again = false;
        for (uint32_t i = 0; i < count; i++)
            weights += served[i] ? 0 : plan->wishes[plan->order[i]].weight;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t wish = plan->order[i];
            if (served[i] || left * (plan->wishes[wish].weight / weights) < plan->seconds[wish])
                continue;
            served[i] = again = true;
            given += plan->seconds[wish];
        }
        left -= given;
        if (again)
            continue;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t wish = plan->order[i];
            double due = served[i] ? 0 : left * (plan->wishes[wish].weight / weights);
            if (!served[i])
                plan->seconds[wish] = due < 1 ? 1 : (uint32_t)due;
        }
    }
}

/* Seconds that rounding down has left, one each in their turn. */
static void share_rest(struct plan *plan)
{
    int64_t left = (int64_t)plan->lanes * plan->total;
    for (uint32_t i = 0; i < plan->count; i++)
        left -= plan->seconds[i];
    for (bool again = true; again && left > 0;) {
        again = false;
        for (uint32_t i = 0; i < plan->count && left > 0; i++) {
            uint32_t wish = plan->order[i];
            if (plan->seconds[wish] >= plan->wishes[wish].seconds || plan->seconds[wish] >= plan->total)
                continue;
            plan->seconds[wish]++;
            left--;
            again = true;
        }
    }
}

/* What is left at the end of a lane goes to whoever has it last. */
static void stretch(struct plan *plan)
{
    for (uint32_t lane = 0; lane < plan->lanes; lane++) {
        if (!plan->until[lane])
            continue;
        uint32_t wish = plan->last[lane], room = plan->total - plan->until[lane];
        uint32_t lacks = plan->wishes[wish].seconds - plan->slots[wish].seconds;
        plan->slots[wish].seconds += lacks < room ? lacks : room;
    }
}

void plan_make(const struct plan_wish *wishes, uint32_t count, uint32_t lanes, uint32_t total, struct plan_slot *slots)
{
    struct plan plan = {.wishes = wishes, .slots = slots, .count = count, .total = total};
    plan.lanes = lanes < count ? lanes : count;
    for (uint32_t i = 0; i < count; i++)
        plan.order[i] = i;
    order_by(&plan, heavier);
    want_all(&plan);
    if (!count || lay(&plan))
        return;
    order_by(&plan, longer); /* which packs better */
    if (lay(&plan))
        return;
    order_by(&plan, heavier);
    uint64_t most = (uint64_t)plan.lanes * total; /* a second each */
    share(&plan, most < count ? (uint32_t)most : count);
    share_rest(&plan);
    lay(&plan);
    stretch(&plan);
}
