/*
 * Scenes: tests of the contract in lines of a small language.
 *
 *     SCENE(end_matrix, open_and_pending__close_sends_everything_first, "both",
 *           "clog; close; turn 10; alive; read end; came all; lost 0 CLOSED")
 *
 * A scene runs once for each kind of connection with the required traits. Its
 * texts are steps from the table in scenes.c: calls of the program, actions of
 * the peer, and expectations. Texts run in order. A text that begins with the
 * name of a callback runs inside it: "@data pause; fail EPROTO", or with
 * "@data!" the first time only. An unknown word fails the scene before it
 * starts. If a step fails, the scene is printed with the step between >> and
 * <<.
 *
 * E is an error's name from weir_err_name(), several separated by |, 0 for
 * none, or any; the default is 0. N is a number, with K or M, or a named value.
 * V is an expected value: N, <N, >N, <=N or >=N; with +N the number is added to
 * the noted value. "kept" expects all written bytes, unless the peer can reset,
 * which discards them.
 *
 * @needs has traits: both, receives, sends, plain, memory, reset, break,
 * kernel, pipe, tls and nested; a ! before a trait excludes it. It also sets
 * up the rig: wide (the kernel's buffers keep their size), eof=N (result of
 * eof_received), read=N and hard=N (limits in the maker's options), idle-ms=N
 * and other time limits, copied or in-place (a buffered protocol without or
 * with release_buffer), each (the scene runs with write, writelines and
 * write_ref in turn; otherwise with write).
 */
#ifndef WEIR_TESTS_CONTRACT_SCENES_H
#define WEIR_TESTS_CONTRACT_SCENES_H

#include "tests/contract/harness.h"

void scene_run(const char *needs, const char *const *texts);

#define SCENE(suite, name, needs, ...)                                         \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        scene_run(needs, (const char *const[]){__VA_ARGS__, NULL});            \
    }
#endif
