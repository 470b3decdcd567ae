#include "scheduler/farms/record/plan.h"

#include <stdbool.h>

#define LEVEL_STEPS 128 /* halvings until a level is found, as near as numbers go */
#define SMALL 1e-6      /* that a share may lack of a second through its numbers */

struct plan {
    const struct plan_wish *wishes;
    struct plan_slot *slots;
    uint32_t count, lanes, total;
    uint32_t order[PLAN_STREAMS];   /* of wishes: whose turn comes first */
    uint32_t most[PLAN_STREAMS];    /* seconds that each can have, by wish */
    uint32_t seconds[PLAN_STREAMS]; /* that each is to have, by wish */
    uint32_t lane[PLAN_STREAMS];    /* by wish */
    uint32_t until[PLAN_STREAMS];   /* when a lane is free; more lanes than wishes are never used */
};

typedef bool before(const struct plan *plan, uint32_t a, uint32_t b);

static bool heavier(const struct plan *plan, uint32_t a, uint32_t b)
{
    double one = plan->wishes[a].weight, other = plan->wishes[b].weight;
    return one > other || (one == other && a < b);
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

static void lanes_clear(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->lanes; i++)
        plan->until[i] = 0;
}

static uint32_t lane_free(const struct plan *plan)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < plan->lanes; i++)
        if (plan->until[i] < plan->until[best])
            best = i;
    return best;
}

/* Each in its turn into the lane that is free first, with the seconds that it is to have: false, where one is longer than the total then. */
static bool pack(struct plan *plan)
{
    bool fits = true;
    lanes_clear(plan);
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t wish = plan->order[i], lane = lane_free(plan);
        plan->lane[wish] = lane;
        plan->until[lane] += plan->seconds[wish];
        fits = fits && plan->until[lane] <= plan->total;
    }
    return fits;
}

/* In its lane each in its turn. */
static void lay(struct plan *plan)
{
    lanes_clear(plan);
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t wish = plan->order[i], seconds = plan->seconds[wish], *until = &plan->until[plan->lane[wish]];
        plan->slots[wish] = (struct plan_slot){.start = seconds ? *until : 0, .seconds = seconds};
        *until += seconds;
    }
}

/* Whether all have been laid whole. */
static bool lay_whole(struct plan *plan)
{
    bool whole = pack(plan);
    for (uint32_t i = 0; i < plan->count; i++)
        whole = whole && plan->seconds[i] == plan->wishes[i].seconds;
    if (whole)
        lay(plan);
    return whole;
}

/* ---- shares ---- */

struct shared {
    const uint32_t *who; /* wishes, in their turn */
    uint32_t count;      /* no more than there are seconds */
    uint64_t room;       /* seconds */
    const double *parts; /* by wish: what they are shared in proportion to */
};

static double share_of(const struct plan *plan, const struct shared *shared, uint32_t wish, double level)
{
    double share = shared->parts[wish] * level;
    return share > plan->most[wish] ? plan->most[wish] : share < 1 ? 1 : share;
}

/* The highest level at which all have room: who can have less than his share leaves the rest to the others. */
static double level_find(const struct plan *plan, const struct shared *shared)
{
    double low = 0, high = 0;
    for (uint32_t i = 0; i < shared->count; i++) {
        double enough = plan->most[shared->who[i]] / shared->parts[shared->who[i]];
        high = enough > high ? enough : high;
    }
    for (int step = 0; step < LEVEL_STEPS; step++) {
        double level = step ? low + (high - low) / 2 : high, sum = 0;
        for (uint32_t i = 0; i < shared->count; i++)
            sum += share_of(plan, shared, shared->who[i], level);
        *(sum <= (double)shared->room ? &low : &high) = level;
    }
    return low;
}

/* Gives each its seconds, at least one; those that rounding down has left go one each in their turn. */
static void share(struct plan *plan, const struct shared *shared)
{
    double level = level_find(plan, shared);
    uint64_t left = shared->room;
    for (uint32_t i = 0; i < shared->count; i++) {
        uint32_t wish = shared->who[i];
        plan->seconds[wish] = (uint32_t)(share_of(plan, shared, wish, level) + SMALL);
        left -= plan->seconds[wish];
    }
    for (bool again = true; again && left > 0;) {
        again = false;
        for (uint32_t i = 0; i < shared->count && left > 0; i++) {
            uint32_t wish = shared->who[i];
            if (plan->seconds[wish] >= plan->most[wish])
                continue;
            plan->seconds[wish]++;
            left--;
            again = true;
        }
    }
}

/* What is due to each by weight. */
static void share_all(struct plan *plan)
{
    double weights[PLAN_STREAMS];
    struct shared all = {.who = plan->order, .count = plan->count, .room = (uint64_t)plan->lanes * plan->total, .parts = weights};
    for (uint32_t i = 0; i < plan->count; i++) {
        weights[i] = plan->wishes[i].weight;
        plan->seconds[i] = 0;
    }
    if (all.count > all.room) /* a second each */
        all.count = (uint32_t)all.room;
    share(plan, &all);
}

/* A lane's own length, in proportion to what is due to those in it. */
static void share_lane(struct plan *plan, uint32_t lane)
{
    double due[PLAN_STREAMS];
    uint32_t who[PLAN_STREAMS];
    struct shared those = {.who = who, .room = plan->total, .parts = due};
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t wish = plan->order[i];
        if (!plan->seconds[wish] || plan->lane[wish] != lane)
            continue;
        due[wish] = plan->seconds[wish];
        who[those.count++] = wish;
    }
    share(plan, &those);
}

void plan_make(const struct plan_wish *wishes, uint32_t count, uint32_t lanes, uint32_t total, struct plan_slot *slots)
{
    struct plan plan = {.wishes = wishes, .slots = slots, .count = count, .total = total};
    plan.lanes = lanes < count ? lanes : count;
    for (uint32_t i = 0; i < count; i++) {
        plan.order[i] = i;
        plan.most[i] = plan.seconds[i] = wishes[i].seconds < total ? wishes[i].seconds : total;
    }
    order_by(&plan, heavier);
    if (!count || lay_whole(&plan))
        return;
    order_by(&plan, longer); /* which packs better */
    if (lay_whole(&plan))
        return;
    order_by(&plan, heavier);
    share_all(&plan);
    order_by(&plan, longer);
    pack(&plan);
    order_by(&plan, heavier);
    for (uint32_t lane = 0; lane < plan.lanes; lane++)
        share_lane(&plan, lane);
    lay(&plan);
}
