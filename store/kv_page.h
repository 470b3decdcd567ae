/* The pages of a database file, looked at without mapping it: whether every page that is used is what the tree above it says.
 *
 * LMDB trusts what it maps: a page that was torn or overwritten would be a fault somewhere in the middle of an answer. This
 * reads the file as bytes, believes nothing, and changes nothing. Nobody may write to the file meanwhile.
 */
#ifndef GANTRY_STORE_KV_PAGE_H
#define GANTRY_STORE_KV_PAGE_H

#include "proto/str.h"
#include "store/findings.h"

/* What the newest state of the file says of it. */
struct kv_pages {
    uint64_t page_size, last_page, transaction;
    uint64_t used, free; /* pages; filled by a whole check */
};

/* Walks every tree. most: how many pages are read beside the right edge of each, where appended rows go, so that a start stays short
 * however large the database is; UINT64_MAX for all, and then each page of the file must be used or free, once. Tells what is wrong
 * to findings. -1 with err when it could not look: ERR_INVALID when it is no database of ours, damaged at its head, or shorter than it
 * must be (pages that are free and were never written may be missing at its end); ERR_IO. An empty file has page_size 0. */
int kv_pages_check(const char *path, uint64_t most, struct kv_pages *pages, struct findings *findings, struct err *err);

#endif
