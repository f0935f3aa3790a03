/*
 * Intrusive doubly linked list: the links live in the objects.
 *
 *     head <-> first <-> ... <-> last <-> head
 *
 * An object that is in no list points at itself, so that removing it twice is
 * harmless and "is it in a list?" can be asked of the object alone.
 */
#ifndef WEIR_URING_LIST_H
#define WEIR_URING_LIST_H

#include "check.h"

#include <stdbool.h>

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

/* Is this member in a list? */
static inline bool wr_list_is_linked(const struct wr_list *member)
{
    return member->next != member;
}

static inline void wr_list_push_back(struct wr_list *list,
                                     struct wr_list *member)
{
    wr_assert(!wr_list_is_linked(member));
    member->prev = list->prev;
    member->next = list;
    list->prev->next = member;
    list->prev = member;
}

static inline void wr_list_push_front(struct wr_list *list,
                                      struct wr_list *member)
{
    wr_list_push_back(list->next, member);
}

static inline void wr_list_remove(struct wr_list *member)
{
    member->prev->next = member->next;
    member->next->prev = member->prev;
    wr_list_init(member);
}

/* The first member, taken out; NULL when the list is empty. */
static inline struct wr_list *wr_list_pop_front(struct wr_list *list)
{
    struct wr_list *first = list->next;
    if (first == list) {
        return NULL;
    }
    wr_list_remove(first);
    return first;
}

/* Moves all members of @from to the end of @to. */
static inline void wr_list_splice_back(struct wr_list *to, struct wr_list *from)
{
    if (wr_list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    wr_list_init(from);
}

#endif
