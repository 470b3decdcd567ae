/* LMDB 0.9's file on a 64-bit machine, as its source lays it out.
 *
 * A page begins with a header of 16 bytes: its number u64, padding u16, flags u16, then for a tree's page `lower` and `upper` u16
 * (the places of its nodes stand between the header and lower, the nodes between upper and the end), for an overflow page the
 * number of pages u32. A node: low u16, high u16, flags u16, key size u16, key, data. In a branch low, high and flags are the
 * child's number; in a leaf low and high are the data's size, and flags say that the data is the number of an overflow page
 * (1) or a tree of its own (2). A tree is 48 bytes: padding u32, flags u16, depth u16, then u64 each: branch, leaf and overflow
 * pages, entries, root.
 * Pages 0 and 1 are the state after the newest two transactions: magic u32, version u32, address u64, map size u64, the tree of free
 * pages (its padding is the page size), the tree of tables, last page u64, transaction u64. An entry of the tree of
 * free pages is a count u64 and as many page numbers.
 *
 * A page that a transaction took at the end of the file, and let go of before it was over, is free and was never written: the file
 * may end before its last page. So it is truncated only if one of the pages behind its end is not free.
 */
#include "store/kv_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/messages.h"

#define MAGIC 0xBEEFC0DEu
#define VERSION 1u
#define HEADER 16u
#define NODE 8u
#define TREE 48u
#define TREES_AT (HEADER + 24)
#define LAST_AT (TREES_AT + 2 * TREE)
#define TXN_AT (LAST_AT + 8)
#define STATE_BYTES (TXN_AT + 8)
#define DEPTH_MOST 32u
#define KEY_MOST 511u
#define TABLES_MOST 64u

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8, PAGE_KINDS = 0x6f };
enum { NODE_BIG = 1, NODE_TREE = 2 };

struct tree {
    char name[64];
    uint16_t depth;
    uint64_t branch, leaf, overflow, entries, root;
};

struct look {
    int fd;
    struct kv_pages *pages;
    struct findings *findings;
    uint64_t have;       /* pages that the file holds */
    uint64_t unwritten;  /* free pages behind those, found so far */
    unsigned char *seen; /* a bit a page */
    unsigned char *room; /* a page for each level */
    uint64_t pages_left; /* that may still be read, beside the right edge */
    struct tree tables[TABLES_MOST];
    unsigned table_count;

    struct tree *tree; /* being walked, and what was found of it */
    struct tree found;
    bool skipped;
    unsigned char key[KEY_MOST]; /* the last one */
    uint32_t key_len;
    bool parted;                 /* it is a branch's: what follows may begin with the same */
    bool tables_here, free_here; /* which tree it is */
};

static uint16_t get16(const unsigned char *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t get32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t get64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void tree_read(const unsigned char *at, const char *name, struct tree *tree)
{
    snprintf(tree->name, sizeof tree->name, "%s", name);
    tree->depth = get16(at + 6);
    tree->branch = get64(at + 8);
    tree->leaf = get64(at + 16);
    tree->overflow = get64(at + 24);
    tree->entries = get64(at + 32);
    tree->root = get64(at + 40);
}

/* ---- the state ---- */

/* Reads pages 0 and 1 and keeps the bytes of the newer. */
static int state_read(const char *path, int fd, uint64_t size, struct kv_pages *pages, unsigned char newest[STATE_BYTES],
                      struct err *err)
{
    unsigned char page[STATE_BYTES];
    uint64_t page_size = 0;
    for (int i = 0; i < 2; i++) {
        if (pread(fd, page, sizeof page, (off_t)(page_size * (uint64_t)i)) != (ssize_t)sizeof page)
            return err_set(err, ERR_INVALID, "%s is truncated: %lu bytes do not hold its first pages; restore a backup", path,
                           (unsigned long)size);
        if (get32(page + HEADER) != MAGIC || !(get16(page + 10) & PAGE_META))
            return err_set(err, ERR_INVALID, "%s is not a database of Gantry's, or its first pages are damaged; restore a backup",
                           path);
        if (get32(page + HEADER + 4) != VERSION)
            return err_set(err, ERR_INVALID, "%s has a file format that is not known (%u)", path, get32(page + HEADER + 4));
        if (i == 0)
            page_size = get32(page + TREES_AT);
        if (page_size < 512 || page_size > 65536 || (page_size & (page_size - 1)))
            return err_set(err, ERR_INVALID, "%s is damaged: a page size of %lu; restore a backup", path,
                           (unsigned long)page_size);
        if (i == 0 || get64(page + TXN_AT) > pages->transaction) {
            memcpy(newest, page, sizeof page);
            pages->transaction = get64(page + TXN_AT);
            pages->last_page = get64(page + LAST_AT);
        }
    }
    pages->page_size = page_size;
    return 0;
}

static int err_truncated(const char *path, const struct kv_pages *pages, uint64_t size, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s is truncated: it has %lu bytes and needs %lu; restore a backup", path,
                   (unsigned long)size, (unsigned long)((pages->last_page + 1) * pages->page_size));
}

