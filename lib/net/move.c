/*
 * Moving a connection to another loop.
 *
 * A move belongs to the old loop. Its parcel has the connection's content, and
 * goes to the mailbox of the new loop and back.
 *
 *     PACKED <--> OFFERED --taken--> TAKEN --> MADE, or FAILED
 *                    \--> RECALLED     \--> ORPHANED
 *
 * In state MADE the connection belongs to the new loop. In state TAKEN the new
 * loop runs the factory, so the owner is not decided yet. In all other states
 * the connection belongs to the old loop. The old loop recalls an offered
 * parcel if the move is cancelled. If the old loop is freed, it leaves a taken
 * parcel as an orphan. The new loop frees recalled and orphaned parcels; the
 * old loop frees all others when they have returned. One lock orders the steps
 * of all moves.
 */
#include "lib/loop/loop.h"
#include "lib/loop/pending.h"
#include "lib/task/task.h"
#include "lib/transport/life.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "uring/alloc.h"
#include "uring/wake.h"

#include <pthread.h>
#include <weir/move.h>

enum parcel_state {
    PARCEL_PACKED, /* not posted yet */
    PARCEL_OFFERED,
    PARCEL_TAKEN,
    PARCEL_MADE,
    PARCEL_FAILED,
    PARCEL_RECALLED,
    PARCEL_ORPHANED,
};

struct move;

struct parcel {
    struct wr_wake_item item; /* in one mailbox at a time */
    enum parcel_state state;  /* set only by move_set_state() */
    struct wr_wake *to;
    struct wr_wake *home;
    struct weir_factory factory;
    struct wr_sock_content content;
    struct move *move; /* in the old loop; NULL if it has ended */
    int err;
};

struct move {
    struct weir_pending pending;
    struct wr_member member; /* loop object of the old loop, until done */
    struct wr_leaving leaving;
    struct wr_ready told;
    weir_transport *t;
    /* NULL once the move no longer owns the parcel. */
    struct parcel *parcel;
    int (*wish)(weir_transport *t); /* called when the connection returns */
    weir_move_done_fn *done;
    void *done_arg;
    int err;
};

static pthread_mutex_t move_lock = PTHREAD_MUTEX_INITIALIZER;

static void move_free_parcel(struct parcel *parcel)
{
    const struct weir_allocator allocator = parcel->content.allocator;

    wr_assert(!parcel->item.is_posted);
    wr_sock_content_free(&parcel->content);
    wr_wake_unref(parcel->to);
    wr_wake_unref(parcel->home);
    wr_free(&allocator, parcel, sizeof(*parcel));
}

/* Changes the state if it is @from. Returns the previous state. */
static enum parcel_state move_set_state(struct parcel *parcel,
                                        enum parcel_state from,
                                        enum parcel_state to)
{
    wr_assert(from != to);
    pthread_mutex_lock(&move_lock);
    const enum parcel_state state = parcel->state;
    if (state == from) {
        parcel->state = to;
    }
    pthread_mutex_unlock(&move_lock);
    return state;
}

static void move_tell(struct wr_ready *ready)
{
    struct move *move = wr_container_of(ready, struct move, told);
    const struct move ended = *move;
    weir_loop *loop = ended.pending.loop;

    wr_assert(ended.err <= 0);
    if (ended.err < 0 && ended.t->state == WR_LIFE_OPEN) {
        wr_outbox_notify(ended.t); /* bytes may have left meanwhile */
    }
    if (ended.done) {
        ended.done(ended.done_arg, ended.err);
        wr_loop_end_if_forked(loop);
    }
    if (ended.parcel) {
        move_free_parcel(ended.parcel);
    }
    wr_loop_remove_member(loop, &move->member);
    wr_transport_unref(ended.t);
    wr_free(&loop->counting, move, sizeof(*move));
}

