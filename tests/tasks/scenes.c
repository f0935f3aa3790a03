/*
 * The steps and calls of scenes; see scenes.h.
 *
 * A scene has one object of each kind at most. Calls with the same name in
 * several kinds are made on the one that there is. A failure shows the scene
 * with the step between >> and <<.
 */
#include "tests/tasks/scenes.h"

#include <weir/future.h>
#include <weir/sync.h>

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT where(), ": "
#define expect(cond)   cr_assert(cond, "%s: %s", where(), #cond)

static const char *said;     /* the scene */
static const char *rest;     /* the part that was not played yet */
static const char *step;     /* the step that is played */
static char words[2048];     /* of the steps that were played */
static size_t words_len;     /* the used part of them */
static const char *left_how; /* the word after "leave", once it was played */
static struct worker workers[128]; /* by their names */

static weir_lock *lock;
static weir_condition *condition;
static weir_event *event;
static weir_semaphore *semaphore;
static weir_barrier *barrier;
static weir_queue *queue;
static int items[8]; /* of the queue; a call returns the number of one */
static int level;    /* conditions are waited for until it is at the goal */
static int goal;
static int asked;  /* how often it was looked at */
static int rounds; /* of calls with "again" */

/* A future that has a cancel function gives a result inside it, unless that is
 * 0, and counts the calls. */
enum { GROUP = 4, FUTURES };

static weir_future *futures[FUTURES];
static size_t future_count; /* one more than the last that was made */
static bool is_dropped[FUTURES];
static int gives[FUTURES];
static int cancels[FUTURES];
static struct weir_as_completed each;
static int came_to; /* the result of the future that was waited for last */
static int last;    /* the result of the call that was made last */
static uint64_t since_ns;
static struct weir_timeout limits[2];
static struct weir_task_group group;
static struct worker *planned; /* the member that comes next */

static const char *where(void)
{
    static char text[1024];
    const int len = (int)strcspn(step, ";");

    snprintf(text, sizeof(text), "%.*s>>%.*s<<%s", (int)(step - said), said,
             len, step, step + len);
    return text;
}

static void told(int result, const char *wanted)
{
    char seen[40];
    const bool is_well = (wanted[0] == '>' && result > atoi(wanted + 1)) ||
                         (wanted[0] == '<' && result < atoi(wanted + 1));

    snprintf(seen, sizeof(seen), "%d", result);
    if (result < 0) {
        snprintf(seen, sizeof(seen), "%s", weir_err_name(result));
    }
    cr_assert(is_well || strcmp(seen, wanted) == 0, "%s: it is %s, not %s",
              where(), seen, wanted);
}

static bool is_reached(void *arg)
{
    expect_eq(arg, &goal);
    expect(weir_lock_is_locked(lock));
    expect(!weir_task_get_current(loop)); /* it may not suspend */
    expect_eq(weir_yield(loop), WEIR_ENOTTASK);
    asked++;
    return level >= goal;
}

static int order(void *arg, const void *a, const void *b)
{
    const int *left = a;
    const int *right = b;

    expect_eq(arg, items);
    expect(!weir_task_get_current(loop)); /* it may not suspend */
    return (*left > *right) - (*left < *right);
}

/* Results are set before to an item that no scene puts. NULL is item 8. */
static int got(int (*get)(weir_queue *, void **))
{
    void *item = &items[7];
    const int err = get(queue, &item);

    expect(err == 0 || item == &items[7]);
    return err < 0 ? err : item ? (int)((const int *)item - items) : 8;
}

static int take_left(weir_queue *from, void **ret_item)
{
    return weir_queue_take_left(from, ret_item) ? 0 : -ENOENT;
}

static int *item(int64_t number)
{
    return number < 8 ? &items[number] : NULL;
}

static int make_queue(int64_t size, enum weir_queue_order how)
{
    const int err = weir_queue_new(loop, (size_t)size, how, &queue);

    expect(err < 0 || weir_queue_get_size(queue) == 0);
    return err;
}

static int make_semaphore(weir_loop *on, int64_t value, bool is_bounded)
{
    const uint64_t first_value = (uint64_t)value;
    const int err =
        is_bounded ? weir_bounded_semaphore_new(on, first_value, &semaphore)
                   : weir_semaphore_new(on, first_value, &semaphore);

    expect(err < 0 || weir_semaphore_get_value(semaphore) == first_value);
    return err;
}