/* have: how many pages the file holds. */
static int state_check(const char *path, int fd, struct kv_pages *pages, unsigned char newest[STATE_BYTES], uint64_t *have,
                       struct err *err)
{
    struct stat st;
    memset(pages, 0, sizeof *pages);
    if (fstat(fd, &st) != 0)
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (st.st_size == 0) /* made by a process that died at its very first step */
        return 0;
    if (state_read(path, fd, (uint64_t)st.st_size, pages, newest, err) != 0)
        return -1;
    uint64_t size = (uint64_t)st.st_size, last = pages->last_page;
    *have = size / pages->page_size;
    /* More pages than it can list as free are not missing by right. */
    if (last > UINT64_MAX / pages->page_size - 1 || *have < 2 || (last >= *have && last - *have >= size / 8))
        return err_truncated(path, pages, size, err);
    return 0;
}

/* ---- pages ---- */

/* Notes that a page is used; false, and told, when it cannot be. */
static bool page_take(struct look *look, uint64_t number, const char *what)
{
    if (number < 2 || number > look->pages->last_page) {
        finding(look->findings, "%s: page %lu (%s) is beyond the file's pages", look->tree->name, (unsigned long)number, what);
        return false;
    }
    if (look->seen[number / 8] >> (number % 8) & 1) {
        finding(look->findings, "%s: page %lu (%s) is used twice", look->tree->name, (unsigned long)number, what);
        return false;
    }
    look->seen[number / 8] |= (unsigned char)(1U << (number % 8));
    return true;
}

static bool page_read(struct look *look, uint64_t number, unsigned char *page)
{
    uint64_t size = look->pages->page_size;
    if (pread(look->fd, page, size, (off_t)(number * size)) != (ssize_t)size) {
        finding(look->findings, "%s: page %lu cannot be read: %s", look->tree->name, (unsigned long)number, strerror(errno));
        return false;
    }
    if (get64(page) != number) {
        finding(look->findings, "%s: page %lu is damaged: it says that it is page %lu", look->tree->name, (unsigned long)number,
                (unsigned long)get64(page));
        return false;
    }
    return true;
}

static bool page_damaged(struct look *look, uint64_t number, const char *how)
{
    finding(look->findings, "%s: page %lu is damaged: %s", look->tree->name, (unsigned long)number, how);
    return false;
}

/* The frame of a tree's page: its kind, and each node within it. */
static bool page_shape(struct look *look, const unsigned char *page, uint64_t number, unsigned kind)
{
    uint64_t size = look->pages->page_size;
    uint32_t lower = get16(page + 12), upper = get16(page + 14);
    if ((get16(page + 10) & PAGE_KINDS) != kind)
        return page_damaged(look, number, "it is of another kind than its place");
    if (upper == 0 && size == 65536)
        upper = 65536;
    if (lower < HEADER || lower > upper || upper > size || (lower & 1))
        return page_damaged(look, number, "its bounds are none");
    uint32_t count = (lower - HEADER) / 2;
    if (count == 0)
        return page_damaged(look, number, "it is empty");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = get16(page + HEADER + 2 * i);
        if (at < upper || at + NODE > size || (at & 1))
            return page_damaged(look, number, "a node lies outside of it");
        const unsigned char *node = page + at;
        uint64_t need = NODE + get16(node + 6);
        if (kind == PAGE_LEAF)
            need += get16(node + 4) & NODE_BIG ? 8 : get16(node) | (uint64_t)get16(node + 2) << 16;
        if (get16(node + 6) > KEY_MOST || at + need > size)
            return page_damaged(look, number, "a node reaches beyond its end");
    }
    return true;
}

/* Keys grow over the whole tree; those of the tree of free pages are numbers of this machine. */
static bool key_grows(struct look *look, const unsigned char *key, uint32_t len)
{
    int order;
    if (look->key_len == 0)
        order = 1;
    else if (look->free_here)
        order = len != 8 || look->key_len != 8 ? -1 : (get64(key) > get64(look->key)) - (get64(key) < get64(look->key));
    else {
        order = memcmp(key, look->key, len < look->key_len ? len : look->key_len);
        if (order == 0)
            order = (len > look->key_len) - (len < look->key_len);
    }
    memcpy(look->key, key, len);
    look->key_len = len;
    bool same = look->parted;
    look->parted = false;
    return order > 0 || (order == 0 && same);
}

