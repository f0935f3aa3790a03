/*
 * A file that a stream socket sends: where it stands, and what is in flight.
 *
 * The functions that move it are in sock_file.c; sock_impl.h declares them, as
 * they need the rest of the socket.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_FILE_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_FILE_H

#include "lib/transport/sendfile.h"
#include "lib/transport/transport.h"

struct wr_sock;

enum wr_file_state {
    WR_FILE_NEXT,     /* the next piece waits for its turn, or for room */
    WR_FILE_READING,  /* a piece is being read into a block */
    WR_FILE_SENDING,  /* and sent from there */
    WR_FILE_STOPPING, /* waiting for what is in flight, to end early */
    WR_FILE_DONE,     /* the loop is about to tell */
    WR_FILE_STATES,
};

/* How the sending of a file goes on after a step. */
enum wr_file_step {
    WR_FILE_GOES_ON,    /* the next piece leaves in the next turn */
    WR_FILE_LACKS_ROOM, /* once the kernel has room */
    WR_FILE_WAITS,      /* an operation is in flight, or the file is done */
    WR_FILE_BREAKS,     /* the socket is broken */
};

/* A file that is being sent. */
struct wr_sock_file {
    struct wr_sock *sock;
    struct wr_sendfile part;
    enum wr_file_state state; /* set by sock_file_set_state() alone */
    int err;                  /* why it stops, then its result */
    uint64_t sent;
    uint64_t joined; /* of these, at the end of the send queue; few */
    struct wr_op read_op;
    struct wr_block *block; /* of the read, and of the send of its bytes */
    struct wr_ready ready;  /* for the next turn, or to tell of the end */
};

/* The functions of sock.c that a file calls up. */
struct wr_sock_file_ops {
    wr_op_complete_fn *read_completed;
    wr_ready_fn *ready;
};

#endif
