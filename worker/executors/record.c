#include <limits.h>

#include "worker/executors/executor.h"
#include "worker/video/made.h"
#include "worker/video/words.h"

/* What an earlier attempt was granted may stand already (rule 6). */
static int published_add(struct plan *plan, struct err *err)
{
    const struct rec_assignment *run = plan->run;
    char word[MADE_WORD];
    if (!HAS(run, rec_assignment, published) || run->published.hash.len != PUBLISH_HASH)
        return 0;
    made_word(run->published.size, (const unsigned char *)run->published.hash.ptr, word);
    return words_add(plan, "published", str_of(word), err);
}

/* The address, with its password, is in no argument and no variable: the program reads it from the file of the run's parameters. */
int executor_record(struct plan *plan, struct err *err)
{
    const struct rec_assignment *run = plan->run;
    char program[PATH_MAX];
    plan->channel = true;
    if (plan_sibling(plan, "gantry-record", program, err) < 0 || plan_arg(plan, str_of(program), err) < 0 ||
        plan_arg(plan, STR_LIT("--record"), err) < 0 || plan_arg(plan, STR_LIT("run"), err) < 0)
        return -1;
    return words_add_number(plan, "run", run->run_id, err) < 0 || words_add_number(plan, "attempt", run->attempt, err) < 0 ||
                   published_add(plan, err) < 0 || plan_env(plan, STR_LIT("GANTRY_PARAM_URL"), (struct str){0}, err) < 0
               ? -1
               : 0;
}
