// coroutines_echo.cpp: an echo server and its client, written with coroutines
// (coroutines.hpp). The client sends two messages, then ends the program.
#include "coroutines.hpp"

#include <cstdio>

namespace
{

// Runs for each connection of the server.
co::task<> echo(weir_loop *, co::connection peer)
{
    for (;;) {
        const std::string bytes = co_await peer.read();
        if (bytes.empty()) {
            co_return; // the client's end; this closes the connection
        }
        co_await peer.write(bytes);
    }
}

// Sends a text. Returns the answer, which has its length.
co::task<std::string> ask(co::connection &server, std::string_view text)
{
    std::string answer;
    co_await server.write(text);
    while (answer.size() < text.size()) {
        const std::string bytes = co_await server.read();
        if (bytes.empty()) {
            throw std::runtime_error("the answer was cut off");
        }
        answer += bytes;
    }
    co_return answer;
}

// Runs for the client's connection.
co::task<> client(weir_loop *loop, co::connection server)
{
    std::puts((co_await ask(server, "hello")).c_str());
    co_await co::sleep{loop, WEIR_MILLISECONDS(1)};
    std::puts((co_await ask(server, "again")).c_str());
    weir_loop_stop(loop);
}

co::serve_fn serve_echo = echo;
co::serve_fn serve_client = client;

void connect(void *, int err, weir_server *server) noexcept
{
    const weir_factory factory{co::create, &serve_client};
    weir_loop *loop = weir_server_get_loop(server);
    weir_address address;
    if (err == 0 && weir_server_get_socket(server, 0, &address) >= 0) {
        err = weir_create_connection_at(loop, &factory,
                                        weir_endpoint_addresses(&address, 1),
                                        nullptr, nullptr, nullptr, nullptr);
    }
    if (err < 0) {
        std::fprintf(stderr, "%s\n", weir_strerror(err));
        weir_loop_stop(loop);
    }
}

} // namespace

int main()
try {
    const weir_factory factory{co::create, &serve_echo};
    const co::loop loop = co::make_loop();
    weir_loop_set_exception_handler(loop.get(), weir_print_exception, nullptr);
    weir_server *made = nullptr;
    co::check(weir_create_server(loop.get(), &factory, "127.0.0.1", 0, nullptr,
                                 connect, nullptr, &made));
    const co::server server(made); // freed before its loop
    co::check(weir_loop_run(loop.get()));
    return 0;
} catch (const co::error &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
