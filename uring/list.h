/*
 * Intrusive doubly linked list: the links are embedded in the objects.
 *
 * An unlinked object points at itself. So removing it twice is harmless, and
 * the object itself shows whether it is in a list.
 */
#ifndef WEIR_URING_LIST_H
#define WEIR_URING_LIST_H

#include "check.h"

#include <stdbool.h>
#include <stdint.h>

struct wr_list {
    struct wr_list *next;
    struct wr_list *prev;
};

static inline void wr_list_init(struct wr_list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool wr_list_is_empty(const struct wr_list *list)
{
    return list->next == list;
}

static inline bool wr_list_is_linked(const struct wr_list *member)
{
    return member->next != member;
}

static inline void wr_list_push_back(struct wr_list *list,
                                     struct wr_list *member)
{
    wr_assert(!wr_list_is_linked(member));
    wr_debug_assert(list->prev->next == list);
    member->prev = list->prev;
    member->next = list;
    list->prev->next = member;
    list->prev = member;
}

static inline void wr_list_remove(struct wr_list *member)
{
    wr_debug_assert(member->prev->next == member);
    wr_debug_assert(member->next->prev == member);
    member->prev->next = member->next;
    member->next->prev = member->prev;
    wr_list_init(member);
}

static inline struct wr_list *wr_list_pop_front(struct wr_list *list)
{
    struct wr_list *first = list->next;
    if (first == list) {
        return NULL;
    }
    wr_list_remove(first);
    return first;
}

/* Takes linear time, so it is only for wr_debug_assert(). */
static inline uint64_t wr_list_count(const struct wr_list *list)
{
    uint64_t count = 0;
    for (const struct wr_list *link = list->next; link != list;
         link = link->next) {
        count++;
    }
    return count;
}

static inline void wr_list_splice_back(struct wr_list *to, struct wr_list *from)
{
    if (wr_list_is_empty(from)) {
        return;
    }
    wr_debug_assert(to != from);
    wr_debug_assert(to->prev->next == to);
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    wr_list_init(from);
}

#endif
