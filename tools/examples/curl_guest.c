/*
 * libcurl on a weir loop: the loop watches libcurl's sockets and has a timer
 * for its timeouts. Fetches a URL to standard output.
 * Usage: curl_guest URL
 */
#include "check.h"

#include <curl/curl.h>
#include <err.h>

static weir_loop *loop;
static CURLM *multi;
static struct weir_handle timer;

static void act(void *fd) /* libcurl itself finds out which event it was */
{
    int running = 0;
    curl_multi_socket_action(multi, (int)(intptr_t)fd, 0, &running);
    if (running == 0) {
        weir_loop_stop(loop);
    }
}

static int watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *mine)
{
    void *number = (void *)(intptr_t)fd;
    (void)easy;
    (void)arg;
    (void)mine;
    weir_loop_remove_reader(loop, fd);
    weir_loop_remove_writer(loop, fd);
    if (what & CURL_POLL_IN) {
        check(weir_loop_add_reader(loop, fd, act, number));
    }
    if (what & CURL_POLL_OUT) {
        check(weir_loop_add_writer(loop, fd, act, number));
    }
    return 0;
}

static int set_timer(CURLM *from, long ms, void *arg)
{
    void *number = (void *)(intptr_t)CURL_SOCKET_TIMEOUT;
    (void)from;
    (void)arg;
    weir_handle_cancel(loop, timer);
    if (ms >= 0) {
        check(weir_loop_call_later(loop, WEIR_MILLISECONDS(ms), act, number,
                                   &timer));
    }
    return 0;
}

int main(int argc, char **argv)
{
    CURL *easy = curl_easy_init();
    int left;
    if (argc != 2) {
        errx(2, "usage: curl_guest URL");
    }
    check(weir_loop_new(NULL, &loop));
    multi = curl_multi_init();
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_add_handle(multi, easy);
    check(weir_loop_run(loop));
    CURLMsg *last = curl_multi_info_read(multi, &left);
    CURLcode result = last ? last->data.result : CURLE_FAILED_INIT;
    curl_multi_cleanup(multi);
    curl_easy_cleanup(easy);
    check(weir_loop_free(loop));
    if (result != CURLE_OK) {
        errx(1, "%s", curl_easy_strerror(result));
    }
    return 0;
}
