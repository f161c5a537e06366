/**
 * @file pusher_asio.hpp
 * The publisher of pusher.hpp for Asio, header only, for C++20: `co_await` an event, and get its own report.
 *
 * @code
 * boost::asio::awaitable<void> greet(pusher::async_publisher &publisher) {
 *   const pusher::report report =
 *       co_await publisher.async_publish("my-channel", "my-event", R"({"hello":"world"})", boost::asio::use_awaitable);
 *   if (!report.delivered()) std::cerr << report.failure().message() << '\n';
 *   co_await publisher.async_close(std::chrono::seconds(10), boost::asio::use_awaitable);
 * }
 * @endcode
 *
 * - Libraries: Boost.Asio since Boost 1.74, or standalone Asio since 1.18 if `PUSHER_ASIO_STANDALONE` is defined
 *   before this file is included. One program may use both. libpusher itself needs neither.
 * - Tokens: each operation takes any completion token, such as a callback, `use_awaitable`, `use_future`, `deferred` or
 *   `detached`. It calls a handler through the handler's associated executor, never inside the call that starts the
 *   operation, and allocates with the handler's associated allocator.
 * - Outcomes: a completed event has a pusher::report, also if it was refused, for example because it is too large. An
 *   error code (an exception of `use_awaitable` and `use_future`) only says that the wait ended without a report.
 * - Deploys: async_drain() returns what was never sent, and async_restore() of another publisher takes it in again.
 * - Cancellation: if Asio has cancellation slots (since 1.19, Boost 1.77), each operation has its own cancellation. It
 *   ends the wait with `operation_aborted`, and not the event: an event that is queued may still be sent. An event
 *   that waits for room is never sent; its report says `not_sent`, and that of a queued event `unknown`. The type
 *   `total` cancels only the former.
 * - Threads: any number of threads may use one publisher at the same time, and any number may run its io_context. No
 *   strand is needed: the publisher has a lock inside, and calls handlers outside of it. Reports that arrive together
 *   complete one after another on one thread, except handlers with another executor: no handler may block.
 * - Idle: without a pending operation the publisher waits for nothing, and `io_context::run()` can return.
 * - Compilers: Asio before 1.24 (Boost 1.80) knows `co_await` of GCC, but not of newer versions of Clang. Define
 *   `BOOST_ASIO_HAS_CO_AWAIT` and `BOOST_ASIO_HAS_STD_COROUTINE` for it, without `BOOST_` for standalone Asio.
 */
#ifndef PUSHER_ASIO_HPP
#define PUSHER_ASIO_HPP

#if __cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "pusher_asio.hpp needs C++20"
#endif

#include <charconv>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

#include "pusher.hpp"

#ifdef PUSHER_ASIO_STANDALONE
#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/defer.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/steady_timer.hpp>
#if __has_include(<asio/associated_cancellation_slot.hpp>)
#include <asio/associated_cancellation_slot.hpp>
#include <asio/cancellation_type.hpp>
#define PUSHER_ASIO_HAS_CANCELLATION 1
#endif
#define PUSHER_ASIO_NAMESPACE standalone_asio
#else
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#if __has_include(<boost/asio/associated_cancellation_slot.hpp>)
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#define PUSHER_ASIO_HAS_CANCELLATION 1
#endif
#define PUSHER_ASIO_NAMESPACE boost_asio
#endif

#ifndef PUSHER_ASIO_HAS_CANCELLATION
#define PUSHER_ASIO_HAS_CANCELLATION 0
#endif