/* ---- leaves ---- */

/* Marks what an entry of the tree of free pages lists. */
static void free_take(struct look *look, const unsigned char *list, uint64_t size)
{
    uint64_t count = size >= 8 ? get64(list) : 0;
    if (size < 8 || size % 8 != 0 || count > size / 8 - 1) {
        finding(look->findings, "free pages: a list of %lu bytes says that it has %lu entries", (unsigned long)size,
                (unsigned long)count);
        return;
    }
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t number = get64(list + 8 * i);
        if (page_take(look, number, "free")) {
            look->pages->free++;
            look->unwritten += number >= look->have;
        }
    }
}

/* Data that has pages of its own: at least as many as it needs, for a longer value that was there before is written over. */
static void overflow_take(struct look *look, uint64_t number, uint64_t size)
{
    uint64_t page_size = look->pages->page_size, last = look->pages->last_page;
    unsigned char head[HEADER];
    unsigned char *data;
    if (number < 2 || number > last || pread(look->fd, head, HEADER, (off_t)(number * page_size)) != HEADER) {
        finding(look->findings, "%s: page %lu (of a long value) is beyond the file's pages", look->tree->name,
                (unsigned long)number);
        return;
    }
    uint64_t count = get32(head + 12);
    if (get64(head) != number || (get16(head + 10) & PAGE_KINDS) != PAGE_OVERFLOW || count > last - number + 1 ||
        HEADER + size > count * page_size) {
        page_damaged(look, number, "it is not the long value that its place says");
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!page_take(look, number + i, "of a long value"))
            return;
    }
    look->found.overflow += count;
    if (!look->free_here)
        return;
    data = malloc(size);
    if (data && pread(look->fd, data, size, (off_t)(number * page_size + HEADER)) == (ssize_t)size)
        free_take(look, data, size);
    else
        finding(look->findings, "%s: page %lu cannot be read", look->tree->name, (unsigned long)number);
    free(data);
}

static void leaf_node(struct look *look, const unsigned char *node, uint64_t number)
{
    uint32_t key_len = get16(node + 6), flags = get16(node + 4);
    const unsigned char *key = node + NODE, *data = key + key_len;
    uint64_t size = get16(node) | (uint64_t)get16(node + 2) << 16;
    look->found.entries++;
    if (key_len == 0 || !key_grows(look, key, key_len))
        page_damaged(look, number, "its keys are not in order");
    if (flags & NODE_BIG) {
        overflow_take(look, get64(data), size);
    } else if (look->free_here) {
        free_take(look, data, size);
    } else if (look->tables_here) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(key_len < 60 ? key_len : 60), (const char *)key);
        if (!(flags & NODE_TREE) || size != TREE || look->table_count == TABLES_MOST)
            finding(look->findings, "the tree of tables: %s is no table", name);
        else
            tree_read(data, name, &look->tables[look->table_count++]);
    } else if (flags != 0) {
        page_damaged(look, number, "a node has flags that mean nothing here");
    }
}

static void leaf_check(struct look *look, uint64_t number, unsigned level)
{
    unsigned char *page = look->room + level * look->pages->page_size;
    if (!page_read(look, number, page) || !page_shape(look, page, number, PAGE_LEAF)) {
        look->skipped = true;
        return;
    }
    uint32_t count = (get16(page + 12) - HEADER) / 2;
    for (uint32_t i = 0; i < count; i++)
        leaf_node(look, page + get16(page + HEADER + 2 * i), number);
}

/* ---- trees ---- */

static void branch_check(struct look *look, uint64_t number, unsigned level)
{
    unsigned char *page = look->room + level * look->pages->page_size;
    bool above_leaves = level + 2 == look->tree->depth;
    if (!page_read(look, number, page) || !page_shape(look, page, number, PAGE_BRANCH)) {
        look->skipped = true;
        return;
    }
    uint32_t count = (get16(page + 12) - HEADER) / 2;
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *node = page + get16(page + HEADER + 2 * i);
        uint64_t child = get16(node) | (uint64_t)get16(node + 2) << 16 | (uint64_t)get16(node + 4) << 32;
        if (i > 0 && !key_grows(look, node + NODE, get16(node + 6)))
            page_damaged(look, number, "its keys are not in order");
        look->parted = look->parted || i > 0; /* the first of a branch begins with what parted that from the one before */
        bool edge = i + 1 == count || look->tables_here; /* what was written last is mostly at the right edge */
        if (!edge && look->pages_left == 0) {
            look->skipped = true;
            continue;
        }
        look->pages_left -= !edge;
        if (!page_take(look, child, above_leaves ? "a leaf" : "a branch")) {
            look->skipped = true;
        } else if (!above_leaves) {
            look->found.branch++;
            branch_check(look, child, level + 1);
        } else {
            look->found.leaf++;
            leaf_check(look, child, level + 1);
        }
    }
}