static int free_lock(void)
{
    weir_lock_free(lock);
    lock = NULL;
    return 0;
}

/* All but a condition's lock. */
static int free_object(void)
{
    if (!condition) {
        free_lock();
    }
    weir_condition_free(condition);
    weir_event_free(event);
    weir_semaphore_free(semaphore);
    weir_barrier_free(barrier);
    weir_queue_free(queue);
    condition = NULL;
    event = NULL;
    semaphore = NULL;
    barrier = NULL;
    queue = NULL;
    return 0;
}

/* Worker a is from then on the one that was joined. */
static int join_a(void)
{
    weir_task *const task = workers['a'].task;
    int result;

    workers['a'].task = NULL;
    return weir_task_join(task, &result);
}

static int note_number(int64_t number)
{
    note((const char[]){(char)('0' + number), '\0'});
    return 0;
}

static void slow_cancel(void *arg, weir_future *future)
{
    const int64_t n = (int *)arg - cancels;

    expect_eq(future, futures[n]);
    expect(!weir_task_get_current(loop));
    cancels[n]++;
    if (gives[n] != 0) {
        expect_eq(weir_future_set_result(future, gives[n]), 0);
    }
}

static void fleeting_cancel(void *arg, weir_future *future)
{
    expect_eq(weir_future_set_result(future, -ECANCELED), 0);
    futures[(int *)arg - cancels] = NULL;
    weir_future_unref(future);
}

/* The future is still known by its number, as a group holds it. */
static int drop(int64_t n)
{
    is_dropped[n] = true;
    weir_future_unref(futures[n]);
    return 0;
}

static int unref(int64_t n)
{
    if (!is_dropped[n]) {
        weir_future_unref(futures[n]);
    }
    is_dropped[n] = false;
    futures[n] = NULL;
    return 0;
}

/* Of all futures that were made; the group is the one with number 4. */
static int gather(enum weir_gather_kind kind)
{
    unref(GROUP);
    return weir_gather(loop, kind, future_count > 0 ? futures : NULL,
                       future_count, &futures[GROUP]);
}

static int make_future(int64_t n, weir_future_cancel_fn *on_cancel, int given)
{
    unref(n);
    cancels[n] = 0;
    gives[n] = given;
    future_count = (size_t)n < future_count ? future_count : (size_t)n + 1;
    return weir_future_new(loop, on_cancel, &cancels[n], &futures[n]);
}

/* The slot has another reference to the future of @from, or of a worker. */
static int alias(int64_t n, weir_future *from)
{
    weir_future_ref(from);
    unref(n);
    futures[n] = from;
    future_count = (size_t)n < future_count ? future_count : (size_t)n + 1;
    return 0;
}

static int result_of(int64_t n)
{
    int result = 12345;
    const int err = weir_future_get_result(futures[n], &result);

    expect(err == 0 || result == 12345);
    return err < 0 ? err : result;
}

static char *name_of(int64_t name)
{
    static char names[128][2];

    names[name][0] = (char)name;
    return names[name];
}

static void note_done(void *arg, weir_future *future, int result)
{
    int own;

    expect_eq(weir_future_get_result(future, &own), 0);
    expect_eq(own, result);
    expect(!weir_task_get_current(loop));
    note(arg);
    if (result == -ECANCELED) {
        note("!");
    }
}

static void note_other(void *arg, weir_future *future, int result)
{
    note("o");
}

static void give_later(void *arg)
{
    expect_eq(weir_future_set_result(*(weir_future **)arg, 21), 0);
}

static int next(void)
{
    const int index = weir_as_completed_next(&each);

    expect(index < 0 || !futures[index] || weir_future_is_done(futures[index]));
    return index;
}

static int begin_elsewhere(void)
{
    static struct weir_as_completed other;
    return weir_as_completed_begin(loop, &other, futures, future_count);
}

static uint64_t time_of(int64_t ms)
{
    return ms < 0 ? UINT64_MAX : (uint64_t)ms * MS;
}

static int enter(void)
{
    return weir_task_group_spawn(&group, sync_work, planned, NULL,
                                 &planned->task);
}

static int end_at_once(weir_loop *on, void *arg)
{
    return 0;
}

/* In milliseconds from "since" on. */
static int when_of(int64_t n)
{
    const uint64_t when = weir_timeout_get_when(&limits[n]);
    return when == UINT64_MAX ? -ENOENT : (int)((when - since_ns) / MS);
}

