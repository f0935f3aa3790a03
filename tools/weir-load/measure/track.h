/*
 * Which datagrams of a connection are under way, and what an answer is by its
 * number: the first one, one that comes late, one more of the same.
 *
 * Numbers begin at 1 and go up by one for each datagram. A datagram also names
 * its slot, one of depth, so that an answer is found at once however far the
 * numbers have gone on since. Slots under way stand in a list, oldest first.
 *
 * No sockets and no clock are needed; times are given.
 */
#ifndef WEIR_LOAD_TRACK_H
#define WEIR_LOAD_TRACK_H

#include <stdbool.h>
#include <stdint.h>

/* No slot: the end of a list. */
#define TRACK_NONE UINT32_MAX

struct track_slot {
    /* The last datagram that was sent in it; 0: none yet. */
    uint64_t number;
    uint64_t sent_ns;
    /* By the schedule; it is the user who sets it. */
    uint64_t meant_ns;
    /* The last number that was given up as lost, until its answer comes. */
    uint64_t lost;
    /* Neighbours in the list of those under way; next also links free ones. */
    uint32_t previous;
    uint32_t next;
    bool is_under_way;
};

/* How answers came besides in order and in time. */
struct track_counts {
    /* Given up; of a whole run alone. */
    uint64_t lost;
    /* After their datagram had been counted as lost. */
    uint64_t late;
    /* A second or further answer. */
    uint64_t duplicate;
    /* First answers in time whose number is lower than that of an answer
     * before (RFC 4737). */
    uint64_t reordered;
};

enum track_answer {
    TRACK_FIRST,     /* the answer that was waited for */
    TRACK_LATE,      /* its datagram was given up */
    TRACK_DUPLICATE, /* its datagram was answered before */
    TRACK_STRANGE,   /* there was no such datagram */
};

struct track {
    struct track_slot *slots;
    uint32_t depth;
    uint32_t free;
    uint32_t oldest;
    uint32_t newest;
    /* The number of the next datagram. */
    uint64_t next_number;
    /* The highest number that was answered; 0: none. */
    uint64_t highest;
};

/* Begin with nothing under way; the slots are borrowed, depth of them. */
void track_init(struct track *track, struct track_slot *slots, uint32_t depth);

/* Put the next datagram under way: its slot, or TRACK_NONE when all are. */
uint32_t track_send(struct track *track, uint64_t now_ns);

/*
 * An answer with this slot and number has come. All but the first in time, in
 * order, is counted in counts. ret_sent_ns is written for TRACK_FIRST.
 */
enum track_answer track_receive(struct track *track, uint32_t slot,
                                uint64_t number, struct track_counts *counts,
                                uint64_t *ret_sent_ns);

/* When the oldest datagram under way was sent; UINT64_MAX: there is none. */
uint64_t track_oldest_ns(const struct track *track);

/* When it was meant to be sent; UINT64_MAX: there is none. */
uint64_t track_oldest_meant_ns(const struct track *track);

/* Give up the oldest, of which there is one, as lost. Returns its number. */
uint64_t track_lose(struct track *track);

#endif