static void count_compare(struct look *look, const char *what, uint64_t said, uint64_t found)
{
    if (said != found)
        finding(look->findings, "%s: it should have %lu %s and has %lu", look->tree->name, (unsigned long)said, what,
                (unsigned long)found);
}

static void tree_check(struct look *look, struct tree *tree)
{
    look->tree = tree;
    memset(&look->found, 0, sizeof look->found);
    look->skipped = look->parted = false;
    look->key_len = 0;
    if (tree->root == UINT64_MAX) {
        count_compare(look, "entries", tree->entries, 0);
        return;
    }
    if (tree->depth == 0 || tree->depth > DEPTH_MOST) {
        finding(look->findings, "%s: a tree of depth %u is none", tree->name, tree->depth);
        return;
    }
    if (!page_take(look, tree->root, "the root"))
        return;
    if (tree->depth == 1) {
        look->found.leaf++;
        leaf_check(look, tree->root, 0);
    } else {
        look->found.branch++;
        branch_check(look, tree->root, 0);
    }
    if (look->skipped)
        return;
    count_compare(look, "branch pages", tree->branch, look->found.branch);
    count_compare(look, "leaf pages", tree->leaf, look->found.leaf);
    count_compare(look, "pages of long values", tree->overflow, look->found.overflow);
    count_compare(look, "entries", tree->entries, look->found.entries);
}

static void all_check(struct look *look, const unsigned char *state)
{
    struct tree free_pages, tables;
    tree_read(state + TREES_AT, "free pages", &free_pages);
    tree_read(state + TREES_AT + TREE, "the tree of tables", &tables);
    look->tables_here = true;
    tree_check(look, &tables);
    look->tables_here = false;
    look->free_here = true;
    tree_check(look, &free_pages);
    look->free_here = false;
    for (unsigned i = 0; i < look->table_count; i++)
        tree_check(look, &look->tables[i]);
}

/* Every page has a use, or is on the list of those that have none. */
static void cover_check(struct look *look)
{
    uint64_t lost = 0, first = 0;
    for (uint64_t page = 2; page <= look->pages->last_page; page++) {
        if (!(look->seen[page / 8] >> (page % 8) & 1)) {
            first = lost == 0 ? page : first;
            lost++;
        }
    }
    look->pages->used = look->pages->last_page + 1 - look->pages->free - lost;
    if (lost > 0 && look->findings->count == 0)
        finding(look->findings, "%lu pages are neither used nor free, the first is %lu", (unsigned long)lost,
                (unsigned long)first);
}

/* Whether every page behind the end of the file is free, for certain: the whole tree of free pages is read for it. */
static bool gap_is_free(const struct look *look, const unsigned char *state)
{
    struct kv_pages pages = *look->pages;
    struct findings findings = {0};
    struct look apart = *look;
    struct tree free_pages;
    tree_read(state + TREES_AT, "free pages", &free_pages);
    apart.pages = &pages;
    apart.findings = &findings;
    apart.pages_left = UINT64_MAX;
    apart.free_here = true;
    tree_check(&apart, &free_pages);
    memset(look->seen, 0, look->pages->last_page / 8 + 1);
    return findings.count == 0 && apart.unwritten == pages.last_page + 1 - look->have;
}

int kv_pages_check(const char *path, uint64_t most, struct kv_pages *pages, struct findings *findings, struct err *err)
{
    unsigned char state[STATE_BYTES] = {0};
    struct look look = {.pages = pages, .findings = findings, .pages_left = most};
    int rc = -1;
    look.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (look.fd < 0)
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (state_check(path, look.fd, pages, state, &look.have, err) != 0)
        goto error;
    rc = 0;
    if (pages->page_size == 0)
        goto error;
    look.seen = calloc(1, pages->last_page / 8 + 1);
    look.room = malloc((DEPTH_MOST + 1) * pages->page_size);
    if (!look.seen || !look.room) {
        rc = err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    if (pages->last_page >= look.have && !gap_is_free(&look, state)) {
        rc = err_truncated(path, pages, look.have * pages->page_size, err);
        goto error;
    }
    all_check(&look, state);
    if (most == UINT64_MAX)
        cover_check(&look);
error:
    free(look.seen);
    free(look.room);
    close(look.fd);
    return rc;
}