static void move_end(struct move *move, int err)
{
    wr_assert(!wr_ready_is_pending(&move->told));
    move->err = err;
    wr_ready_push(&move->pending.loop->ready, &move->told);
}

static void move_come_back(struct move *move, int err)
{
    wr_assert(err < 0);
    wr_sock_come_back(move->t);
    move_end(move, err);
}

static void move_leave(struct move *move, int err)
{
    wr_assert(err == 0 || wr_loop_is_closing(move->pending.loop));
    wr_sock_leave(move->t);
    move_end(move, err);
}

/* Recalls an OFFERED parcel. Returns the parcel's previous state. If that is
 * OFFERED or FAILED, the move no longer owns the parcel. */
static enum parcel_state move_recall_parcel(struct move *move)
{
    struct parcel *parcel = move->parcel;
    const enum parcel_state state =
        move_set_state(parcel, PARCEL_OFFERED, PARCEL_RECALLED);

    wr_assert(state != PARCEL_RECALLED && state != PARCEL_ORPHANED);
    if (state == PARCEL_OFFERED) {
        move->parcel = NULL;
    } else if (state == PARCEL_FAILED) {
        parcel->move = NULL; /* the old loop frees the parcel */
        move->parcel = NULL;
    }
    return state;
}

/* Returns false if the new loop has taken the connection. */
static bool move_give_up(struct move *move, int err)
{
    wr_assert(move->t->state == WR_LIFE_MOVING);
    if (move->leaving.is_away) {
        const enum parcel_state state = move_recall_parcel(move);
        if (state == PARCEL_TAKEN || state == PARCEL_MADE) {
            return false;
        }
    }
    move_come_back(move, err);
    return true;
}

static bool move_recall(struct wr_leaving *leaving,
                        int (*wish)(weir_transport *t))
{
    struct move *move = wr_container_of(leaving, struct move, leaving);

    wr_assert(wish);
    if (move_give_up(move, -ECANCELED)) {
        return true;
    }
    move->wish = wish;
    return false;
}

static void move_cancel(struct weir_pending *pending)
{
    struct move *move = wr_container_of(pending, struct move, pending);

    if (!wr_ready_is_pending(&move->told) && move->t->state == WR_LIFE_MOVING) {
        wr_ignore(move_give_up(move, -ECANCELED));
    }
}

/* Ends the move without waiting for the other loop. */
static void move_shutdown(struct wr_member *member)
{
    struct move *move = wr_container_of(member, struct move, member);

    if (wr_ready_is_pending(&move->told) || move_give_up(move, -ECANCELED)) {
        return;
    }
    struct parcel *parcel = move->parcel;
    const enum parcel_state state =
        move_set_state(parcel, PARCEL_TAKEN, PARCEL_ORPHANED);
    wr_assert(state == PARCEL_TAKEN || state == PARCEL_MADE ||
              state == PARCEL_FAILED);
    if (state == PARCEL_FAILED) {
        wr_ignore(move_give_up(move, -ECANCELED));
        return;
    }
    if (state == PARCEL_MADE) {
        parcel->move = NULL;
    }
    move->parcel = NULL;
    move_leave(move, state == PARCEL_MADE ? 0 : -ECANCELED);
}

static void move_came_home(void *arg)
{
    struct parcel *parcel = arg;
    struct move *move = parcel->move;

    if (!move) {
        move_free_parcel(parcel);
        return;
    }
    wr_assert(move->parcel == parcel && move->leaving.is_away);
    if (parcel->state == PARCEL_MADE) {
        move_leave(move, 0);
        return;
    }
    wr_assert(parcel->state == PARCEL_FAILED);
    move_come_back(move, parcel->err);
    if (move->wish) {
        move->wish(move->t);
    }
}

/* Called if a parcel cannot return because the old loop was freed. Its move has
 * ended before. */
static void move_found_no_home(void *arg)
{
    const struct parcel *parcel = arg;

    wr_assert(parcel->state == PARCEL_MADE || parcel->state == PARCEL_FAILED);
    move_free_parcel(arg);
}

