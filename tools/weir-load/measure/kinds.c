/*
 * The kinds of requests that are counted separately. Names are searched
 * linearly: there are at most 64, and each line is looked up once, before the
 * run. The kernel allocates the pages of a large record only when a latency is
 * counted there.
 */
#include "measure.h"

#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char other_name[] = "other";

#define CUT_SIZE (KINDS_NAME_SIZE - sizeof("...#01234567"))

struct name {
    char *text;
    size_t len;
    uint32_t hash; /* FNV-1a of the whole name */
    bool is_cut;
};

/* Appends bytes. An invalid byte becomes a blank or a question mark. */
static void add_bytes(struct name *name, const char *text, size_t len)
{
    for (size_t at = 0, size = 0; at < len; at += size) {
        const char *bytes = text + at;
        size = kind_name_character(bytes, len - at);
        if (size == 0) {
            bytes = (uint8_t)text[at] < 0x80 ? " " : "?";
            size = 1;
        }
        for (size_t i = 0; i < size; i++) {
            name->hash = (name->hash ^ (uint8_t)text[at + i]) * 16777619U;
        }
        name->is_cut |= name->len + size >= KINDS_NAME_SIZE;
        if (!name->is_cut) {
            memcpy(name->text + name->len, bytes, size);
            name->len += size;
        }
    }
}

static void print_name(const struct request_kind *line, char *ret)
{
    struct name name = {.text = ret, .hash = 2166136261U};

    if (line->name) {
        add_bytes(&name, line->name, strlen(line->name));
    } else if (line->path) {
        add_bytes(&name, line->method, strlen(line->method));
        add_bytes(&name, " ", 1);
        add_bytes(&name, line->path, strcspn(line->path, "?"));
    } else {
        /* The rest is left out because it may have a password. */
        const char *text = line->request;
        add_bytes(&name, text, text[0] ? 1 + strcspn(text + 1, " \t\\") : 0);
    }
    ret[name.len] = '\0';
    if (name.is_cut) {
        size_t len = CUT_SIZE < name.len ? CUT_SIZE : name.len;
        while (((uint8_t)ret[len] & 0xc0U) == 0x80) {
            len--; /* do not cut inside a UTF-8 character */
        }
        snprintf(ret + len, KINDS_NAME_SIZE - len, "...#%08x", name.hash);
    }
}

size_t kinds_find(const struct kinds *kinds, const char *name)
{
    size_t place = 0;

    while (place < kinds->count && strcmp(kinds->names[place], name) != 0) {
        place++;
    }
    return place;
}

/* Finds or adds the kind of a line. Returns false if there are too many kinds,
 * and the line is counted as "other". */
static bool place_line(struct kinds *kinds, const struct request_kind *line,
                       uint8_t *ret)
{
    char name[KINDS_NAME_SIZE];

    print_name(line, name);
    const size_t place = kinds_find(kinds, name);
    if (place == KINDS_MAX) {
        const size_t other = kinds_find(kinds, other_name);
        *ret = (uint8_t)(other < KINDS_MAX ? other : KINDS_MAX - 1);
        snprintf(kinds->names[*ret], KINDS_NAME_SIZE, "%s", other_name);
        return false;
    }
    if (place == kinds->count) {
        snprintf(kinds->names[place], KINDS_NAME_SIZE, "%s", name);
        kinds->has_name[place] = line->name != NULL;
        kinds->count++;
    }
    *ret = (uint8_t)place;
    return true;
}

static void place_lines(struct kinds *kinds, const struct request_kind *lines,
                        size_t count, bool has_name)
{
    for (size_t i = 0; i < count; i++) {
        if ((lines[i].name != NULL) == has_name) {
            place_line(kinds, &lines[i], &kinds->places[i]);
        }
    }
}

int kinds_init(struct kinds *kinds, const struct request_kind *lines,
               size_t count)
{
    bool has_room = true;

    kinds->count = 0;
    kinds->places = calloc(count, sizeof(*kinds->places));
    if (!kinds->places) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count && has_room; i++) {
        has_room = place_line(kinds, &lines[i], &kinds->places[i]);
    }
    if (!has_room) {
        kinds->count = 0;
        place_lines(kinds, lines, count, true);
        place_lines(kinds, lines, count, false);
    }
    return 0;
}

char *kinds_list(const struct kinds *kinds, char *ret, size_t size)
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < kinds->count; i++) {
        if (len + strlen(kinds->names[i]) + 3 > size) {
            break;
        }
        len += (size_t)snprintf(ret + len, size - len, "%s%s",
                                i > 0 ? ", " : "", kinds->names[i]);
    }
    return ret;
}

struct kind_record *kinds_new_records(const struct kinds *kinds)
{
    struct kind_record *records = calloc(kinds->count, sizeof(*records));

    for (size_t i = 0; records && i < kinds->count; i++) {
        histogram_begin(&records[i].latency);
    }
    return records;
}

void kinds_choose(const struct kinds *kinds, const struct kind_record *records,
                  bool ret[KINDS_MAX])
{
    size_t chosen = 0;

    memset(ret, 0, KINDS_MAX * sizeof(*ret));
    for (; chosen < KINDS_CHOSEN && chosen < kinds->count; chosen++) {
        size_t most = kinds->count;
        for (size_t i = 0; i < kinds->count; i++) {
            if (!ret[i] && (most == kinds->count ||
                            kinds_requests(&records[i].counts) >
                                kinds_requests(&records[most].counts))) {
                most = i;
            }
        }
        ret[most] = true;
    }
}