namespace pusher {
inline namespace PUSHER_INLINE_NAMESPACE {
/* One program may have sources for each of the two libraries. */
inline namespace PUSHER_ASIO_NAMESPACE {

/** @cond inside */
namespace asio_inside {
#ifdef PUSHER_ASIO_STANDALONE
namespace net = ::asio;
using error_code = std::error_code;
#else
namespace net = ::boost::asio;
using error_code = boost::system::error_code;
#endif

/* Reads JSON that the library wrote, or that it will check: never beyond the end, whatever it is. */
class json_reader {
public:
  explicit json_reader(std::string_view json) noexcept : json_(json) {}

  /* Skips white space, and then this character if it is the next one. Returns whether it was. */
  bool skip(char expected) noexcept {
    blank();
    if (at_ == json_.size() || json_[at_] != expected) return false;
    at_++;
    return true;
  }

  /* Reads the next member of an object. Returns whether there is one. The key has its escapes. */
  bool member(std::string_view &key, std::string_view &value) noexcept {
    if (!this->key(key)) return false;
    value = this->value();
    if (value.empty()) at_ = json_.size();
    return !value.empty();
  }

  /* Reads the key of the next member, and the colon. */
  bool key(std::string_view &key) noexcept {
    skip(',');
    if (!skip('"')) return false;
    const std::size_t start = at_;
    end_string();
    key = json_.substr(start, std::max(at_, start + 1) - 1 - start);
    return skip(':');
  }

  /* Reads a value without its white space. */
  std::string_view value() noexcept {
    std::size_t depth = 0;
    blank();
    const std::size_t start = at_;
    while (at_ < json_.size()) {
      const char c = json_[at_];
      if (depth == 0 && (c == ',' || c == '}' || c == ']' || is_blank(c))) break;
      at_++;
      if (c == '"') end_string();
      if (c == '{' || c == '[') depth++;
      if (c == '}' || c == ']') depth--;
      if (depth == 0 && (c == '"' || c == '}' || c == ']')) break;
    }
    return json_.substr(start, at_ - start);
  }

  /* Skips this text if it is next. */
  template <std::size_t Size>
  bool skip(const char (&text)[Size]) noexcept {
    const bool is_next = json_.size() - at_ >= Size - 1 && std::memcmp(json_.data() + at_, text, Size - 1) == 0;
    if (is_next) at_ += Size - 1;
    return is_next;
  }

  /* Reads an integer if one is next. */
  bool skip_number(std::uint64_t &number) noexcept {
    const auto read = std::from_chars(json_.data() + at_, json_.data() + json_.size(), number);
    at_ = static_cast<std::size_t>(read.ptr - json_.data());
    return read.ec == std::errc();
  }

  /* Goes back to where it was. */
  void back_to(std::size_t at) noexcept { at_ = at; }

  /* Returns how much was read. */
  std::size_t at() const noexcept { return at_; }
  /* Returns whether nothing is left but white space. */
  bool is_at_end() noexcept {
    blank();
    return at_ == json_.size();
  }

private:
  static bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  void blank() noexcept {
    while (at_ < json_.size() && is_blank(json_[at_])) at_++;
  }
  /* Skips the rest of a string. */
  void end_string() noexcept {
    while (at_ < json_.size() && json_[at_] != '"') at_ += json_[at_] == '\\' ? 2U : 1U;
    at_ = std::min(at_ + 1, json_.size());
  }

  std::string_view json_;
  std::size_t at_ = 0;
};

/* Returns whether the text is a number without sign or fraction, and writes it. */
template <typename Number>
bool parse(std::string_view text, Number &number) noexcept {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

struct report_writer;
} // namespace asio_inside
/** @endcond */

/** How an event ended: see pusher_publisher_poll(). */
class [[nodiscard]] report {
public:
  /** Creates the report of an operation that ended without one. */
  report() = default;

  /** Returns the event's number in the publisher, 0 if it was not queued. */
  std::uint64_t id() const noexcept { return id_; }

  /** Returns the status, ::PUSHER_STATUS_OK if the event was delivered. */
  status code() const noexcept { return code_; }

  /** Returns the status as a scoped enumeration. */
  pusher::status_code status_code() const noexcept {
    return static_cast<pusher::status_code>(static_cast<std::int32_t>(code_));
  }

  /** Returns what happened to the event. */
  pusher::delivery delivery() const noexcept { return delivery_; }

  /** Returns whether the event was delivered. */
  bool delivered() const noexcept { return delivery_ == pusher::delivery::delivered; }

  /** Returns the report, JSON: an object like those of pusher_publisher_poll(). Empty if there is none. */
  std::string document() const {
    if (document_) return *document_;
    if (!delivered()) return {};
    return "{\"id\":" + std::to_string(id_) + PLAIN;
  }

  /** Returns why the event was not delivered. */
  pusher::failure failure() const {
    const std::string document = this->document();
    std::string_view members(document);
    if (members.empty()) {
      inside::object made;
      made.text("status", status_name(code_));
      made.text("message", status_name(code_));
      made.text("delivery", delivery_name(delivery_));
      return {code_, "{\"error\":" + made.str() + '}'};
    }
    /* An error document begins with the status. */
    const std::size_t comma = members.find(',');
    members.remove_prefix(members.starts_with("{\"id\":") && comma != members.npos ? comma + 1 : 1);
    return {code_, std::string("{\"error\":{").append(members).append("}")};
  }

#if PUSHER_HAS_EXCEPTIONS
  /** Throws pusher::error unless the event was delivered. */
  void check() const {
    if (!delivered()) throw error(failure());
  }
#endif

private:
  friend struct asio_inside::report_writer;

  /* What follows the id in the report of an event that was delivered, if nothing else is known. It is not kept. */
  static constexpr char PLAIN[] = ",\"status\":\"OK\",\"delivery\":\"delivered\"}";

  std::uint64_t id_ = 0;
  status code_ = PUSHER_STATUS_DELIVERY_UNKNOWN;
  pusher::delivery delivery_ = pusher::delivery::unknown;
  /* Shared, because a report is moved often, and most have none. */
  std::shared_ptr<const std::string> document_;
};

/** @cond inside */
namespace asio_inside {

struct report_writer {
  /* Reads one of the reports of a poll. Returns whether it is one. */
  static bool read(json_reader &page, std::string_view json, report &into) {
    const std::size_t before = page.at();
    /* As the library writes most of them. */
    if ((page.skip(",{\"id\":") || page.skip("{\"id\":")) && page.skip_number(into.id_) && page.skip(report::PLAIN)) {
      into.code_ = PUSHER_STATUS_OK;
      into.delivery_ = pusher::delivery::delivered;
      return true;
    }
    page.back_to(before);
    page.skip(',');
    if (!page.skip('{')) return false;
    const std::size_t start = page.at() - 1;
    std::string_view key, value, code;
    while (page.member(key, value)) {
      if (key == "id") {
        parse(value, into.id_);
      } else if (key == "status") {
        code = value;
      } else if (key == "delivery") {
        into.delivery_ = delivery_of(value);
      }
    }
    if (!page.skip('}')) return false;
    into.document_ = std::make_shared<const std::string>(json.substr(start, page.at() - start));
    into.code_ = code == "\"OK\"" ? PUSHER_STATUS_OK : pusher::failure::of(into.failure().document()).code();
    return true;
  }

  /* The report of an event that was refused: `document` is the error document. */
  static report refused(const pusher::failure &why) {
    report made;
    made.code_ = why.code();
    made.delivery_ = pusher::delivery::not_sent;
    const std::string_view document(why.document()), beginning("{\"error\":");
    if (document.starts_with(beginning)) {
      made.document_ = std::make_shared<const std::string>(
          document.substr(beginning.size(), document.size() - 1 - beginning.size()));
    }
    return made;
  }

  /* The report of an event of which the library says nothing more. */
  static report ended(std::uint64_t id, status code, std::string_view message) {
    report made;
    made.id_ = id;
    made.code_ = code;
    made.delivery_ = id == 0 ? pusher::delivery::not_sent : pusher::delivery::unknown;
    inside::object members;
    if (id != 0) members.json("id", std::to_string(id));
    members.text("status", status_name(code));
    members.text("message", message);
    members.text("delivery", delivery_name(made.delivery_));
    made.document_ = std::make_shared<const std::string>(members.str());
    return made;
  }

  /* Marks the report of an event that was queued. */
  static void set_id(report &of, std::uint64_t id) noexcept { of.id_ = id; }

  /* Makes the report of an operation that ends without one. */
  static void set_unfinished(report &of) noexcept {
    of.code_ = of.id_ == 0 ? PUSHER_STATUS_NOT_SENT : PUSHER_STATUS_DELIVERY_UNKNOWN;
    of.delivery_ = of.id_ == 0 ? pusher::delivery::not_sent : pusher::delivery::unknown;
  }

private:
  static pusher::delivery delivery_of(std::string_view quoted) noexcept {
    if (quoted == "\"delivered\"") return pusher::delivery::delivered;
    if (quoted == "\"not_sent\"") return pusher::delivery::not_sent;
    if (quoted == "\"rejected\"") return pusher::delivery::rejected;
    return pusher::delivery::unknown;
  }
};

/* The arguments of pusher_publisher_publish(), or why there are none. It owns them: a token may start the operation later. They
 * are one allocation, which moves fast: a token may move them several times. */
class event_arguments {
public:
  event_arguments() = default;
  event_arguments(std::optional<std::string_view> on, std::string_view event, std::string_view data,
                  const inside::object &more) {
    if (more.wrong()) {
      refuse(inside::not_json("options." + *more.wrong(), true));
      return;
    }
    const std::string text = more.empty() ? std::string() : more.str();
    const auto options = more.empty() ? std::nullopt : std::optional<std::string_view>(text);
    const std::array<inside::argument, 4> all{
        {{"channels", on}, {"event", event}, {"data", data}, {"options", options}}};
    std::size_t size = 0;
    for (const inside::argument &one : all) {
      if (one.has_nul()) {
        refuse(inside::has_nul(one.name, true));
        return;
      }
      size += one.size();
    }
    char *to = allocate(size);
    for (std::size_t i = 0; i < all.size(); i++) {
      if (!all[i].text) continue;
      content_->texts[i] = to;
      to += all[i].text->copy(to, all[i].text->size());
      *to++ = '\0';
    }
  }

  /* Returns why there are no arguments, or nullptr. */
  const pusher::failure *wrong() const noexcept { return content_->wrong ? &*content_->wrong : nullptr; }
  status publish(PusherPublisher *publisher, std::uint64_t *id, char **out) const noexcept {
    const auto &texts = content_->texts;
    return pusher_publisher_publish(publisher, texts[0], texts[1], texts[2], texts[3], id, out);
  }

private:
  /* The texts follow it. */
  struct content {
    std::array<const char *, 4> texts{};
    std::optional<pusher::failure> wrong;
  };
  struct free_content {
    void operator()(content *freed) const noexcept {
      freed->~content();
      ::operator delete(freed);
    }
  };

  /* Returns the place of the texts. */
  char *allocate(std::size_t size) {
    void *memory = ::operator new(sizeof(content) + size);
    content_.reset(::new (memory) content());
    return static_cast<char *>(memory) + sizeof(content);
  }
  void refuse(pusher::failure &&why) {
    allocate(0);
    content_->wrong = std::move(why);
  }

  std::unique_ptr<content, free_content> content_;
};

class state;
class operation;

/* What the cancellation slot of an operation holds. It and the operation know each other while both exist. */
class canceller {
public:
  canceller(std::weak_ptr<state> owner, operation &cancelled) noexcept;
  canceller(const canceller &) = delete;
  canceller &operator=(const canceller &) = delete;
  ~canceller();
#if PUSHER_ASIO_HAS_CANCELLATION
  void operator()(net::cancellation_type type) const {
    using net::cancellation_type;
    if (type == cancellation_type::none) return;
    cancel((type & (cancellation_type::terminal | cancellation_type::partial)) != cancellation_type::none);
  }
#endif

private:
  friend class state;
  void cancel(bool also_queued) const;

  std::weak_ptr<state> owner_;
  operation *operation_;
};

/* A call that has not completed. Its handler is in a derived class. */
class operation {
public:
  operation(const operation &) = delete;
  operation &operator=(const operation &) = delete;

  /* Frees the operation, and calls its handler: never inside this call, or possibly inside it, or not at all. */
  enum class end_by { defer, dispatch, destruction };
  /* The executor is that of the publisher, nullptr for the destruction. `dispatch` is only for its handlers. */
  void end(end_by how, const net::any_io_executor *executor) { end_(this, how, executor); }
  /* Loads what the handler will need soon into the cache. */
  void prefetch() const noexcept {
#ifdef __GNUC__
    for (const std::uintptr_t one : words_) {
      __builtin_prefetch(reinterpret_cast<const void *>(one), 1);
      __builtin_prefetch(reinterpret_cast<const void *>(one + 64), 1);
    }
#endif
  }

protected:
  using end_function = void (*)(operation *, end_by, const net::any_io_executor *);
  explicit operation(end_function ending) noexcept : end_(ending) {}
  ~operation() = default;

  /* Keeps the beginning of a handler. That of a coroutine begins with pointers to its frames, which are in no cache if many wait.
   * What else it may be does not matter: a prefetch of any address is harmless. */
  void look_at(const void *handler, std::size_t size) noexcept {
    std::memcpy(words_.data(), handler, std::min(size, sizeof words_));
  }

  error_code error_;
  report report_;

private:
  friend class canceller;
  friend class operation_list;
  friend class operation_table;
  friend class state;

  /* Waits for room, is queued, or waits for the end of the publisher, for its document, or for the events of a document. */
  enum class place { nowhere, waiting, queued, closing, draining, restoring };

  end_function end_;
  operation *next_ = nullptr, *previous_ = nullptr;
  canceller *canceller_ = nullptr;
  place place_ = place::nowhere;
  event_arguments arguments_;
  std::array<std::uintptr_t, 2> words_{};
};

/* Completes with the report of its event. */
class event_operation : public operation {
protected:
  using operation::operation;
  using outcome = report;
  outcome take() noexcept { return std::move(report_); }
  template <typename Handler>
  static void call(Handler &&handler, const error_code &error, outcome &&ended) {
    std::move(handler)(error, std::move(ended));
  }
};

/* Completes with nothing else than the error code. */
class close_operation : public operation {
protected:
  using operation::operation;
  struct outcome {};
  static outcome take() noexcept { return {}; }
  template <typename Handler>
  static void call(Handler &&handler, const error_code &error, outcome &&) {
    std::move(handler)(error);
  }
};

/* Completes with a value, or the failure of the call that it waits for. */
template <typename Value>
class value_operation : public operation {
protected:
  using operation::operation;
  using outcome = result<Value>;
  /* Without an outcome the wait was cancelled. */
  outcome take() { return outcome_ ? std::move(*outcome_) : outcome(report_.failure()); }
  template <typename Handler>
  static void call(Handler &&handler, const error_code &error, outcome &&ended) {
    std::move(handler)(error, std::move(ended));
  }

private:
  friend class state;
  std::optional<outcome> outcome_;
};
using drain_operation = value_operation<std::string>;
using restore_operation = value_operation<std::vector<report>>;

/* The events of a document that were queued, while somebody waits for their reports. */
struct restored_events {
  /* Returns where the report of an event belongs, or nullptr. Ids ascend. */
  report *place_of(std::uint64_t id) noexcept {
    const auto found = std::lower_bound(ids.begin(), ids.end(), id);
    return found == ids.end() || *found != id ? nullptr : &reports[static_cast<std::size_t>(found - ids.begin())];
  }

  restore_operation *waits;
  std::vector<std::uint64_t> ids;
  std::vector<report> reports;
  std::size_t left;
};

/* Operations in their order. It owns them: those that are left are destroyed with it. */
class operation_list {
public:
  operation_list() = default;
  operation_list(const operation_list &) = delete;
  operation_list &operator=(const operation_list &) = delete;
  ~operation_list() {
    while (!empty()) pop()->end(operation::end_by::destruction, nullptr);
  }

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  operation *first() const noexcept { return first_; }
  void push(operation *added) noexcept {
    added->previous_ = last_;
    added->next_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_) = added;
    last_ = added;
    size_++;
  }
  void remove(operation *removed) noexcept {
    (removed->previous_ == nullptr ? first_ : removed->previous_->next_) = removed->next_;
    (removed->next_ == nullptr ? last_ : removed->next_->previous_) = removed->previous_;
    size_--;
  }
  operation *pop() noexcept {
    operation *popped = first_;
    remove(popped);
    return popped;
  }
  /* Calls the handlers. No lock may be held. Afterwards another thread may have destroyed what has the executor. */
  void defer(const net::any_io_executor &of_publisher) {
    if (empty()) return;
    const net::any_io_executor executor(of_publisher);
    while (!empty()) pop()->end(operation::end_by::defer, &executor);
  }
  /* The same in a handler of the executor: those with the same executor run inside the call. */
  void dispatch(const net::any_io_executor &executor) {
    struct others {
      ~others() { left.defer(executor); }
      operation_list &left;
      const net::any_io_executor &executor;
    } after_exception{*this, executor};
    while (!empty()) {
      operation *first = pop();
      if (!empty()) first_->prefetch();
      first->end(operation::end_by::dispatch, &executor);
    }
  }

private:
  operation *first_ = nullptr, *last_ = nullptr;
  std::size_t size_ = 0;
};

/* The operations whose events are queued, by id. Ids are dense: most rows have one operation at most. */
class operation_table {
public:
  operation_table() = default;
  operation_table(const operation_table &) = delete;
  operation_table &operator=(const operation_table &) = delete;
  ~operation_table() {
    operation_list left;
    take_all(left);
  }

  std::size_t size() const noexcept { return size_; }
  /* Makes room for this many. */
  void reserve(std::size_t count) {
    if (count <= rows_.size()) return;
    std::size_t rows = std::max<std::size_t>(64, rows_.size());
    while (rows < count) rows *= 2;
    std::vector<operation *> old(rows);
    old.swap(rows_);
    size_ = 0;
    for (operation *one : old) {
      while (one != nullptr) insert(std::exchange(one, one->next_));
    }
  }
  void insert(operation *added) noexcept {
    operation *&row = row_of(added->report_.id());
    added->next_ = row;
    row = added;
    size_++;
  }
  /* Returns the operation, or nullptr if nobody waits for this event any more. */
  operation *take(std::uint64_t id) noexcept {
    if (rows_.empty()) return nullptr;
    for (operation **link = &row_of(id); *link != nullptr; link = &(*link)->next_) {
      operation *found = *link;
      if (found->report_.id() != id) continue;
      *link = found->next_;
      size_--;
      return found;
    }
    return nullptr;
  }
  void take_all(operation_list &into) noexcept {
    for (operation *&row : rows_) {
      while (row != nullptr) into.push(std::exchange(row, row->next_));
    }
    size_ = 0;
  }

private:
  operation *&row_of(std::uint64_t id) noexcept { return rows_[id & (rows_.size() - 1)]; }

  std::vector<operation *> rows_;
  std::size_t size_ = 0;
};

/* Destroys the operations that are pending when their io_context is destroyed. */
class registry final : public net::execution_context::service {
public:
  inline static net::execution_context::id id;

  explicit registry(net::execution_context &context) : service(context) {}
  void add(state *added) {
    const std::lock_guard<std::mutex> lock(mutex_);
    all_.push_back(added);
  }
  void remove(state *removed) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find(all_.begin(), all_.end(), removed);
    if (found != all_.end()) all_.erase(found);
  }

private:
  void shutdown() noexcept override;

  std::mutex mutex_;
  std::vector<state *> all_;
};

/* A publisher and its operations. The handlers that wait for the publisher know it, but do not own it. */
class state : public std::enable_shared_from_this<state> {
public:
  state(net::any_io_executor executor, publisher &&owned, std::intptr_t descriptor, std::size_t max_outstanding)
      : executor_(std::move(executor)), publisher_(std::move(owned)), max_outstanding_(max_outstanding),
        descriptor_(static_cast<int>(descriptor)),
        registry_(&net::use_service<registry>(net::query(executor_, net::execution::context))) {
    io_.emplace(executor_);
  }
  state(const state &) = delete;
  state &operator=(const state &) = delete;
  ~state() = default;

  const net::any_io_executor &executor() const noexcept { return executor_; }
  const publisher &native() const noexcept { return publisher_; }
  void enlist() { registry_->add(this); }

  /* Publishes an event. */
  void publish(operation *started, event_arguments &&arguments) {
    operation_list own, completed;
    own.push(started);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (arguments.wrong()) {
        started->report_ = report_writer::refused(*arguments.wrong());
        complete(own, started, completed);
      } else if (is_closing_) {
        refuse_closed(started);
        complete(own, started, completed);
      } else {
        table_.reserve(table_.size() + waiting_.size() + 1);
        started->arguments_ = std::move(arguments);
        /* Behind the events that wait already, because calls are in order. */
        place(own.pop(), waiting_, operation::place::waiting);
        if (waiting_.first() == started) publish_waiting(completed);
      }
      watch();
    }
    completed.defer(executor_);
  }

  /* Closes the publisher when all events have ended. */
  void close(operation *started, std::chrono::milliseconds limit) {
    operation_list own, completed;
    own.push(started);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_closing_ = true;
      if (io_) {
        if (limit < forever) set_deadline(std::chrono::steady_clock::now() + limit);
        place(own.pop(), closers_, operation::place::closing);
        end_if_drained(completed);
        watch();
      }
    }
    completed.defer(executor_);
  }

  /* Hands over what is not sent when the requests in flight have ended. pusher_publisher_drain() waits for them, on a thread that is
   * there only meanwhile: no other call keeps the queue from sending more. */
  void drain(drain_operation *started, std::chrono::milliseconds limit) {
    operation_list own, completed;
    own.push(started);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_closing_ = true;
      if (io_) {
        /* They are not in the queue, and so not in the document. */
        while (!waiting_.empty()) {
          refuse_closed(waiting_.first());
          complete(waiting_, waiting_.first(), completed);
        }
        if (!drained_ && !drainer_.joinable()) start_drainer(limit);
        place(own.pop(), draining_, operation::place::draining);
        end_if_drained(completed);
        watch();
      }
    }
    completed.defer(executor_);
  }

