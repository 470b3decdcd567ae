/* The objects of an S3-compatible store as a collection sees them. */
#include "gateway/blob_gc.h"

#include "proto/clock.h"

void blob_gc_objects_list(struct file_job *job)
{
    struct blob_gc_objects *objects = (struct blob_gc_objects *)(void *)job;

    objects->why[0] = '\0';
    s3_list(objects->s3, &objects->page, objects->why);
}

void blob_gc_objects_remove(struct file_job *job)
{
    struct blob_gc_part *part = (struct blob_gc_part *)(void *)job;
    struct blob_gc_objects *objects = part->all;
    unsigned lane = (unsigned)(part - objects->parts);
    uint64_t now = clock_wall_ms();

    for (unsigned i = 0; i < objects->page.count && !part->why[0]; i++) {
        const unsigned char *md5 = objects->page.md5s + (size_t)i * BLOB_MD5;
        uint64_t at = objects->page.at_ms[i];
        if (!objects->unknown[i] || s3_lane(md5) != lane || at == UINT64_MAX ||
            (objects->young_ms && at + objects->young_ms > now))
            continue;
        if (!objects->dry && s3_remove(objects->s3, md5, part->why) != 0)
            return;
        part->files++;
        part->bytes += objects->page.sizes[i];
    }
}
