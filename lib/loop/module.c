/*
 * The list of a loop's modules.
 *
 * A module is added at its first use and ends with the loop, in the steps of
 * enum wr_end_step.
 */
#include "loop_impl.h"

void wr_loop_add_module(weir_loop *loop, struct wr_module *module,
                        const struct wr_module_ops *ops)
{
    wr_assert(!wr_loop_find_module(loop, ops)); /* at most one of each kind */
    wr_assert(!wr_loop_is_closed(loop));
    module->ops = ops;
    wr_list_init(&module->link);
    wr_list_push_back(&loop->modules, &module->link);
}

struct wr_module *wr_loop_find_module(const weir_loop *loop,
                                      const struct wr_module_ops *ops)
{
    for (struct wr_list *link = loop->modules.next; link != &loop->modules;
         link = link->next) {
        struct wr_module *module =
            wr_container_of(link, struct wr_module, link);
        if (module->ops == ops) {
            return module;
        }
    }
    return NULL;
}

void wr_loop_end_modules(weir_loop *loop, enum wr_end_step step)
{
    struct wr_list *link = loop->modules.next;

    wr_assert(step < WR_END_STEPS);
    wr_assert(loop->state == WR_LOOP_CLOSING);
    while (link != &loop->modules) {
        struct wr_module *module =
            wr_container_of(link, struct wr_module, link);
        link = link->next; /* the call may remove the module */
        if (module->ops->end[step]) {
            module->ops->end[step](module);
        }
    }
}

void wr_loop_give_up(weir_loop *loop)
{
    wr_assert(loop->state == WR_LOOP_CLOSING);
    for (struct wr_list *link = loop->modules.next; link != &loop->modules;
         link = link->next) {
        struct wr_module *module =
            wr_container_of(link, struct wr_module, link);
        if (module->ops->give_up && module->ops->give_up(module)) {
            return;
        }
    }
}

void wr_loop_close_modules(weir_loop *loop)
{
    struct wr_list *link;

    wr_assert(loop->pin_count == 0);
    while ((link = wr_list_pop_front(&loop->modules))) {
        struct wr_module *module =
            wr_container_of(link, struct wr_module, link);
        if (module->ops->close) {
            module->ops->close(module);
        }
    }
}