  /* Queues the events of a document. */
  void restore(restore_operation *started, const std::string &document) {
    operation_list own, completed;
    own.push(started);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (io_) {
        /* No report can be fetched before it is known who waits for it. */
        result<std::string> restored =
            is_closing_ ? not_called(PUSHER_STATUS_CLOSED, "the publisher is closed; no event was queued")
                        : publisher_.try_restore(document);
        if (restored) {
          restores_.push_back(read_restored(*restored, started));
          outstanding_ += restores_.back().left;
          place(own.pop(), restoring_, operation::place::restoring);
          complete_restored(completed);
        } else {
          started->outcome_ = std::move(restored).failure();
          complete(own, started, completed);
        }
        watch();
      }
    }
    completed.defer(executor_);
  }

  /* Cancels every operation. */
  void cancel() {
    operation_list cancelled;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      abort_all(cancelled);
      watch();
    }
    cancelled.defer(executor_);
  }

  /* Cancels the operation of a slot. */
  void cancel(const canceller &by, bool also_queued) {
    operation_list completed;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      operation *cancelled = by.operation_;
      if (cancelled == nullptr) return;
      switch (cancelled->place_) {
        case operation::place::nowhere: return;
        case operation::place::waiting: waiting_.remove(cancelled); break;
        case operation::place::closing: closers_.remove(cancelled); break;
        case operation::place::draining: draining_.remove(cancelled); break;
        case operation::place::restoring:
          if (!also_queued) return;
          restoring_.remove(cancelled);
          forget_restored(cancelled);
          break;
        case operation::place::queued:
          if (!also_queued) return;
          table_.take(cancelled->report_.id());
          break;
      }
      abort(cancelled, completed);
      /* The others may need less room. */
      publish_waiting(completed);
      end_if_drained(completed);
      watch();
    }
    completed.defer(executor_);
  }

  /* Lets go of a slot that is destroyed. */
  void forget(const canceller &by) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (by.operation_ != nullptr) by.operation_->canceller_ = nullptr;
  }

  /* Ends all use of the io_context. The operations complete, or are destroyed. */
  void end(bool completes) {
    operation_list cancelled;
    registry *enlisted = nullptr;
    std::thread drainer;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_closing_ = true;
      abort_all(cancelled);
      drainer = std::move(drainer_);
      /* The publisher closes the descriptor, not Asio. */
      if (io_) io_->descriptor.release();
      io_.reset();
      enlisted = std::exchange(registry_, nullptr);
    }
    if (drainer.joinable()) {
      /* With nothing in flight it ends at once. */
      pusher_publisher_close(publisher_.native_handle(), 0, nullptr);
      drainer.join();
    }
    if (completes && enlisted != nullptr) enlisted->remove(this);
    if (completes) cancelled.defer(executor_);
  }