static int wait_several(int64_t ms, enum weir_return_when when)
{
    return weir_wait(loop, future_count > 0 ? futures : NULL, future_count,
                     time_of(ms), when);
}

/* What each call does; n is the number behind its name, and m the next. */
#define CALLS(CALL)                                                            \
    CALL(lock, weir_lock_new(loop, &lock))                                     \
    CALL(condition, weir_condition_new(lock, &condition))                      \
    CALL(event, weir_event_new(loop, &event))                                  \
    CALL(semaphore, make_semaphore(loop, n, false))                            \
    CALL(bounded, make_semaphore(loop, n, true))                               \
    CALL(barrier, weir_barrier_new(loop, (uint32_t)n, &barrier))               \
    CALL(queue, make_queue(n, WEIR_QUEUE_FIFO))                                \
    CALL(lifo, make_queue(n, WEIR_QUEUE_LIFO))                                 \
    CALL(unordered, make_queue(n, (enum weir_queue_order)2))                   \
    CALL(unordered_priority,                                                   \
         weir_priority_queue_new(loop, (size_t)n, NULL, items, &queue))        \
    CALL(priority,                                                             \
         weir_priority_queue_new(loop, (size_t)n, order, items, &queue))       \
    CALL(free, free_object())                                                  \
    CALL(free_lock, free_lock())                                               \
    CALL(acquire, semaphore ? weir_semaphore_acquire(semaphore)                \
                            : weir_lock_acquire(lock))                         \
    CALL(try, semaphore ? weir_semaphore_acquire_nowait(semaphore)             \
                        : weir_lock_acquire_nowait(lock))                      \
    CALL(release, semaphore ? weir_semaphore_release(semaphore)                \
                            : weir_lock_release(lock))                         \
    CALL(wait, event       ? weir_event_wait(event)                            \
               : condition ? weir_condition_wait(condition)                    \
                           : weir_barrier_wait(barrier))                       \
    CALL(wait_for, weir_condition_wait_for(condition, is_reached, &goal))      \
    CALL(wait_null, weir_condition_wait_for(condition, NULL, NULL))            \
    CALL(notify, (int)weir_condition_notify(condition, (size_t)n))             \
    CALL(set, (weir_event_set(event), 0))                                      \
    CALL(clear, (weir_event_clear(event), 0))                                  \
    CALL(abort, (weir_barrier_abort(barrier), 0))                              \
    CALL(reset, (weir_barrier_reset(barrier), 0))                              \
    CALL(get, got(weir_queue_get))                                             \
    CALL(get_nowait, got(weir_queue_get_nowait))                               \
    CALL(get_null, weir_queue_get(queue, NULL))                                \
    CALL(get_nowait_null, weir_queue_get_nowait(queue, NULL))                  \
    CALL(take, got(take_left))                                                 \
    CALL(put, weir_queue_put(queue, item(n)))                                  \
    CALL(put_nowait, weir_queue_put_nowait(queue, item(n)))                    \
    CALL(task_done, weir_queue_task_done(queue))                               \
    CALL(join, weir_queue_join(queue))                                         \
    CALL(shutdown, (weir_queue_shutdown(queue), 0))                            \
    CALL(shutdown_now, (weir_queue_shutdown_immediate(queue), 0))              \
    CALL(locked, weir_lock_is_locked(lock))                                    \
    CALL(is_set, weir_event_is_set(event))                                     \
    CALL(value, (int)weir_semaphore_get_value(semaphore))                      \
    CALL(waiting, (int)weir_barrier_get_waiting_count(barrier))                \
    CALL(size, (int)weir_queue_get_size(queue))                                \
    CALL(goal, (goal = (int)n, level = 0, asked = 0))                          \
    CALL(raise, (level += (int)n, 0))                                          \
    CALL(asked, asked)                                                         \
    CALL(rounds, rounds)                                                       \
    CALL(yield, weir_yield(loop))                                              \
    CALL(sleep, weir_sleep(loop, (uint64_t)n *MS))                             \
    CALL(cancel_self,                                                          \
         weir_task_cancel(weir_task_get_current(loop)) ? 0 : -ESTALE)          \
    CALL(cancelling,                                                           \
         (int)weir_task_get_cancelling(weir_task_get_current(loop)))           \
    CALL(since, (since_ns = weir_loop_get_time(loop), 0))                      \
    CALL(elapsed, (int)((weir_loop_get_time(loop) - since_ns) / MS))           \
    CALL(elapsed_us, (int)((weir_loop_get_time(loop) - since_ns) / US))        \
    CALL(uncancel, (int)weir_task_uncancel(weir_task_get_current(loop)))       \
    CALL(begin, weir_timeout_begin(loop, &limits[n], time_of(m)))              \
    CALL(begin_at,                                                             \
         weir_timeout_begin_at(loop, &limits[n], since_ns + time_of(m)))       \
    CALL(reschedule,                                                           \
         weir_timeout_reschedule(&limits[n],                                   \
                                 m < 0 ? UINT64_MAX : since_ns + time_of(m)))  \
    CALL(when, when_of(n))                                                     \
    CALL(expired, weir_timeout_is_expired(&limits[n]))                         \
    CALL(end, (int)weir_timeout_end(&limits[n], m))                            \
    CALL(group, weir_task_group_begin(loop, &group))                           \
    CALL(enter, enter())                                                       \
    CALL(spawn, weir_task_group_spawn(&group, end_at_once, NULL, NULL, NULL))  \
    CALL(group_cancel, (weir_task_group_cancel(&group), 0))                    \
    CALL(group_end, (int)weir_task_group_end(&group, (int)n))                  \
    CALL(tasks, (int)rig_statistics().tasks)                                   \
    CALL(fail, (int)n)                                                         \
    CALL(future, make_future(n, NULL, 0))                                      \
    CALL(slow, make_future(n, slow_cancel, (int)m))                            \
    CALL(fleeting, make_future(n, fleeting_cancel, 0))                         \
    CALL(alias, alias(n, futures[m]))                                          \
    CALL(alias_task, alias(n, weir_task_get_future(workers[m].task)))          \
    CALL(unref, unref(n))                                                      \
    CALL(drop, drop(n))                                                        \
    CALL(gather_all, gather(WEIR_GATHER_ALL))                                  \
    CALL(gather_all_or_none, gather(WEIR_GATHER_ALL_OR_NONE))                  \
    CALL(gather_any, gather(WEIR_GATHER_ANY))                                  \
    CALL(reref, (weir_future_unref(weir_future_ref(futures[n])), 0))           \
    CALL(give, weir_future_set_result(futures[n], (int)m))                     \
    CALL(give_later, weir_loop_call_later(loop, (uint64_t)m *MS, give_later,   \
                                          &futures[n], NULL))                  \
    CALL(done, weir_future_is_done(futures[n]))                                \
    CALL(result, result_of(n))                                                 \
    CALL(result_null, weir_future_get_result(futures[n], NULL))                \
    CALL(cancel_future, weir_future_cancel(futures[n]))                        \
    CALL(cancels, cancels[n])                                                  \
    CALL(add,                                                                  \
         weir_future_add_done_callback(futures[n], note_done, name_of(m)))     \
    CALL(add_other,                                                            \
         weir_future_add_done_callback(futures[n], note_other, name_of(m)))    \
    CALL(remove, (int)weir_future_remove_done_callback(futures[n], note_done,  \
                                                       name_of(m)))            \
    CALL(await, weir_future_await(futures[n], &came_to))                       \
    CALL(shield, weir_future_shield(futures[n], &came_to))                     \
    CALL(wait_future, weir_wait_for(futures[n], time_of(m), &came_to))         \
    CALL(got, came_to)                                                         \
    CALL(all, wait_several(n, WEIR_ALL_COMPLETED))                             \
    CALL(first, wait_several(n, WEIR_FIRST_COMPLETED))                         \
    CALL(failed, wait_several(n, WEIR_FIRST_EXCEPTION))                        \
    CALL(each, weir_as_completed_begin(loop, &each, futures, future_count))    \
    CALL(each_null,                                                            \
         weir_as_completed_begin(loop, &each, (weir_future *[]){NULL}, 1))     \
    CALL(each_elsewhere, begin_elsewhere())                                    \
    CALL(each_end, (weir_as_completed_end(&each), 0))                          \
    CALL(next, next())                                                         \
    CALL(note_last, (note_number(last), last))                                 \
    CALL(join_a, join_a())                                                     \
    CALL(note, note_number(n))                                                 \
    CALL(again, 0)

