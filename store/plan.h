/* Finding the ids of one page of a query: which index is walked, and how far.
 *
 *   no condition, or one whose group is counted: the index of that condition and sort is walked to the page; the total is kept
 *   further conditions, or a part of the ids only: the smallest group is walked to its end, each record is looked at
 *   a sort that no index of the condition has: a small group is collected and sorted; a large one is met again and again by
 *   walking the whole order of the sort, so that is done until the page is full; where it is not met, the group's ids are gathered and
 *   looked for in the order of the sort, which costs a step each and no look at a record
 *
 * What is read is bounded (budget): records, or ten times as many steps from one entry of an index to the next. When it ends early, a
 * total that is not kept is what was counted so far and said to be a lower bound; a page that was not reached is said to be missed.
 * Where a sort field may be zero, records with zero come last in either order (records.def, SPARSE).
 */
#ifndef GANTRY_STORE_PLAN_H
#define GANTRY_STORE_PLAN_H

#include "store/match.h"

struct query {
    struct match match;
    uint64_t low, high;               /* ids wanted, both included */
    bool narrowed;                    /* not all ids */
    bool nothing;                     /* nothing can match */
    bool hiding;                      /* the last condition is that of visibility */
    const struct index *sort;         /* of the sort field; NULL: by id */
    const struct record *sort_record; /* whose field that is: another's with the same id */
    bool down;
    uint64_t offset;
    uint32_t size;
    uint64_t max_rows;
};

struct page {
    uint64_t *ids; /* room for size */
    uint32_t count;
    uint64_t total;
    bool lower_bound;
    bool missed; /* what is on it lies behind more than may be read: nothing of the above counts */
};

/* -1 when out of memory. */
int plan_page(struct query *query, struct page *page);

#endif