private:
  /* How long it does not look at a descriptor that is readable without a use for that. */
  static constexpr std::chrono::milliseconds USELESS_PAUSE{10};
  /* With so many events in the queue it fetches the reports of several requests together. The pause grows with their number, and is
   * so short that they do not end in it. Meanwhile the descriptor is not registered: each time that it becomes readable would wake
   * the thread. */
  static constexpr std::size_t MANY_EVENTS = 256;
  static std::chrono::microseconds pause_of(std::size_t events) noexcept {
    return std::chrono::microseconds(std::clamp<std::size_t>(events, 500, 1000));
  }

  struct io_objects {
    explicit io_objects(const net::any_io_executor &executor)
        : descriptor(executor), pause(executor), deadline(executor) {}
    net::posix::stream_descriptor descriptor;
    net::steady_timer pause, deadline;
  };

  static void place(operation *placed, operation_list &into, operation::place where) noexcept {
    placed->place_ = where;
    into.push(placed);
  }

  /* Moves an operation to those that complete. */
  static void complete(operation *ended, operation_list &completed) noexcept {
    if (ended->canceller_ != nullptr) ended->canceller_->operation_ = nullptr;
    ended->canceller_ = nullptr;
    place(ended, completed, operation::place::nowhere);
  }
  static void complete(operation_list &from, operation *ended, operation_list &completed) noexcept {
    from.remove(ended);
    complete(ended, completed);
  }

  static void abort(operation *aborted, operation_list &completed) noexcept {
    aborted->error_ = net::error::operation_aborted;
    report_writer::set_unfinished(aborted->report_);
    complete(aborted, completed);
  }
  void abort_all(operation_list &completed) noexcept {
    operation_list queued;
    table_.take_all(queued);
    restores_.clear();
    for (operation_list *all : {&queued, &waiting_, &closers_, &draining_, &restoring_}) {
      while (!all->empty()) abort(all->pop(), completed);
    }
  }

  static void refuse_closed(operation *refused) {
    refused->report_ =
        report_writer::ended(0, PUSHER_STATUS_CLOSED, "the publisher is closed; the event was not accepted");
  }
  /* The failure of a call that was not made. */
  static result<std::string> not_called(status code, std::string_view message) {
    return report_writer::ended(0, code, message).failure();
  }

  /* Publishes the events that wait, as far as there is room. Returns whether it has tried. */
  bool publish_waiting(operation_list &completed) {
    bool tried = false;
    while (!waiting_.empty() && (outstanding_ < max_outstanding_ || is_closed_)) {
      operation *first = waiting_.first();
      std::uint64_t id = 0;
      char *out = nullptr;
      const status code = first->arguments_.publish(publisher_.native_handle(), &id, &out);
      const std::unique_ptr<char, inside::free_string> owned(out);
      tried = true;
      /* If nothing else is in the queue, there will never be more room. */
      if (code == PUSHER_STATUS_QUEUE_FULL && outstanding_ > 0) break;
      if (code == PUSHER_STATUS_OK) {
        waiting_.remove(first);
        first->arguments_ = event_arguments();
        first->place_ = operation::place::queued;
        report_writer::set_id(first->report_, id);
        table_.insert(first);
        outstanding_++;
      } else {
        first->report_ = report_writer::refused(pusher::failure(code, out == nullptr ? "" : out));
        complete(waiting_, first, completed);
      }
    }
    return tried;
  }

  /* Waits for the publisher while an operation does. */
  void watch() {
    if (!io_) return;
    const bool is_needed = table_.size() + waiting_.size() + closers_.size() + draining_.size() + restoring_.size() > 0;
    error_code failed, ignored;
    if (is_needed && !is_watching_) {
      if (!io_->descriptor.is_open()) io_->descriptor.assign(descriptor_, failed);
      is_watching_ = true;
      if (failed) {
        /* The system has no memory for it now. */
        pause(USELESS_PAUSE);
      } else {
        io_->descriptor.async_wait(net::posix::stream_descriptor::wait_read,
                                   [owner = weak_from_this()](const error_code &error) {
                                     if (const auto self = owner.lock())
                                       self->fetch(error ? after::cancellation : after::wait);
                                   });
      }
    }
    if (!is_needed && is_watching_) {
      io_->descriptor.cancel(ignored);
      io_->pause.cancel();
    }
    if (closers_.empty() && deadline_) {
      deadline_.reset();
      io_->deadline.cancel();
    }
  }

  /* What a fetch comes after. */
  enum class after { wait, pause, cancellation };

  /* Fetches reports. The next wait begins afterwards, so that only one thread is here. */
  void fetch(after what) {
    operation_list completed;
    char *out = nullptr;
    const status code = pusher_publisher_poll(publisher_.native_handle(), 0, &out);
    const std::unique_ptr<char, inside::free_string> owned(out);
    std::size_t lost = 0;
    fetched_.clear();
    if (code == PUSHER_STATUS_OK) lost = read(out);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (report &one : fetched_) {
        if (operation *ended = table_.take(one.id())) {
          ended->report_ = std::move(one);
          complete(ended, completed);
        } else if (!restores_.empty()) {
          keep_restored(std::move(one));
        }
      }
      const std::size_t before = outstanding_;
      outstanding_ -= std::min(outstanding_, fetched_.size() + lost);
      if (code == PUSHER_STATUS_FORKED) outstanding_ = 0;
      if (outstanding_ == 0 && table_.size() + restores_.size() > 0) complete_lost(code, completed);
      if (!restores_.empty()) complete_restored(completed);
      const bool has_tried = publish_waiting(completed);
      end_if_drained(completed);
      is_watching_ = false;
      if (what != after::cancellation && io_) {
        if (code == PUSHER_STATUS_OK) {
          is_watching_ = before >= MANY_EVENTS;
          if (is_watching_) io_->descriptor.release();
          if (is_watching_) pause(pause_of(before));
        } else if (code != PUSHER_STATUS_FORKED && what == after::wait && !has_tried) {
          /* There is room for an event that has been cancelled, or the library is out of memory. */
          is_watching_ = true;
          pause(USELESS_PAUSE);
        }
      }
      watch();
    }
    completed.dispatch(executor_);
  }

  /* Fetches reports later. */
  void pause(std::chrono::microseconds length) {
    io_->pause.expires_after(length);
    io_->pause.async_wait([owner = weak_from_this()](const error_code &error) {
      if (const auto self = owner.lock()) self->fetch(error ? after::cancellation : after::pause);
    });
  }

  /* Reads a document of reports. Returns how many were lost. */
  std::size_t read(std::string_view document) {
    json_reader page(document);
    std::string_view key, value;
    std::size_t lost = 0;
    page.skip('{');
    while (page.key(key)) {
      if (key == "reports" && page.skip('[')) {
        for (report one; report_writer::read(page, document, one); one = report()) fetched_.push_back(std::move(one));
        page.skip(']');
        continue;
      }
      value = page.value();
      if (key == "lost") parse(value, lost);
    }
    return lost;
  }

  /* All events have ended, but some reports were discarded, because they were too large. */
  void complete_lost(status code, operation_list &completed) {
    operation_list lost;
    table_.take_all(lost);
    const bool is_forked = code == PUSHER_STATUS_FORKED;
    const auto lost_report = [&](std::uint64_t id) {
      return report_writer::ended(id, is_forked ? code : PUSHER_STATUS_DELIVERY_UNKNOWN,
                                  is_forked ? "the publisher belongs to the parent process"
                                            : "the report of this event was lost");
    };
    while (!lost.empty()) {
      operation *one = lost.first();
      one->report_ = lost_report(one->report_.id());
      complete(lost, one, completed);
    }
    for (restored_events &one : restores_) {
      for (std::size_t i = 0; i < one.ids.size(); i++) {
        if (one.reports[i].id() == 0) one.reports[i] = lost_report(one.ids[i]);
      }
      one.left = 0;
    }
  }

  /* Reads the document of pusher_publisher_restore(). */
  static restored_events read_restored(std::string_view document, restore_operation *waits) {
    restored_events made{waits, {}, {}, 0};
    json_reader json(document);
    std::string_view key, value;
    std::uint64_t id = 0;
    json.skip('{');
    while (json.key(key)) {
      if (key == "restored" && json.skip('[')) {
        for (json.skip(','); json.skip('{'); json.skip(',')) {
          while (json.member(key, value)) {
            if (key == "id" && parse(value, id)) made.ids.push_back(id);
          }
          json.skip('}');
        }
        json.skip(']');
      } else {
        json.value();
      }
    }
    made.reports.resize(made.ids.size());
    made.left = made.ids.size();
    return made;
  }

  void keep_restored(report &&ended) {
    for (restored_events &one : restores_) {
      report *place = one.place_of(ended.id());
      if (place == nullptr) continue;
      *place = std::move(ended);
      one.left--;
      return;
    }
  }

  /* Completes those whose events have all ended. */
  void complete_restored(operation_list &completed) {
    std::erase_if(restores_, [&](restored_events &one) {
      if (one.left > 0) return false;
      one.waits->outcome_ = std::move(one.reports);
      complete(restoring_, one.waits, completed);
      return true;
    });
  }

  void forget_restored(const operation *cancelled) noexcept {
    std::erase_if(restores_, [&](const restored_events &one) { return one.waits == cancelled; });
  }

  /* Starts the thread of a drain. */
  void start_drainer(std::chrono::milliseconds limit) {
    const auto run = [this, limit] {
      result<std::string> document = publisher_.try_drain(limit);
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        drained_ = std::move(document);
      }
      net::post(executor_, [owner = weak_from_this()] {
        if (const auto self = owner.lock()) self->end_drain();
      });
    };
