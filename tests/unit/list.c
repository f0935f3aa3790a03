/*
 * The intrusive list: order, membership, and states that must be harmless.
 *
 * Every check reads a list in both directions, so that no wrong link goes
 * unnoticed.
 */
#include "uring/list.h"

#include "tests/death.h"

struct item {
    int value;
    struct wr_list link;
};

static struct wr_list head;
static struct item items[6];

static void setup(void)
{
    wr_list_init(&head);
    for (int i = 0; i < 6; i++) {
        items[i].value = i;
        wr_list_init(&items[i].link);
    }
}

/* Returns the values in the list as decimal digits, read in both directions. */
static long values(struct wr_list *list)
{
    long forward = 0;
    long backward = 0;
    long place = 1;
    for (struct wr_list *at = list->next; at != list; at = at->next) {
        forward = forward * 10 + wr_container_of(at, struct item, link)->value;
    }
    for (struct wr_list *at = list->prev; at != list; at = at->prev) {
        backward += place * wr_container_of(at, struct item, link)->value;
        place *= 10;
    }
    expect_eq(forward, backward, "the two directions differ");
    return forward;
}

UNIT(list, a_new_list_is_empty_and_its_members_are_in_none)
{
    setup();

    cr_assert(wr_list_is_empty(&head));
    cr_assert_not(wr_list_is_linked(&items[0].link));
    cr_assert_null(wr_list_pop_front(&head));
}

UNIT(list, pushes_at_either_end_and_pops_from_the_front)
{
    setup();
    wr_list_push_back(&head, &items[2].link);
    wr_list_push_back(&head, &items[3].link);
    wr_list_push_back(head.next, &items[1].link);

    expect_eq(values(&head), 123);
    expect_eq(wr_list_pop_front(&head), &items[1].link);
    cr_assert_not(wr_list_is_linked(&items[1].link));
    expect_eq(values(&head), 23);
}

UNIT(list, removing_twice_is_harmless)
{
    setup();
    wr_list_push_back(&head, &items[1].link);
    wr_list_push_back(&head, &items[2].link);
    wr_list_remove(&items[1].link);
    wr_list_remove(&items[1].link);

    expect_eq(values(&head), 2);
    wr_list_remove(&items[2].link);
    cr_assert(wr_list_is_empty(&head));
}

UNIT(list, splicing_moves_all_to_the_end)
{
    struct wr_list from;
    setup();
    wr_list_init(&from);
    wr_list_push_back(&head, &items[1].link);
    wr_list_push_back(&from, &items[2].link);
    wr_list_push_back(&from, &items[3].link);

    wr_list_splice_back(&head, &from);
    expect_eq(values(&head), 123);
    cr_assert(wr_list_is_empty(&from));
    wr_list_splice_back(&head, &from);
    expect_eq(values(&head), 123, "an empty list adds nothing");
    wr_list_splice_back(&from, &head);
    expect_eq(values(&from), 123, "to an empty list");
    cr_assert(wr_list_is_empty(&head));
}

UNIT_ABORTS(list, pushing_a_member_of_a_list_is_a_bug,
            "!wr_list_is_linked(member)")
{
    setup();
    wr_list_push_back(&head, &items[1].link);
    wr_list_push_back(&head, &items[2].link);
    wr_list_push_back(&head, &items[1].link);
}
