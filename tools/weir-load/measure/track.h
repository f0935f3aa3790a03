/*
 * Tracks the datagrams of a connection that are in flight, and classifies
 * answers by number: first, late, or duplicate.
 *
 * Numbers begin at 1 and increase by one. A datagram also has its slot, one of
 * depth, so that an answer is found at once, however old its number. Slots in
 * flight are linked, oldest first.
 */
#ifndef WEIR_LOAD_TRACK_H
#define WEIR_LOAD_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#define TRACK_NONE UINT32_MAX

struct track_slot {
    /* The last datagram sent from the slot; 0 if none. */
    uint64_t number;
    uint64_t sent_ns;
    /* Scheduled time; set by the caller. */
    uint64_t meant_ns;
    /* Number of the slot's last lost datagram; 0 if none was lost, or its
     * answer has arrived since. */
    uint64_t lost;
    /* Neighbours in the list of slots in flight; next also links free slots. */
    uint32_t previous;
    uint32_t next;
    bool is_under_way;
};

/* Answers other than first and in order. */
struct track_counts {
    /* Datagrams given up; for the whole run only. */
    uint64_t lost;
    /* Answers that arrived after their datagram was counted as lost. */
    uint64_t late;
    /* Second or later answers. */
    uint64_t duplicate;
    /* First answers, in time, with a number lower than an earlier answer's (RFC
     * 4737). */
    uint64_t reordered;
};

enum track_answer {
    TRACK_FIRST,
    TRACK_LATE, /* its datagram was given up */
    TRACK_DUPLICATE,
    TRACK_STRANGE, /* there was no such datagram */
};

struct track {
    struct track_slot *slots;
    uint32_t depth;
    uint32_t free;
    uint32_t oldest;
    uint32_t newest;
    uint64_t next_number;
    /* Highest number answered; 0 if none. */
    uint64_t highest;
};

/* Starts with no datagram in flight. Borrows @depth slots. */
void track_init(struct track *track, struct track_slot *slots, uint32_t depth);

/* Puts a datagram in flight. Returns its slot, or TRACK_NONE if all slots are
 * in use. */
uint32_t track_send(struct track *track, uint64_t now_ns);

/* Handles an answer with this slot and number. All except a first answer in
 * order are counted in @counts. Writes *ret_sent_ns for TRACK_FIRST. */
enum track_answer track_receive(struct track *track, uint32_t slot,
                                uint64_t number, struct track_counts *counts,
                                uint64_t *ret_sent_ns);

/* Returns the send time of the oldest datagram in flight, or UINT64_MAX. */
uint64_t track_oldest_ns(const struct track *track);

/* Returns the scheduled time of the oldest datagram in flight, or
 * UINT64_MAX. */
uint64_t track_oldest_meant_ns(const struct track *track);

/* Gives up the oldest datagram in flight; one must be. Returns its number. */
uint64_t track_lose(struct track *track);

#endif