#define DEFINE(name, made)                                                     \
    static int call_##name(int64_t n, int64_t m)                               \
    {                                                                          \
        return made;                                                           \
    }
CALLS(DEFINE)

#define ROW(name, made) {#name, call_##name},
static const struct {
    const char *name;
    int (*make)(int64_t n, int64_t m);
} calls[] = {CALLS(ROW)};

enum { CALL_COUNT = sizeof(calls) / sizeof(*calls) };

struct call {
    char name[40]; /* with its number and its result behind it */
    const char *wanted;
    int64_t n;
    int64_t m;
    int (*make)(int64_t n, int64_t m);
};

/* Reads the number, name of an error or letter behind a colon. */
static int64_t read_number(char **at)
{
    const char *from = *at + 1;
    int64_t number = strtoll(from, at, 10);

    if (*at == from) {
        const size_t len = strcspn(from, ":");
        *at += len;
        number = len == 1 ? *from : -1;
        while (len > 1 && strcmp(weir_err_name((int)number), from) != 0) {
            expect_gt(--number, -5000);
        }
    }
    return number;
}

/* Reads the call that @said begins with, which must be one; what follows. */
static const char *read_call(const char *from, struct call *ret)
{
    const int len = (int)strcspn(from, ",");
    char *number;

    snprintf(ret->name, sizeof(ret->name), "%.*s", len, from);
    ret->wanted = strchr(ret->name, '=');
    ret->name[strcspn(ret->name, "=")] = '\0';
    number = strchr(ret->name, ':');
    ret->n = number ? read_number(&number) : 0;
    ret->m = number && *number == ':' ? read_number(&number) : 0;
    ret->name[strcspn(ret->name, ":")] = '\0';
    ret->make = NULL;
    for (int i = 0; i < CALL_COUNT; i++) {
        if (strcmp(calls[i].name, ret->name) == 0) {
            ret->make = calls[i].make;
        }
    }
    cr_assert(ret->make, "%s: %s is no call", where(), ret->name);
    return from + len + (from[len] == ',');
}

