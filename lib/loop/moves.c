/*
 * Sending files at the end of an iteration, with SIGPIPE blocked.
 *
 * sendfile() raises SIGPIPE on a broken socket, and has no flag against it.
 * Blocking the signal and restoring the mask take two more system calls for
 * each piece of a file. So the signal stays blocked from one piece to the next,
 * and over iterations in which no callback, task, host or wait runs. Pieces
 * that did not fit into the iteration's budget are sent first in the next
 * iteration.
 */
#include "loop_impl.h"

int wr_moves_hold_signals(weir_loop *loop)
{
    struct wr_moves *moves = &loop->moves;

    wr_assert(moves->is_running);
    if (!moves->holds_signals) {
        const int err = wr_sys_block_signals(&moves->signals);
        wr_require(err >= 0, err);
        moves->holds_signals = true;
        moves->may_be_raised = false;
    }
    return 0;
}

void wr_moves_restore_signals(weir_loop *loop)
{
    struct wr_moves *moves = &loop->moves;

    wr_assert(!moves->is_running);
    if (moves->holds_signals) {
        moves->holds_signals = false;
        wr_sys_restore_signals(&moves->signals, moves->may_be_raised);
    }
}

static void moves_run(struct wr_turn_end *turn_end)
{
    struct wr_moves *moves =
        wr_container_of(turn_end, struct wr_moves, turn_end);
    weir_loop *loop = wr_container_of(moves, weir_loop, moves);
    struct wr_list batch;
    struct wr_list served; /* turn ends that have sent a piece; added last */
    struct wr_list *link;

    const bool is_alone = moves->is_alone;
    bool has_postponed = false;

    wr_assert(!loop->current && !moves->is_running);
    moves->is_alone = false;
    wr_list_init(&batch);
    wr_list_init(&served);
    wr_list_splice_back(&batch, &moves->ends);
    moves->is_running = true;
    while ((link = wr_list_pop_front(&batch))) {
        struct wr_turn_end *end =
            wr_container_of(link, struct wr_turn_end, link);
        if (!has_postponed && !wr_budget_may_send(&loop->budget)) {
            has_postponed = true;
            wr_list_splice_back(&served, &moves->ends);
        }
        end->run(end);
    }
    moves->is_running = false;
    wr_list_splice_back(&moves->ends, &served);
    moves->goes_on = !wr_list_is_empty(&moves->ends) &&
                     loop->state == WR_LOOP_RUNNING && !loop->never_waits;
    if (!is_alone || !moves->goes_on) {
        wr_moves_restore_signals(loop);
    }
}

void wr_moves_init(struct wr_moves *moves)
{
    wr_list_init(&moves->ends);
    wr_list_init(&moves->turn_end.link);
    moves->turn_end.run = moves_run;
}
