#include "tests/fuzz/steps.h"

#include <string.h>

#include "tests/fuzz/frames.h"

#define HEAD 4

/* The fuzzer's own; not there when files are replayed. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t *out,
                                 size_t max_out_size, unsigned seed);

unsigned steps_read(const uint8_t *data, size_t size, struct step steps[STEPS_MAX])
{
    unsigned count = 0;

    while (size >= HEAD && count < STEPS_MAX) {
        size_t len = (size_t)data[2] | (size_t)data[3] << 8;
        len = len > size - HEAD ? size - HEAD : len;
        steps[count++] = (struct step){
            .op = (uint8_t)(data[0] % steps_plan.ops), .argument = data[1], .bytes = {(const char *)data + HEAD, (uint32_t)len}};
        data += HEAD + len;
        size -= HEAD + len;
    }
    return count;
}

static size_t steps_write(const struct step *steps, unsigned count, uint8_t *out, size_t max_size)
{
    size_t at = 0;

    for (unsigned i = 0; i < count && at + HEAD + steps[i].bytes.len <= max_size; i++) {
        const struct step *step = &steps[i];
        out[at] = step->op;
        out[at + 1] = step->argument;
        out[at + 2] = (uint8_t)step->bytes.len;
        out[at + 3] = (uint8_t)(step->bytes.len >> 8);
        if (step->bytes.len)
            memcpy(out + at + HEAD, step->bytes.ptr, step->bytes.len);
        at += HEAD + step->bytes.len;
    }
    return at;
}

/* Bytes of a mutation, until the next. */
static struct str keep(struct buf *buf)
{
    struct str bytes = buf_str(buf);
    return bytes.len > UINT16_MAX ? str_cut(bytes, UINT16_MAX) : bytes;
}

static void step_make(struct dice *dice, struct step *step, struct buf *space)
{
    step->op = (uint8_t)dice_throw(dice, steps_plan.ops);
    step->argument = (uint8_t)dice_throw(dice, 256);
    step->bytes = (struct str){NULL, 0};
    const uint16_t *ids = steps_plan.frames(step->op);
    if (ids) {
        frame_make(dice, frame_shape(dice, ids), space);
        step->bytes = keep(space);
    }
}

static void step_change(struct dice *dice, struct step *step, struct buf *space)
{
    const uint16_t *ids = steps_plan.frames(step->op);

    if (ids && dice_throw(dice, 4) != 0) {
        frame_change(dice, step->bytes, ids, space);
    } else if (LLVMFuzzerMutate && buf_reserve(space, step->bytes.len + 64u) == 0) {
        buf_add(space, step->bytes.ptr, step->bytes.len);
        space->len = LLVMFuzzerMutate((uint8_t *)space->data, space->len, step->bytes.len + 64u);
    }
    step->bytes = keep(space);
}

static void step_insert(struct step *steps, unsigned *count, unsigned at, struct step step)
{
    if (*count == STEPS_MAX)
        return;
    memmove(&steps[at + 1], &steps[at], (*count - at) * sizeof *steps);
    steps[at] = step;
    (*count)++;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static struct buf spaces[4];
    static struct step steps[STEPS_MAX];
    struct buf before = {0};
    struct dice dice = {seed};

    if (buf_add(&before, data, size) != 0)
        return 0;
    unsigned count = steps_read((const uint8_t *)before.data, size, steps);
    for (uint64_t times = 1 + dice_throw(&dice, 4), i = 0; i < times; i++) {
        struct buf *space = &spaces[i];
        unsigned at = (unsigned)dice_throw(&dice, count);
        struct step step;
        buf_reset(space);
        switch (count == 0 ? 0 : dice_throw(&dice, 8)) {
        case 0:
        case 1:
            step_make(&dice, &step, space);
            step_insert(steps, &count, (unsigned)dice_throw(&dice, count + 1u), step);
            break;
        case 2: /* again, perhaps later */
            step_insert(steps, &count, at + (unsigned)dice_throw(&dice, count - at + 1u), steps[at]);
            break;
        case 3:
            memmove(&steps[at], &steps[at + 1], (count - at - 1) * sizeof *steps);
            count--;
            break;
        case 4:
            step = steps[at];
            steps[at] = steps[count - 1];
            steps[count - 1] = step;
            break;
        case 5:
            steps[at].argument = (uint8_t)dice_throw(&dice, 256);
            break;
        default:
            step_change(&dice, &steps[at], space);
            break;
        }
    }
    size_t made = steps_write(steps, count, data, max_size);
    buf_free(&before);
    return made;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t *out,
                                 size_t max_out_size, unsigned seed)
{
    static struct step first[STEPS_MAX], second[STEPS_MAX];
    struct dice dice = {seed};
    unsigned left = steps_read(one, one_size, first), right = steps_read(two, two_size, second);
    unsigned keep_left = (unsigned)dice_throw(&dice, left + 1u), from = (unsigned)dice_throw(&dice, right + 1u);

    size_t size = steps_write(first, keep_left, out, max_out_size);
    return size + steps_write(second + from, right - from, out + size, max_out_size - size);
}