static int play_calls(void *object)
{
    const char *at = object;
    struct call call;
    int result = 0;

    while (*at) {
        at = read_call(at, &call);
        if (call.wanted) {
            told(call.make(call.n, call.m), call.wanted + 1);
        } else if (result >= 0 && strcmp(call.name, "again") == 0) {
            at = ++rounds == call.n ? at : object;
        } else if (result >= 0) {
            result = call.make(call.n, call.m);
            last = result;
        }
    }
    return result;
}

/* The next word of the step, or @otherwise. */
static char *word(char **step_rest, char *otherwise)
{
    char *const next = strtok_r(NULL, " ", step_rest);
    return next ? next : otherwise;
}

static void start_workers(const char *how, const char *names, char *made)
{
    static char texts[128][2];
    struct call ignored;

    for (const char *at = made; *at;) {
        at = read_call(at, &ignored); /* all are calls */
    }
    for (; *names; names++) {
        const int name = *names;
        expect(!workers[name].task);
        texts[name][0] = *names;
        if (strcmp(how, "plan") == 0 || strcmp(how, "member") == 0) {
            planned = &workers[name];
            *planned = (struct worker){
                .call = play_calls, .object = made, .name = texts[name]};
        } else {
            start(&workers[name], texts[name], play_calls, made);
        }
        if (strcmp(how, "member") == 0) {
            expect_eq(enter(), 0);
        }
        if (strcmp(how, "limited") == 0) {
            workers[name].limit_ns = 5 * MS; /* it has not run yet */
        }
    }
    if (strcmp(how, "start") == 0) {
        settle();
    }
}

static void end_worker(struct worker *worker, char **step_rest)
{
    char zero[] = "0";

    expect(worker->call);
    if (!left_how) {
        finish(worker);
    }
    worker->task = NULL;
    expect(worker->is_back);
    told(worker->result, word(step_rest, zero));
    const char *next = word(step_rest, NULL);
    if (next) {
        told(worker->next, next);
    }
}

static void leave(const char *how)
{
    left_how = how;
    for (int i = 0; i < 128; i++) {
        if (workers[i].task) {
            weir_task_unref(workers[i].task);
        }
    }
}