#if PUSHER_HAS_EXCEPTIONS
    try {
      drainer_ = std::thread(run);
    } catch (const std::system_error &) {
      drained_ = not_called(PUSHER_STATUS_INTERNAL, "no thread for the drain");
    }
#else
    drainer_ = std::thread(run);
#endif
  }

  void complete_drain(result<std::string> document, operation_list &completed) {
    auto *first = static_cast<drain_operation *>(draining_.first());
    first->outcome_ = std::move(document);
    complete(draining_, first, completed);
  }

  /* The document is there, or there is none. */
  void end_drain() {
    operation_list completed;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (drainer_.joinable()) drainer_.join();
      if (drained_ && *drained_) is_closed_ = true;
      end_if_drained(completed);
      watch();
    }
    completed.dispatch(executor_);
  }

  void set_deadline(std::chrono::steady_clock::time_point limit) {
    if (deadline_ && *deadline_ <= limit) return;
    deadline_ = limit;
    io_->deadline.expires_at(limit);
    io_->deadline.async_wait([owner = weak_from_this()](const error_code &error) {
      const auto self = owner.lock();
      if (self && !error) self->close_late();
    });
  }

  /* Ends what has not ended in time. */
  void close_late() {
    operation_list completed;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (closers_.empty()) return;
      is_late_ = true;
      close_publisher();
      publish_waiting(completed);
      end_if_drained(completed);
      watch();
    }
    completed.dispatch(executor_);
  }

  void close_publisher() noexcept {
    if (std::exchange(is_closed_, true)) return;
    pusher_publisher_close(publisher_.native_handle(), 0, nullptr);
  }

  void end_if_drained(operation_list &completed) {
    /* While its thread is there, another drain could not begin. */
    const bool is_drained = drained_ && !drainer_.joinable();
    if (is_drained && !*drained_) {
      /* No event has ended, and the drain can be repeated. */
      while (!draining_.empty()) complete_drain(*drained_, completed);
      drained_.reset();
    }
    if (!waiting_.empty() || outstanding_ > 0) return;
    if (is_drained && drained_ && !draining_.empty()) {
      complete_drain(std::move(*drained_), completed);
      drained_.reset();
      /* An event is in one document: theirs are empty. */
      while (!draining_.empty()) complete_drain(publisher_.try_drain(std::chrono::milliseconds(0)), completed);
    }
    if (closers_.empty()) return;
    close_publisher();
    while (!closers_.empty()) {
      if (is_late_) closers_.first()->error_ = net::error::timed_out;
      complete(closers_, closers_.first(), completed);
    }
    is_late_ = false;
  }

  const net::any_io_executor executor_;
  publisher publisher_;
  /* As many events may be without a fetched report. */
  const std::size_t max_outstanding_;
  const int descriptor_;
  /* Only of the thread that fetches. */
  std::vector<report> fetched_;

  std::mutex mutex_;
  registry *registry_;
  std::optional<io_objects> io_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  operation_list waiting_, closers_, draining_, restoring_;
  std::vector<restored_events> restores_;
  /* Waits in pusher_publisher_drain(). */
  std::thread drainer_;
  /* The document of a drain until an operation takes it, also if the one that started it was cancelled. */
  std::optional<result<std::string>> drained_;
  operation_table table_;
  std::size_t outstanding_ = 0;
  bool is_watching_ = false, is_closing_ = false, is_closed_ = false, is_late_ = false;
};

