// coroutines.hpp: a layer of C++20 coroutines and RAII over weir's callbacks.
//
// Copy and change it: it is an example, not a part of the library. A
// coroutine is a task<T>, which can wait for other tasks, for sleep() and for
// bytes of a connection. Each connection is owned by one coroutine and closed
// when the coroutine ends. Errors are exceptions inside coroutines. They
// never pass through weir's C code: an uncaught exception is reported to the
// loop's exception hook. All objects belong to the loop's thread.
#ifndef EXAMPLE_COROUTINES_HPP
#define EXAMPLE_COROUTINES_HPP

#include <cerrno>
#include <coroutine>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <weir.h>

namespace co
{

// ---- errors and owners ----

struct error : std::runtime_error {
    explicit error(int code)
        : std::runtime_error(weir_strerror(code)), code(code)
    {
    }
    int code;
};

inline int check(int result)
{
    if (result < 0) {
        throw error(result);
    }
    return result;
}

template <auto free> struct freed_by {
    template <class T> void operator()(T *object) const
    {
        (void)free(object);
    }
};
using loop = std::unique_ptr<weir_loop, freed_by<weir_loop_free>>;
using server = std::unique_ptr<weir_server, freed_by<weir_server_free>>;

inline loop make_loop()
{
    weir_loop *made = nullptr;
    check(weir_loop_new(nullptr, &made));
    return loop(made);
}

// ---- coroutines ----

struct promise_base {
    std::coroutine_handle<> waiter = std::noop_coroutine();
    std::exception_ptr failure;

    struct resume_waiter {
        bool await_ready() noexcept
        {
            return false;
        }
        template <class P>
        std::coroutine_handle<>
        await_suspend(std::coroutine_handle<P> h) noexcept
        {
            return h.promise().waiter;
        }
        void await_resume() noexcept
        {
        }
    };
    std::suspend_always initial_suspend() noexcept
    {
        return {};
    }
    resume_waiter final_suspend() noexcept
    {
        return {};
    }
    void unhandled_exception() noexcept
    {
        failure = std::current_exception();
    }
};

template <class T> struct promise : promise_base {
    std::optional<T> result;

    void return_value(T value)
    {
        result.emplace(std::move(value));
    }
};

template <> struct promise<void> : promise_base {
    void return_void() noexcept
    {
    }
};

// A coroutine; it starts when it is awaited. co_await returns its result.
template <class T = void> class task
{
  public:
    struct promise_type : promise<T> {
        task get_return_object()
        {
            return task(handle::from_promise(*this));
        }
    };
    using handle = std::coroutine_handle<promise_type>;

    task(task &&other) noexcept : frame(std::exchange(other.frame, nullptr))
    {
    }
    task(const task &) = delete;
    ~task()
    {
        if (frame) {
            frame.destroy();
        }
    }
    bool await_ready() const noexcept
    {
        return false;
    }
    std::coroutine_handle<>
    await_suspend(std::coroutine_handle<> waiter) noexcept
    {
        frame.promise().waiter = waiter;
        return frame;
    }
    T await_resume()
    {
        if (frame.promise().failure) {
            std::rethrow_exception(frame.promise().failure);
        }
        if constexpr (!std::is_void_v<T>) {
            return std::move(*frame.promise().result);
        }
    }

  private:
    explicit task(handle made) : frame(made)
    {
    }
    handle frame;
};

inline void report(weir_loop *loop, const char *message, int code)
{
    weir_exception exception{};
    exception.size = sizeof(exception);
    exception.message = message;
    exception.err = code;
    if (weir_loop_call_exception_handler(loop, &exception) < 0) {
        std::terminate(); // not the loop's thread
    }
}

// A coroutine that nothing awaits; its frame is freed when it ends.
struct detached {
    struct promise_type {
        detached get_return_object() noexcept
        {
            return {};
        }
        std::suspend_never initial_suspend() noexcept
        {
            return {};
        }
        std::suspend_never final_suspend() noexcept
        {
            return {};
        }
        void return_void() noexcept
        {
        }
        void unhandled_exception() noexcept
        {
            std::terminate();
        }
    };
};

// Starts a task now, without waiting for it.
inline detached spawn(weir_loop *loop, task<> work)
{
    try {
        co_await work;
    } catch (const error &e) {
        report(loop, e.what(), e.code);
    } catch (const std::exception &e) {
        report(loop, e.what(), -EIO);
    }
}

inline void resume(void *address) noexcept
{
    std::coroutine_handle<>::from_address(address).resume();
}

struct sleep {
    weir_loop *loop;
    uint64_t delay_ns;

