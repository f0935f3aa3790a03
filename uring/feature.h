/*
 * Features of the running kernel beyond Linux 6.1, the minimum.
 *
 * Each feature is probed by using it when a ring is opened; the kernel's
 * version is not compared. The environment variable WEIR_FEATURES_MASK (names
 * separated by commas, or "all") disables features, to test the fallbacks.
 */
#ifndef WEIR_URING_FEATURE_H
#define WEIR_URING_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(constant, name, first kernel, fallback without it) */
#define WR_FEATURES(X)                                                         \
    X(BUF_INC, "buf_inc", "6.12", "plain 16 KiB receive buffers")              \
    X(RING_RESIZE, "ring_resize", "6.13", "the completion queue stays small")  \
    X(NO_IOWAIT, "no_iowait", "6.15", "idle time shows as iowait")             \
    X(RECV_CREDIT, "recv_credit", "6.17", "one receive at a time")             \
    X(SEND_VECTORIZED, "send_vectorized", "6.17", "sendmsg")                   \
    X(GUARD_INSTALL, "guard_install", "6.13", "two mappings for each stack")   \
    X(PIPE_NOWAIT, "pipe_nowait", "6.4",                                       \
      "worker threads read and write pipes")                                   \
    X(ASYNC_RETRY, "async_retry", "6.3",                                       \
      "worker threads splice, and bytes are copied once more")                 \
    X(WRITE_NOSIGNAL, "write_nosignal", "6.18",                                \
      "SIGPIPE is blocked meanwhile")                                          \
    X(PIDFD_INFO, "pidfd_info", "6.15", "no status of a child others reaped")  \
    X(PIDFD_GROUP, "pidfd_group", "6.9", "no signals to groups of children")   \
    X(PASSRIGHTS, "passrights", "6.16",                                        \
      "Unix peers may send descriptors unasked")

enum wr_feature {
#define WR_FEATURE_ENUM(constant, name, kernel, without) WR_FEATURE_##constant,
    WR_FEATURES(WR_FEATURE_ENUM)
#undef WR_FEATURE_ENUM
        WR_FEATURE_COUNT
};

/* Equal to enum weir_engine (loop.h). */
enum wr_engine_kind {
    WR_ENGINE_AUTO,
    WR_ENGINE_URING,
    WR_ENGINE_POLL,
};

struct wr_features {
    /* features that may be used, as bits 1 << enum wr_feature */
    uint32_t found;
    uint32_t masked; /* features that the kernel has, but the mask disables */
    uint32_t unused;
    uint32_t sq_entries;
    uint32_t cq_entries;
    enum wr_engine_kind engine;
    int refusal; /* error because of which io_uring is not used, or 0 */
};

static inline bool wr_has(const struct wr_features *features,
                          enum wr_feature feature)
{
    return features->found >> feature & 1u;
}

/* Disables features whose dependencies are missing. Incremental buffers need
 * RECV_CREDIT. Without it receives are one-shot and may run in a worker thread.
 * Such a receive consumes as much of an incremental buffer as it requested, not
 * as much as arrived (Linux 6.18). */
void wr_features_reduce(struct wr_features *features);

/* Returns the features named in @text, the value of WEIR_FEATURES_MASK or NULL.
 * Sets *ret_unknown to the first unknown name, or NULL. */
uint32_t wr_features_parse_mask(const char *text, const char **ret_unknown);

/* Returns the length of the whole text, like snprintf(). */
size_t wr_features_text(const struct wr_features *features, char *buf,
                        size_t size);

#endif