inline canceller::canceller(std::weak_ptr<state> owner, operation &cancelled) noexcept
    : owner_(std::move(owner)), operation_(&cancelled) {
  cancelled.canceller_ = this;
}
inline canceller::~canceller() {
  if (const auto owner = owner_.lock()) owner->forget(*this);
}
inline void canceller::cancel(bool also_queued) const {
  if (const auto owner = owner_.lock()) owner->cancel(*this, also_queued);
}

inline void registry::shutdown() noexcept {
  for (;;) {
    std::shared_ptr<state> last;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (all_.empty()) return;
      last = all_.back()->weak_from_this().lock();
      all_.pop_back();
    }
    if (last) last->end(false);
  }
}

/* What keeps the executor of a handler at work while its operation is pending. */
template <typename Executor>
class executor_at_work {
public:
  explicit executor_at_work(const Executor &executor) : work_(executor) {}

  using executor_type = Executor;
  executor_type executor(const net::any_io_executor *) const { return work_.get_executor(); }

private:
  net::executor_work_guard<Executor> work_;
};

/* The same for the publisher's executor: that has the wait for the publisher. It takes no place, since many operations may wait. */
struct own_executor {
  using executor_type = net::any_io_executor;
  static const executor_type &executor(const net::any_io_executor *own) noexcept { return *own; }
};

