#include "worker/record/timeline.h"

#define SECOND INT64_C(1000000)
#define STEP_FIRST (SECOND / 25)   /* until a track has shown its own */
#define STEP_MAX (10 * SECOND)     /* of what is taken for usual */
#define BACK_MAX (SECOND / 2)      /* packets out of order; further back is a jump */
#define AHEAD_MAX (3 * SECOND)     /* of the arrivals; further ahead is a jump */
#define STOOD_MAX 3                /* packets one after another that go back; then its clock stands still */
#define APART_MAX (5 * SECOND)     /* between tracks, in what their source says of them */
#define REORDER_MAX (10 * SECOND)  /* between dts and pts */
#define GAP_LEAST (SECOND * 3 / 2) /* shorter ones are the stream's own pace */
#define CLOCK_MAX (INT64_MAX / 8)  /* of a source's clock: sums of such times do not overflow */

void timeline_connect(struct timeline *timeline)
{
    for (unsigned i = 0; i < TIMELINE_TRACKS; i++)
        timeline->tracks[i].placed = false;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool believable(int64_t time)
{
    return time > -CLOCK_MAX && time < CLOCK_MAX;
}

/* Where a track that comes late to a connection begins: beside the others by the source's clock, if that makes sense. */
static int64_t place_first(const struct timeline *timeline, unsigned track, int64_t in, int64_t elapsed)
{
    for (unsigned i = 0; i < TIMELINE_TRACKS; i++) {
        const struct timeline_track *other = &timeline->tracks[i];
        if (i == track || !other->placed)
            continue;
        int64_t beside = in + other->offset, distance = beside - other->last;
        if (distance < APART_MAX && distance > -APART_MAX)
            return beside;
    }
    return elapsed;
}

/* Where a packet stands; repaired: not where its clock says. */
static int64_t place_next(struct timeline_track *at, int64_t in, int64_t arrival, bool *repaired)
{
    int64_t moved = in - at->last_in, waited = most(arrival - at->arrival, 0);
    at->stood = moved > 0 ? 0 : at->stood + 1;
    bool stands = moved == 0 || at->stood > STOOD_MAX;
    if (moved < -BACK_MAX || moved > waited + AHEAD_MAX || stands) {
        int64_t out = at->last + (stands ? waited : most(waited, at->step));
        at->offset = out - in;
        at->last_in = in;
        *repaired = true;
        return out;
    }
    return in + at->offset;
}

static void step_learn(struct timeline_track *at, int64_t distance)
{
    if (distance > 0 && distance < STEP_MAX)
        at->step = at->step ? (7 * at->step + distance) / 8 : distance;
}

/* A packet without a time follows the one before. */
static int64_t clock_of(const struct timeline_track *at, int64_t dts, int64_t pts)
{
    int64_t in = dts != TIMELINE_NONE ? dts : pts;
    if (in != TIMELINE_NONE && believable(in))
        return in;
    return at->placed ? at->last_in + most(at->step, 1) : 0;
}

bool timeline_put(struct timeline *timeline, unsigned track, int64_t arrival, int64_t *dts, int64_t *pts, int64_t *gap)
{
    struct timeline_track *at = &timeline->tracks[track];
    int64_t in = clock_of(at, *dts, *pts), ahead = *pts != TIMELINE_NONE && believable(*pts) ? *pts - in : 0, out;
    bool repaired = in != *dts && in != *pts;
    *gap = 0;
    if (!timeline->begun) {
        timeline->begun = true;
        timeline->origin = arrival;
    }
    if (at->placed)
        out = place_next(at, in, arrival, &repaired);
    else {
        out = place_first(timeline, track, in, arrival - timeline->origin);
        if (at->known && out <= at->last)
            out = at->last + most(at->step, 1);
        at->offset = out - in;
    }
    if (!at->known && out < 0)
        return false;
    if (at->known && out <= at->last) {
        repaired = repaired || out < at->last;
        out = at->last + 1;
    }
    if (at->known) {
        int64_t distance = out - at->last;
        if (distance > GAP_LEAST && distance > 4 * at->step)
            *gap = distance - (at->step ? at->step : STEP_FIRST);
        else
            step_learn(at, distance);
    }
    at->last_in = at->placed ? most(in, at->last_in) : in;
    at->placed = at->known = true;
    at->last = out;
    at->arrival = arrival;
    timeline->repaired += repaired;
    *dts = out;
    *pts = out + (ahead > 0 && ahead < REORDER_MAX ? ahead : 0);
    return true;
}

int64_t timeline_end(const struct timeline *timeline, unsigned track)
{
    const struct timeline_track *at = &timeline->tracks[track];
    return at->known ? at->last + (at->step ? at->step : STEP_FIRST) : 0;
}