static void each_worker(const char *verb, const char *names)
{
    for (; *names; names++) {
        const struct worker *worker = &workers[(int)*names];
        if (strcmp(verb, "cancel") == 0) {
            expect(weir_task_cancel(worker->task));
        } else {
            expect(worker->call && !worker->is_back);
        }
    }
}

/* A call and its result, in the place that @how names. */
static void make_calls(const char *how, char *made, char **step_rest)
{
    char zero[] = "0";
    const bool at_once = strcmp(how, "at_once") == 0;
    struct weir_loop_statistics before = {.turns = 0};
    struct weir_timeout limit;
    int result;

    if (strcmp(how, "timed") == 0) {
        expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    }
    if (at_once) {
        before = rig_statistics();
    }
    if (strcmp(how, "callback") == 0) {
        result = in_callback(play_calls, made);
    } else if (strcmp(how, "thread") == 0) {
        result = elsewhere(play_calls, made);
    } else {
        result = play_calls(made);
    }
    if (strcmp(how, "timed") == 0) {
        result = (int)weir_timeout_end(&limit, result);
    }
    if (at_once) {
        expect_eq(rig_statistics().turns, before.turns);
        expect_eq(rig_statistics().task_switches, before.task_switches);
    }
    told(result, word(step_rest, zero));
}

static void play_step(char *text)
{
    char *step_rest;
    char nothing[] = "";
    char *const verb = strtok_r(text, " ", &step_rest);

    if (strlen(verb) == 1) {
        end_worker(&workers[(int)*verb], &step_rest);
    } else if (strcmp(verb, "start") == 0 || strcmp(verb, "begin") == 0 ||
               strcmp(verb, "limited") == 0 || strcmp(verb, "plan") == 0 ||
               strcmp(verb, "member") == 0) {
        const char *names = word(&step_rest, nothing);
        start_workers(verb, names, word(&step_rest, nothing));
    } else if (strcmp(verb, "cancel") == 0 || strcmp(verb, "waits") == 0) {
        each_worker(verb, word(&step_rest, nothing));
    } else if (strcmp(verb, "notes") == 0) {
        const char *wanted = word(&step_rest, nothing);
        expect_str_eq(notes, strcmp(wanted, "-") == 0 ? "" : wanted);
    } else if (strcmp(verb, "settle") == 0) {
        settle();
    } else if (strcmp(verb, "late") == 0) {
        must_time_out(play_calls, word(&step_rest, nothing));
    } else if (strcmp(verb, "values") == 0) {
        const char *values = word(&step_rest, nothing);
        for (int i = 0; values[i]; i++) {
            items[i] = values[i] - '0';
        }
    } else if (strcmp(verb, "leave") == 0) {
        leave(word(&step_rest, nothing));
    } else if (strcmp(verb, "callback") == 0 || strcmp(verb, "thread") == 0 ||
               strcmp(verb, "at_once") == 0 || strcmp(verb, "timed") == 0) {
        make_calls(verb, word(&step_rest, nothing), &step_rest);
    } else {
        make_calls("here", verb, &step_rest);
    }
    expect(!strtok_r(NULL, " ", &step_rest)); /* all words were read */
}

/* Plays steps until the scene is over or leaves the loop. */
static void play_steps(void)
{
    const bool was_left = left_how;

    while (*rest && was_left == !!left_how) {
        const size_t len = strcspn(rest, ";");
        char *const text = &words[words_len];

        step = rest;
        expect_lt(words_len + len, sizeof(words));
        snprintf(text, len + 1, "%s", rest);
        words_len += len + 1;
        rest += len;
        rest += strspn(rest, "; ");
        play_step(text);
    }
}

static void free_all(void)
{
    expect(!condition || !lock || !weir_lock_is_locked(lock));
    free_object();
    free_lock();
    for (int i = 0; i < FUTURES; i++) {
        unref(i);
    }
}

static int play(weir_loop *on, void *arg)
{
    play_steps();
    if (!left_how) {
        for (int i = 0; i < 128; i++) {
            expect(!workers[i].task);
        }
        free_all();
    }
    return 0;
}

void scene_run(const char *text)
{
    said = text;
    rest = text;
    step = text;
    rig_start();
    expect_eq(rig_main(play, NULL), 0);
    if (left_how && strcmp(left_how, "broken") == 0) {
        fake_break_ring(-EIO);
    }
    expect_eq(weir_loop_free(loop), 0);
    play_steps();
    free_all();
    fake_stop();
}