/* An operation with its handler, in memory of the handler's allocator. */
template <typename Base, typename Handler, typename Work>
class handled_operation final : public Base {
  using allocator_type =
      typename std::allocator_traits<net::associated_allocator_t<Handler>>::template rebind_alloc<handled_operation>;
  using memory = std::allocator_traits<allocator_type>;

public:
  /* Returns a new operation, and tells the handler's cancellation slot. */
  static handled_operation *make(Handler &&handler, Work &&work, [[maybe_unused]] state &owner) {
    allocator_type allocator(net::get_associated_allocator(handler));
    struct allocation {
      allocator_type &from;
      typename memory::pointer at;
      ~allocation() {
        if (at) memory::deallocate(from, at, 1);
      }
    } allocated{allocator, memory::allocate(allocator, 1)};
    auto *made = ::new (static_cast<void *>(std::to_address(allocated.at)))
        handled_operation(std::move(handler), std::move(work));
    allocated.at = nullptr;
#if PUSHER_ASIO_HAS_CANCELLATION
    auto slot = net::get_associated_cancellation_slot(made->handler_);
    if (slot.is_connected()) {
      operation_list after_exception;
      after_exception.push(made);
      slot.template emplace<canceller>(owner.weak_from_this(), static_cast<operation &>(*made));
      after_exception.pop();
    }
#endif
    return made;
  }

private:
  handled_operation(Handler &&handler, Work &&work)
      : Base(&end_this), handler_(std::move(handler)), work_(std::move(work)) {
    this->look_at(&handler_, sizeof handler_);
  }

  /* The function object that Asio runs. */
  struct completion {
    using executor_type = typename Work::executor_type;
    using allocator_type = net::associated_allocator_t<Handler>;

    executor_type get_executor() const noexcept { return executor; }
    allocator_type get_allocator() const noexcept { return net::get_associated_allocator(handler); }
    void operator()() { Base::call(std::move(handler), error, std::move(ended)); }

    Handler handler;
    executor_type executor;
    error_code error;
    typename Base::outcome ended;
  };

  using typename operation::end_by;
  static void end_this(operation *base, end_by how, const net::any_io_executor *own) {
    auto *self = static_cast<handled_operation *>(base);
    allocator_type allocator(net::get_associated_allocator(self->handler_));
    const Work work(std::move(self->work_));
    Handler handler(std::move(self->handler_));
    const error_code error = self->error_;
    typename Base::outcome ended = self->take();
    /* Freed first, so that the handler can use the memory again. */
    self->~handled_operation();
    memory::deallocate(allocator, std::pointer_traits<typename memory::pointer>::pointer_to(*self), 1);
    if (how == end_by::destruction) return;
    if constexpr (std::is_same_v<Work, own_executor>) {
      /* dispatch() would do so too, but needs memory and several virtual calls for an executor of any type. */
      if (how == end_by::dispatch) return Base::call(std::move(handler), error, std::move(ended));
    }
    completion last{std::move(handler), work.executor(own), error, std::move(ended)};
    how == end_by::defer ? net::defer(std::move(last)) : net::dispatch(std::move(last));
  }

  Handler handler_;
  [[no_unique_address]] Work work_;
};

/* Returns a new operation for a handler. */
template <typename Base, typename Handler>
Base *make_operation(Handler handler, state &owner) {
  using executor_type = net::associated_executor_t<Handler, net::any_io_executor>;
  using work_type = executor_at_work<executor_type>;
  const executor_type executor(net::get_associated_executor(handler, owner.executor()));
  if constexpr (std::is_same_v<executor_type, net::any_io_executor>) {
    if (executor == owner.executor()) {
      return handled_operation<Base, Handler, own_executor>::make(std::move(handler), own_executor(), owner);
    }
  }
  return handled_operation<Base, Handler, work_type>::make(std::move(handler), work_type(executor), owner);
}

/* The arguments of operations. */
struct drain_limit {
  std::chrono::milliseconds time;
};
struct drained_document {
  std::string text;
};

/* Starts an operation for the handler that a token makes. */
struct initiation {
  using executor_type = net::any_io_executor;
  executor_type get_executor() const noexcept { return owner->executor(); }

  template <typename Handler>
  void operator()(Handler &&handler, event_arguments arguments) const {
    owner->publish(make_operation<event_operation, std::decay_t<Handler>>(std::forward<Handler>(handler), *owner),
                   std::move(arguments));
  }
  template <typename Handler>
  void operator()(Handler &&handler, std::chrono::milliseconds limit) const {
    owner->close(make_operation<close_operation, std::decay_t<Handler>>(std::forward<Handler>(handler), *owner), limit);
  }
  template <typename Handler>
  void operator()(Handler &&handler, drain_limit limit) const {
    owner->drain(make_operation<drain_operation, std::decay_t<Handler>>(std::forward<Handler>(handler), *owner),
                 limit.time);
  }
  template <typename Handler>
  void operator()(Handler &&handler, const drained_document &drained) const {
    owner->restore(make_operation<restore_operation, std::decay_t<Handler>>(std::forward<Handler>(handler), *owner),
                   drained.text);
  }

  state *owner;
};

/* Returns the executor, or that of an object that has one. */
template <typename Executor>
net::any_io_executor executor_of(Executor &of) {
  if constexpr (requires { of.get_executor(); }) {
    return of.get_executor();
  } else {
    return of;
  }
}

} // namespace asio_inside
/** @endcond */

/**
 * A publisher for Asio: see pusher_publisher_new(). Each event that it publishes completes with its own report.
 *
 * The destructor cancels every operation, and then waits at most a second for events that have not ended: call
 * async_close() first. A publisher that was moved from can only be destroyed or assigned to. As with the objects of
 * Asio, destroy it before its io_context.
 */
class async_publisher {
public:
  using executor_type = asio_inside::net::any_io_executor;

  /**
   * Creates a publisher. It may outlive the client.
   *
   * - `executor` is an executor, or an object that has one, such as an io_context. It waits for the reports.
   * - `configuration` is a JSON object with the keys of pusher_publisher_new(). `reports` is always `"all"`, and `overflow`
   *   cannot be `"block"`. At most `max_reports` (10,000) events wait for their reports at the same time.
   */
  template <typename Executor>
  static result<async_publisher> make(Executor &&executor, const client &of, std::string_view configuration = "{}") {
    inside::object members;
    std::size_t max_outstanding = 10000;
    if (auto wrong = read(configuration, members, max_outstanding)) return std::move(*wrong);
    auto made = publisher::make(of, std::optional<std::string_view>(members.str()));
    if (!made) return std::move(made).failure();
    const auto descriptor = made->try_fd();
    if (!descriptor) return descriptor.failure();
    auto shared = std::make_shared<asio_inside::state>(asio_inside::executor_of(executor), std::move(*made),
                                                       *descriptor, max_outstanding);
    shared->enlist();
    return async_publisher(std::move(shared));
  }
  /** Creates a publisher from a pusher::config with the keys of a publisher. */
  template <typename Executor>
  static result<async_publisher> make(Executor &&executor, const client &of, const config &configuration) {
    const inside::object &members = inside::access::members(configuration);
    if (members.wrong()) {
      return inside::wrong(PUSHER_STATUS_INVALID_CONFIG, *members.wrong(), "must be one JSON value", false);
    }
    return make(executor, of, members.str());
  }

#if PUSHER_HAS_EXCEPTIONS
  /** @name The same calls, which throw pusher::error
   *  @{ */
  template <typename Executor>
  async_publisher(Executor &&executor, const client &of, std::string_view configuration = "{}")
      : async_publisher(make(executor, of, configuration).value()) {}
  template <typename Executor>
  async_publisher(Executor &&executor, const client &of, const config &configuration)
      : async_publisher(make(executor, of, configuration).value()) {}
  /** @} */
#endif