    bool await_ready() const noexcept
    {
        return false;
    }
    void await_suspend(std::coroutine_handle<> waiter)
    {
        check(weir_loop_call_later(loop, delay_ns, resume, waiter.address(),
                                   nullptr));
    }
    void await_resume() noexcept
    {
    }
};

// ---- connections ----

// The shared state of a connection's callbacks and its coroutine. The transport
// has a reference until connection_lost, the coroutine's connection has
// another.
struct shared {
    weir_transport *transport = nullptr; // null once it is lost
    std::string received;
    std::coroutine_handle<> reader;
    std::coroutine_handle<> writer;
    bool has_ended = false;
    bool is_paused = false;
    int failure = 0;

    void wake(std::coroutine_handle<> &waiter)
    {
        if (waiter) {
            std::exchange(waiter, nullptr).resume();
        }
    }
};
using shared_ptr = std::shared_ptr<shared>;

class connection
{
  public:
    explicit connection(shared_ptr with) : state(std::move(with))
    {
    }
    connection(connection &&) = default;
    ~connection()
    {
        if (state && state->transport) {
            weir_transport_close(state->transport); // sends what was written
        }
    }

    // Waits for bytes and returns them; returns none at the end of the
    // stream.
    auto read()
    {
        struct wait {
            shared &state;
            bool await_ready() const noexcept
            {
                return !state.received.empty() || state.has_ended;
            }
            void await_suspend(std::coroutine_handle<> waiter) noexcept
            {
                state.reader = waiter;
                weir_transport_resume_reading(state.transport);
            }
            std::string await_resume()
            {
                if (state.received.empty()) {
                    check(state.failure);
                }
                return std::exchange(state.received, {});
            }
        };
        return wait{*state};
    }

    // Writes, and waits while the peer reads slowly. g++ 12 destroys
    // temporaries of a conditional expression inside co_await wrongly: store
    // such a text in a variable first.
    auto write(std::string_view bytes)
    {
        struct wait {
            shared &state;
            bool await_ready() const noexcept
            {
                return !state.is_paused || !state.transport;
            }
            void await_suspend(std::coroutine_handle<> waiter) noexcept
            {
                state.writer = waiter;
            }
            void await_resume()
            {
                check(state.failure);
            }
        };
        check(state->transport
                  ? weir_transport_write(state->transport, bytes.data(),
                                         bytes.size())
                  : -EPIPE);
        return wait{*state};
    }

  private:
    shared_ptr state;
};

// ---- callbacks: no exception leaves them ----

using serve_fn = task<> (*)(weir_loop *loop, connection with);

struct user {
    shared_ptr state = std::make_shared<shared>();
    serve_fn serve = nullptr;
};

inline user &user_of(void *pointer)
{
    return *static_cast<user *>(pointer);
}

inline void on_made(void *pointer, weir_transport *t) noexcept
{
    user &self = user_of(pointer);
    weir_loop *loop = weir_transport_get_loop(t);
    self.state->transport = t;
    spawn(loop, self.serve(loop, connection(self.state)));
}

inline int on_data(void *pointer, weir_transport *t,
                   const weir_buf *buf) noexcept
{
    const shared_ptr state = user_of(pointer).state;
    state->received.append(reinterpret_cast<const char *>(buf->data), buf->len);
    state->wake(state->reader);
    if (!state->received.empty()) {
        weir_transport_pause_reading(t); // until the next read()
    }
    return 0;
}

inline int on_eof(void *pointer, weir_transport *) noexcept
{
    const shared_ptr state = user_of(pointer).state;
    state->has_ended = true;
    state->wake(state->reader);
    return 1; // the coroutine may still write; it closes at its end
}

inline void on_lost(void *pointer, weir_transport *, int err) noexcept
{
    const std::unique_ptr<user> self(&user_of(pointer));
    self->state->transport = nullptr;
    self->state->has_ended = true;
    self->state->failure = err;
    self->state->wake(self->state->reader);
    self->state->wake(self->state->writer);
}

inline void on_pause(void *pointer, weir_transport *) noexcept
{
    user_of(pointer).state->is_paused = true;
}

inline void on_resume(void *pointer, weir_transport *) noexcept
{
    const shared_ptr state = user_of(pointer).state;
    state->is_paused = false;
    state->wake(state->writer);
}

inline const weir_protocol *protocol()
{
    static const weir_protocol table = [] {
        weir_protocol made{};
        made.size = sizeof(made);
        made.kind = WEIR_PROTOCOL_STREAM;
        made.connection_made = on_made;
        made.data_received = on_data;
        made.eof_received = on_eof;
        made.connection_lost = on_lost;
        made.pause_writing = on_pause;
        made.resume_writing = on_resume;
        return made;
    }();
    return &table;
}

inline int create(void *serve, weir_transport *,
                  weir_protocol_binding *ret) noexcept
{
    auto self = std::unique_ptr<user>(new (std::nothrow) user);
    if (!self) {
        return -ENOMEM;
    }
    self->serve = *static_cast<serve_fn *>(serve);
    *ret = {protocol(), self.release()};
    return 0;
}

} // namespace co

#endif