static void move_send_home(struct parcel *parcel)
{
    struct wr_wake *home = parcel->home;

    wr_assert(parcel->state == PARCEL_MADE || parcel->state == PARCEL_FAILED);
    parcel->item = (struct wr_wake_item){
        .run = move_came_home, .arg = parcel, .drop = move_found_no_home};
    wr_wake_ref(home);
    if (wr_wake_post_item(home, &parcel->item) < 0) {
        move_found_no_home(parcel);
    }
    wr_wake_unref(home);
}

/* If the old loop was freed meanwhile, no loop owns the descriptor: closes it,
 * and a TCP peer gets a reset. */
static void move_fail(struct parcel *parcel, int err)
{
    wr_assert(err < 0);
    parcel->err = err;
    if (move_set_state(parcel, PARCEL_TAKEN, PARCEL_FAILED) == PARCEL_TAKEN) {
        move_send_home(parcel);
        return;
    }
    const int fd = parcel->content.fd;
    wr_socket_reset_on_close(fd);
    if (parcel->content.family == AF_UNIX) {
        wr_socket_close_unix(fd);
    } else {
        wr_socket_refuse(fd);
    }
    move_free_parcel(parcel);
}

/* If the parcel was recalled, frees it and returns false. */
static bool move_take(struct parcel *parcel)
{
    const enum parcel_state state =
        move_set_state(parcel, PARCEL_OFFERED, PARCEL_TAKEN);

    wr_assert(state == PARCEL_OFFERED || state == PARCEL_RECALLED);
    if (state == PARCEL_RECALLED) {
        move_free_parcel(parcel);
    }
    return state == PARCEL_OFFERED;
}

static void move_arrived(void *arg)
{
    struct parcel *parcel = arg;
    weir_loop *loop = wr_loop_find(parcel->to);
    struct wr_remade remade;

    if (!move_take(parcel)) {
        return;
    }
    const int err =
        wr_sock_remake(loop, &parcel->content, &parcel->factory, &remade);
    if (err < 0) {
        move_fail(parcel, err);
        return;
    }
    const bool has_home =
        move_set_state(parcel, PARCEL_TAKEN, PARCEL_MADE) == PARCEL_TAKEN;
    wr_sock_begin_anew(&remade, &parcel->content);
    if (has_home) {
        move_send_home(parcel);
    } else {
        move_free_parcel(parcel);
    }
}

static void move_missed(void *arg)
{
    if (move_take(arg)) {
        move_fail(arg, -ESHUTDOWN);
    }
}

static void move_offer(struct move *move)
{
    struct parcel *parcel = move->parcel;

    move_set_state(parcel, PARCEL_PACKED, PARCEL_OFFERED);
    parcel->item = (struct wr_wake_item){
        .run = move_arrived, .arg = parcel, .drop = move_missed};
    wr_sock_send_off(move->t);
    struct wr_wake *to = parcel->to; /* the parcel may return at once */
    wr_wake_ref(to);
    if (wr_wake_post_item(to, &parcel->item) < 0) {
        move_set_state(parcel, PARCEL_OFFERED, PARCEL_PACKED);
        move_come_back(move, -ESHUTDOWN);
    }
    wr_wake_unref(to);
}

static void move_settled(struct wr_leaving *leaving)
{
    struct move *move = wr_container_of(leaving, struct move, leaving);

    if (move->t->error < 0) {
        move_come_back(move, move->t->error);
        return;
    }
    if (!wr_sock_is_settled_to_move(move->t)) {
        return;
    }
    const int err = wr_sock_pack(move->t, &move->parcel->content);
    if (err == 0) {
        move_offer(move);
    } else if (move->t->state == WR_LIFE_MOVING) {
        move_come_back(move, err);
    }
}