  async_publisher(async_publisher &&) noexcept = default;
  async_publisher &operator=(async_publisher &&other) noexcept {
    if (this != &other) {
      end();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~async_publisher() { end(); }

  /** Returns the executor. */
  executor_type get_executor() const noexcept { return state_->executor(); }

  /**
   * Publishes an event, and completes with its report when it has ended: see pusher_publisher_publish(). `data` is JSON.
   *
   * The signature of the handler is `void(error_code, pusher::report)`. A refused event completes with the report that says
   * why. The error code is `operation_aborted` if the operation was cancelled.
   *
   * If the queue is full, or `max_reports` events wait for their reports, the event waits for room: it never completes
   * with ::PUSHER_STATUS_QUEUE_FULL, unless it is too large for the empty queue. Events are queued in the order of the
   * calls. Any number of calls can wait: limit how many you start.
   */
  template <typename CompletionToken>
  auto async_publish(const channels &on, std::string_view event, std::string_view data, CompletionToken &&token) {
    return publish({on.str(), event, data, inside::object()}, std::forward<CompletionToken>(token));
  }
  /** Publishes an event with options. */
  template <typename CompletionToken>
  auto async_publish(const channels &on, std::string_view event, std::string_view data, const publish_options &more,
                     CompletionToken &&token) {
    return publish({on.str(), event, data, inside::access::members(more)}, std::forward<CompletionToken>(token));
  }

  /** Publishes an event for a user. */
  template <typename CompletionToken>
  auto async_publish_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                             CompletionToken &&token) {
    return async_publish_to_user(user_id, event, data, publish_options(), std::forward<CompletionToken>(token));
  }
  /** Publishes an event for a user with options. */
  template <typename CompletionToken>
  auto async_publish_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                             const publish_options &more, CompletionToken &&token) {
    inside::object members = inside::access::members(more);
    members.text("user_id", user_id);
    return publish({std::nullopt, event, data, members}, std::forward<CompletionToken>(token));
  }

  /**
   * Stops accepting events, and completes when every event that was accepted has ended and has its report. Events that wait for room
   * are still published.
   *
   * When `limit` is over, the events that have not ended end as not sent or unknown, get their reports, and the operation completes
   * with `timed_out`. The signature of the handler is `void(error_code)`. If the operation is cancelled, the publisher
   * still accepts no events; it can be closed again.
   */
  template <typename CompletionToken>
  auto async_close(std::chrono::milliseconds limit, CompletionToken &&token) {
    return asio_inside::net::async_initiate<CompletionToken, void(asio_inside::error_code)>(
        asio_inside::initiation{state_.get()}, token, limit);
  }
  /** Closes the publisher without limit. */
  template <typename CompletionToken>
  auto async_close(CompletionToken &&token) {
    return async_close(forever, std::forward<CompletionToken>(token));
  }

  /**
   * Stops accepting events, and completes with a document of those that were never sent, for async_restore() of another publisher, in
   * another process, too: see pusher_publisher_drain(). A deploy so loses no event.
   *
   * Requests in flight go on until they end or `limit` is over. The operation completes when every event has ended and its own
   * operation has its report: an event of the document is `not_sent` with the reason `drained`. An event that waits for room is not in
   * the document: its report says ::PUSHER_STATUS_CLOSED at once. A thread waits for the requests meanwhile, and no thread of yours.
   *
   * The signature of the handler is `void(error_code, pusher::result<std::string>)`. If the operation is cancelled, the next
   * async_drain() completes with the document; destroy the publisher only when one has. Several operations can wait: the first gets the
   * events, and the limit is that of the one that began. After a failure no event has ended: drain it again, or close it.
   */
  template <typename CompletionToken>
  auto async_drain(std::chrono::milliseconds limit, CompletionToken &&token) {
    return asio_inside::net::async_initiate<CompletionToken, void(asio_inside::error_code, result<std::string>)>(
        asio_inside::initiation{state_.get()}, token, asio_inside::drain_limit{limit});
  }

  /**
   * Queues the events of a document of async_drain(), all or none, and completes with their reports, in the order of the document,
   * when all of them have ended: see pusher_publisher_restore(). Restore a document once.
   *
   * The signature of the handler is `void(error_code, pusher::result<std::vector<pusher::report>>)`. The result has the failure if no
   * event is queued, such as ::PUSHER_STATUS_QUEUE_FULL: events do not wait for room here. `max_reports` must be at least the number of
   * events, or reports can be lost. Cancelling ends the wait, and not the events.
   */
  template <typename CompletionToken>
  auto async_restore(std::string_view drained, CompletionToken &&token) {
    return asio_inside::net::async_initiate<CompletionToken,
                                            void(asio_inside::error_code, result<std::vector<report>>)>(
        asio_inside::initiation{state_.get()}, token, asio_inside::drained_document{std::string(drained)});
  }

  /** Cancels every operation: each completes with `operation_aborted`. */
  void cancel() { state_->cancel(); }

  /** Returns statistics: see pusher_publisher_stats(). */
  result<std::string> try_stats() const { return state_->native().try_stats(); }
#if PUSHER_HAS_EXCEPTIONS
  /** Returns statistics, or throws pusher::error. */
  std::string stats() const { return try_stats().value(); }
#endif

private:
  explicit async_publisher(std::shared_ptr<asio_inside::state> made) noexcept : state_(std::move(made)) {}

  void end() {
    if (state_) state_->end(true);
    state_.reset();
  }

  template <typename CompletionToken>
  auto publish(asio_inside::event_arguments arguments, CompletionToken &&token) {
    return asio_inside::net::async_initiate<CompletionToken, void(asio_inside::error_code, report)>(
        asio_inside::initiation{state_.get()}, token, std::move(arguments));
  }

  /* Reads a configuration, and adds what this class needs. */
  static std::optional<failure> read(std::string_view configuration, inside::object &members,
                                     std::size_t &max_outstanding) {
    const auto wrong = [](std::string_view argument, std::string_view why) {
      return inside::wrong(PUSHER_STATUS_INVALID_CONFIG, argument, why, false);
    };
    asio_inside::json_reader json(configuration);
    std::string_view key, value;
    if (!json.skip('{')) return wrong("config", "must be a JSON object");
    while (json.member(key, value)) {
      if (key.find('\\') != key.npos) return wrong("config", "must not have keys with escapes");
      if (value == "null") continue;
      if (key == "reports") {
        if (value != "\"all\"") return wrong(key, "must be \"all\", because each operation waits for its report");
        continue;
      }
      if (key == "overflow" && value == "\"block\"") {
        return wrong(key, "must not be \"block\", because no operation may block its thread");
      }
      if (key == "max_reports") {
        if (!asio_inside::parse(value, max_outstanding)) return wrong(key, "must be an integer");
        continue;
      }
      members.json(key, value);
    }
    if (!json.skip('}') || !json.is_at_end() || members.wrong()) return wrong("config", "must be a JSON object");
    members.text("reports", "all");
    members.json("max_reports", std::to_string(max_outstanding));
    return std::nullopt;
  }

  std::shared_ptr<asio_inside::state> state_;
};

} // namespace PUSHER_ASIO_NAMESPACE
} // namespace PUSHER_INLINE_NAMESPACE
} // namespace pusher

#endif // PUSHER_ASIO_HPP
