/*
 * A configuration that all threads read, and that can be replaced meanwhile.
 *
 * A version has a part for each thread, and only this thread changes the part's
 * reference count, so reading uses no shared data. The mutex protects the
 * number of parts that were not released; the release of the last part releases
 * the version. A new version is posted to the mailbox of each thread, which
 * then uses its new part and releases the old part.
 */
#include "threads.h"

struct weir_config {
    struct config_version *version;
    weir_thread *thread;
    struct wr_list link; /* in thread->configs while refs > 0 */
    /* References of the program, and one while this is the thread's current
     * part. */
    uint32_t refs;
    struct wr_wake_item item;
    uint8_t unused[64]; /* keeps parts of two threads on different lines */
};

struct config_version {
    weir_threads *threads;
    const void *data;
    weir_release_fn *release;
    void *arg;
    /* parts that were not released; protected by the mutex */
    uint32_t part_count;
    weir_config parts[];
};

static size_t config_size_of(const weir_threads *threads)
{
    wr_assert(threads->count > 0);
    return sizeof(struct config_version) + threads->count * sizeof(weir_config);
}

static void config_give_back(struct config_version *version, uint32_t count)
{
    weir_threads *threads = version->threads;

    wr_threads_lock(threads);
    wr_assert(version->part_count >= count);
    version->part_count -= count;
    const bool is_last = version->part_count == 0;
    wr_threads_unlock(threads);
    if (!is_last) {
        return;
    }
    if (version->release) {
        version->release(version->arg);
    }
    wr_free(&threads->allocator, version, config_size_of(threads));
}

static void config_unref(weir_config *config)
{
    wr_assert(config->refs > 0);
    if (--config->refs == 0) {
        wr_list_remove(&config->link);
        config_give_back(config->version, 1);
    }
}

static void config_enter(weir_config *config)
{
    weir_thread *thread = config->thread;
    weir_config *before = thread->config;

    wr_assert(config->refs == 0);
    config->refs = 1;
    wr_list_push_back(&thread->configs, &config->link);
    thread->config = config;
    if (before) {
        config_unref(before);
    }
}

static void config_arrived(void *arg)
{
    weir_config *config = arg;

    wr_assert(wr_loop_is_running(config->thread->loop));
    config_enter(config);
}

/* The loop was freed before the part arrived. */
static void config_dropped(void *arg)
{
    weir_config *config = arg;

    wr_assert(config->refs == 0);
    config_give_back(config->version, 1);
}

static struct config_version *config_make(weir_threads *threads,
                                          const void *data,
                                          weir_release_fn *release, void *arg)
{
    struct config_version *version =
        wr_alloc(&threads->allocator, config_size_of(threads));

    if (!version) {
        return NULL;
    }
    *version = (struct config_version){.threads = threads,
                                       .data = data,
                                       .release = release,
                                       .arg = arg,
                                       .part_count = threads->count};
    for (uint32_t i = 0; i < threads->count; i++) {
        weir_config *part = &version->parts[i];
        *part = (weir_config){.version = version,
                              .thread = &threads->threads[i],
                              .item = {.run = config_arrived,
                                       .arg = part,
                                       .drop = config_dropped}};
        wr_list_init(&part->link);
    }
    return version;
}

int wr_config_begin(weir_threads *threads, const void *data,
                    weir_release_fn *release, void *arg)
{
    struct config_version *version = config_make(threads, data, release, arg);

    wr_assert(threads->state == WR_THREADS_STARTING);
    if (!version) {
        if (release) {
            release(arg);
        }
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < threads->count; i++) {
        wr_assert(!threads->threads[i].config);
        config_enter(&version->parts[i]);
    }
    return 0;
}

void wr_config_end(weir_thread *thread)
{
    wr_assert(!thread->loop && thread->config);
    thread->config = NULL;
    while (!wr_list_is_empty(&thread->configs)) {
        weir_config *config =
            wr_container_of(thread->configs.next, weir_config, link);
        config->refs = 1; /* the program's references end with the thread */
        config_unref(config);
    }
}

int weir_config_publish(weir_threads *threads, const void *config,
                        weir_release_fn *release, void *arg)
{
    uint32_t ended_count = 0;

    wr_require(!wr_wake_is_forked(threads->threads[0].wake), -ECHILD);
    struct config_version *version = config_make(threads, config, release, arg);
    wr_require(version, -ENOMEM);
    /* All threads get the versions in the same order, because the mutex is
     * held. */
    wr_threads_lock(threads);
    for (uint32_t i = 0; i < threads->count; i++) {
        const int err = wr_wake_post_item(threads->threads[i].wake,
                                          &version->parts[i].item);
        wr_assert(err == 0 || err == -ESHUTDOWN);
        ended_count += err < 0;
    }
    wr_threads_unlock(threads);
    if (ended_count > 0) {
        config_give_back(version, ended_count);
    }
    return 0;
}

const void *weir_config_current(const weir_thread *thread)
{
    wr_require(thread->loop && wr_loop_check(thread->loop) == 0, NULL);
    wr_assert(thread->config);
    return thread->config->version->data;
}

weir_config *weir_config_ref(weir_thread *thread)
{
    wr_require(thread->loop && wr_loop_check(thread->loop) == 0, NULL);
    wr_assert(thread->config->refs < UINT32_MAX);
    thread->config->refs++;
    return thread->config;
}

const void *weir_config_get(const weir_config *config)
{
    return config->version->data;
}

void weir_config_unref(weir_config *config)
{
    if (config && wr_loop_admits(config->thread->loop)) {
        config_unref(config);
    }
}