static void move_dump(const struct wr_member *member, FILE *out)
{
    const struct move *move =
        wr_container_of(member, const struct move, member);

    fprintf(out, "move away=%d fd=%d\n", move->leaving.is_away,
            move->t->ops->get_socket(move->t));
}

static struct parcel *move_make_parcel(weir_loop *loop, struct wr_wake *to,
                                       const struct weir_factory *factory)
{
    struct parcel *parcel = wr_alloc(loop->allocator, sizeof(*parcel));

    wr_assert(to != loop->wake);
    if (parcel) {
        *parcel = (struct parcel){.to = to,
                                  .home = loop->wake,
                                  .factory = *factory,
                                  .content.allocator = *loop->allocator};
        wr_wake_ref(to);
        wr_wake_ref(loop->wake);
    }
    return parcel;
}

static struct move *move_make(weir_transport *t, struct wr_wake *to,
                              const struct weir_factory *factory)
{
    static const struct wr_member_ops member_ops = {
        .stage = WR_STAGE_MAKERS, .shutdown = move_shutdown, .dump = move_dump};
    static const struct wr_leaving_ops leaving_ops = {.settled = move_settled,
                                                      .recall = move_recall};
    weir_loop *loop = t->loop;
    struct move *move = wr_alloc(&loop->counting, sizeof(*move));
    struct parcel *parcel = move ? move_make_parcel(loop, to, factory) : NULL;

    wr_assert(t->state == WR_LIFE_OPEN);
    if (!parcel) {
        if (move) {
            wr_free(&loop->counting, move, sizeof(*move));
        }
        return NULL;
    }
    *move = (struct move){.pending = {.loop = loop, .give_up = move_cancel},
                          .leaving.ops = &leaving_ops,
                          .t = weir_transport_ref(t),
                          .parcel = parcel};
    parcel->move = move;
    wr_ready_init(&move->told, move_tell);
    wr_member_init(&move->member, &member_ops);
    wr_loop_add_member(loop, &move->member);
    return move;
}

int weir_transport_move(weir_transport *t, weir_mailbox *to,
                        const struct weir_factory *factory,
                        weir_move_done_fn *done, void *done_arg,
                        weir_pending **ret)
{
    struct wr_wake *wake = (struct wr_wake *)(void *)to;
    int err = wr_transport_enter(t);

    wr_require(err >= 0, err);
    wr_require(wake && wake != t->loop->wake, -EINVAL);
    wr_require(factory && factory->create && (done || !ret), -EINVAL);
    err = wr_sock_check_move(t);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_closing(t->loop), -ESHUTDOWN);
    struct move *move = move_make(t, wake, factory);
    wr_require(move, -ENOMEM);
    move->done = done;
    move->done_arg = done_arg;
    wr_sock_begin_leaving(t, &move->leaving);
    if (ret) {
        *ret = &move->pending;
    }
    return 0;
}

struct moving {
    struct wr_waiter waiter;
    weir_pending *pending;
};

static void move_wake(void *arg, int err)
{
    struct moving *moving = arg;

    wr_assert(err <= 0);
    wr_waiter_wake(&moving->waiter, err);
}

static void move_interrupt(struct wr_waiter *waiter)
{
    struct moving *moving = wr_container_of(waiter, struct moving, waiter);

    wr_assert(moving->pending != NULL);
    move_cancel(moving->pending); /* done follows */
}

int weir_transport_move_wait(weir_transport *t, weir_mailbox *to,
                             const struct weir_factory *factory)
{
    static const struct wr_wait_kind kind = {.name = "move",
                                             .interrupt = move_interrupt};
    struct moving moving = {.waiter.kind = &kind};
    weir_loop *loop = t->loop;
    int err = wr_task_enter(loop);

    wr_require(err >= 0, err);
    err = weir_transport_move(t, to, factory, move_wake, &moving,
                              &moving.pending);
    wr_require(err >= 0, err);
    return wr_task_wait(loop, &moving.waiter, NULL);
}
