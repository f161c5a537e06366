/**
 * @file pusher.hpp
 * libpusher for C++17 and later, header only. pusher.h documents the calls; this file says what
 * differs in C++.
 *
 * @code
 * pusher::client client(pusher::config().app_id("APP_ID").key("KEY").secret("SECRET").cluster("eu"));
 * try {
 *   client.trigger("my-channel", "my-event", R"({"hello":"world"})");
 *   client.trigger({"one", "another"}, "my-event", "[1,2]", pusher::options().socket_id("1234.5678"));
 * } catch (const pusher::error &error) {
 *   std::cerr << error.what() << '\n';
 *   if (error.delivery() == pusher::delivery::unknown) std::cerr << "It may have been delivered.\n";
 * }
 * @endcode
 *
 * - Errors: each call has two forms. `trigger()` returns the document and throws pusher::error if
 *   the C function fails. `try_trigger()` returns a pusher::result, which holds the document or the
 *   failure. With `-fno-exceptions` only the second form exists. Both forms may throw
 *   std::bad_alloc.
 * - Strings: parameters are `std::string_view`. A string that contains a NUL is refused before the
 *   call with ::PUSHER_STATUS_INVALID_ARGUMENT, because C would truncate it. An optional parameter
 *   is a `std::optional`; an empty string does not count as missing.
 * - Documents: results are `std::string`, with the JSON of the C functions.
 * - Threads: as in C, any number of threads may use one client or one publisher at the same time.
 * - Lifetime: destructors free the handles. Clients, publishers, requests and responses can be
 *   moved, but not copied. Every call on an object that was moved from fails with
 *   ::PUSHER_STATUS_INVALID_ARGUMENT.
 */
#ifndef PUSHER_HPP
#define PUSHER_HPP

#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "pusher.hpp needs C++17"
#endif

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

/* Additions for newer standards: each is there if the compiler's library has what it needs. */
#if __cplusplus >= 202002L || (defined(_MSVC_LANG) && _MSVC_LANG >= 202002L)
#include <version>
#ifdef __cpp_lib_span
#include <span>
#endif
#ifdef __cpp_lib_format
#include <format>
#endif
#ifdef __cpp_lib_expected
#include <expected>
#endif
#endif

#include "pusher.h"

/* One program may have sources with and without exceptions: the namespaces give their functions
 * different symbols. */
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define PUSHER_HAS_EXCEPTIONS 1
#define PUSHER_INLINE_NAMESPACE throwing
#include <stdexcept>
#else
#define PUSHER_HAS_EXCEPTIONS 0
#define PUSHER_INLINE_NAMESPACE not_throwing
#endif

/** libpusher for C++. */
namespace pusher {
inline namespace PUSHER_INLINE_NAMESPACE {

/** The result of a call: see ::PusherStatus. */
using status = PusherStatus;

/**
 * What happened to the events of a call: see ::PusherDelivery. `none` if the call delivers nothing.
 */
enum class delivery : std::int32_t {
  none = 0,
  not_sent = PUSHER_DELIVERY_NOT_SENT,
  rejected = PUSHER_DELIVERY_REJECTED,
  unknown = PUSHER_DELIVERY_UNKNOWN,
  delivered = PUSHER_DELIVERY_DELIVERED,
};

/** The severity of a log message: see ::PusherLogLevel. */
enum class log_level : std::int32_t {
  error = PUSHER_LOG_LEVEL_ERROR,
  warn = PUSHER_LOG_LEVEL_WARN,
  info = PUSHER_LOG_LEVEL_INFO,
  debug = PUSHER_LOG_LEVEL_DEBUG,
};

/** The kind of an observation: see ::PusherObservation. */
enum class observation : std::int32_t {
  call_start = PUSHER_OBSERVATION_CALL_START,
  attempt_start = PUSHER_OBSERVATION_ATTEMPT_START,
  attempt_end = PUSHER_OBSERVATION_ATTEMPT_END,
  call_end = PUSHER_OBSERVATION_CALL_END,
};

/**
 * The statuses of ::PusherStatus as a scoped enumeration, for a `switch` that the compiler checks: see
 * failure::status_code(). Later versions may add values.
 */
enum class status_code : std::int32_t {
  ok = PUSHER_STATUS_OK,
  invalid_argument = PUSHER_STATUS_INVALID_ARGUMENT,
  invalid_config = PUSHER_STATUS_INVALID_CONFIG,
  invalid_state = PUSHER_STATUS_INVALID_STATE,
  not_sent = PUSHER_STATUS_NOT_SENT,
  delivery_unknown = PUSHER_STATUS_DELIVERY_UNKNOWN,
  bad_response = PUSHER_STATUS_BAD_RESPONSE,
  bad_request = PUSHER_STATUS_BAD_REQUEST,
  unauthorized = PUSHER_STATUS_UNAUTHORIZED,
  forbidden = PUSHER_STATUS_FORBIDDEN,
  not_found = PUSHER_STATUS_NOT_FOUND,
  payload_too_large = PUSHER_STATUS_PAYLOAD_TOO_LARGE,
  rate_limited = PUSHER_STATUS_RATE_LIMITED,
  server_error = PUSHER_STATUS_SERVER_ERROR,
  redirected = PUSHER_STATUS_REDIRECTED,
  partial = PUSHER_STATUS_PARTIAL,
  webhook_invalid = PUSHER_STATUS_WEBHOOK_INVALID,
  encryption = PUSHER_STATUS_ENCRYPTION,
  queue_full = PUSHER_STATUS_QUEUE_FULL,
  closed = PUSHER_STATUS_CLOSED,
  timed_out = PUSHER_STATUS_TIMED_OUT,
  forked = PUSHER_STATUS_FORKED,
  internal = PUSHER_STATUS_INTERNAL,
};

/** Returns the word of a delivery in documents, such as `not_sent`; `none` if there is none. */
constexpr std::string_view delivery_name(delivery what) noexcept {
  switch (what) {
    case delivery::not_sent: return "not_sent";
    case delivery::rejected: return "rejected";
    case delivery::unknown: return "unknown";
    case delivery::delivered: return "delivered";
    case delivery::none: break;
  }
  return "none";
}

/** A timeout without limit. */
inline constexpr std::chrono::milliseconds forever{UINT32_MAX};

/** Returns the name of a status, such as `NOT_SENT`. */
inline std::string_view status_name(status code) noexcept {
  return pusher_status_name(static_cast<std::int32_t>(code));
}

/** Returns the version of the loaded library, such as `0.1.0`. */
inline std::string_view version() noexcept { return pusher_version(); }

/**
 * Returns the version of the loaded library, to compare with #PUSHER_VERSION_NUMBER, the version of
 * the header.
 */
inline std::uint32_t version_number() noexcept { return pusher_version_number(); }

/** The reason why a call failed. */
class failure {
public:
  /** `document` is the error document, or empty if there is none (after a poll without reports). */
  failure(status code, std::string document) noexcept : code_(code), document_(std::move(document)) {}

  /** Returns the failure that an error document describes: see pusher_error_status(). */
  static failure of(std::string document) noexcept {
    const auto code = static_cast<status>(pusher_error_status(document.c_str()));
    return {code, std::move(document)};
  }

  /** Returns the status. */
  status code() const noexcept { return code_; }

  /** Returns the status as a scoped enumeration. */
  pusher::status_code status_code() const noexcept {
    return static_cast<pusher::status_code>(static_cast<std::int32_t>(code_));
  }

  /** Returns what happened to the events. */
  pusher::delivery delivery() const noexcept {
    return static_cast<pusher::delivery>(pusher_error_delivery(document_.c_str()));
  }

  /** Returns a message for people: see pusher_error_message(). */
  std::string message() const {
    std::string text = text_of(pusher_error_message);
    return text.empty() ? std::string(status_name(code_)) : text;
  }

  /** Returns whether the same call may succeed later, and cannot do anything twice. */
  bool retryable() const noexcept { return pusher_error_retryable(document_.c_str()) != 0; }

  /** Returns the HTTP status of the response, if one arrived. */
  std::optional<std::int32_t> http_status() const noexcept {
    const std::int32_t code = pusher_error_http_status(document_.c_str());
    return code == 0 ? std::nullopt : std::optional(code);
  }

  /** Returns how long the server asked to wait before the next call, if it did. */
  std::optional<std::chrono::milliseconds> retry_after() const noexcept {
    const std::int64_t wait = pusher_error_retry_after_ms(document_.c_str());
    return wait < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(wait));
  }

  /** Returns what broke, such as `timeout`: see pusher_error_cause(). Empty if the network and the response are fine. */
  std::string cause() const { return text_of(pusher_error_cause); }

  /** Returns the error code in the server's response, empty if it has none: see pusher_error_server_code(). */
  std::string server_code() const { return text_of(pusher_error_server_code); }

  /** Returns the error document, JSON: see ::PusherStatus. */
  const std::string &document() const noexcept { return document_; }

private:
  std::string text_of(std::size_t (*copy)(const char *, char *, std::size_t)) const {
    std::string text(copy(document_.c_str(), nullptr, 0), '\0');
    copy(document_.c_str(), text.data(), text.size() + 1);
    return text;
  }

  status code_;
  std::string document_;
};

#if PUSHER_HAS_EXCEPTIONS
/** A failure as an exception; `what()` is its message. */
class error : public std::runtime_error {
public:
  explicit error(pusher::failure failed)
      : std::runtime_error(failed.message()), failure_(std::make_shared<const pusher::failure>(std::move(failed))) {}

  /** Returns the status. */
  pusher::status status() const noexcept { return failure_->code(); }
  /** Returns the status as a scoped enumeration. */
  pusher::status_code status_code() const noexcept { return failure_->status_code(); }
  /** Returns what happened to the events. */
  pusher::delivery delivery() const noexcept { return failure_->delivery(); }
  /** Returns whether the same call may succeed later, and cannot do anything twice. */
  bool retryable() const noexcept { return failure_->retryable(); }
  /** Returns the HTTP status of the response, if one arrived. */
  std::optional<std::int32_t> http_status() const noexcept { return failure_->http_status(); }
  /** Returns how long the server asked to wait before the next call, if it did. */
  std::optional<std::chrono::milliseconds> retry_after() const noexcept { return failure_->retry_after(); }
  /** Returns what broke, such as `timeout`; empty if the network and the response are fine. */
  std::string cause() const { return failure_->cause(); }
  /** Returns the error code in the server's response; empty if it has none. */
  std::string server_code() const { return failure_->server_code(); }
  /** Returns the error document, JSON. */
  const std::string &document() const noexcept { return failure_->document(); }

private:
  /* Shared, because copying an exception must not throw. */
  std::shared_ptr<const pusher::failure> failure_;
};
#endif

/** A value, or the failure if there is none. */
template <typename T>
class [[nodiscard]] result {
public:
  /** @name Constructors
   *  @{ */
  result(T value) : value_(std::move(value)) {}
  result(pusher::failure failed) : failure_(std::move(failed)) {}
  /** @} */

  /** Returns whether there is a value. */
  bool has_value() const noexcept { return value_.has_value(); }
  /** Returns whether there is a value. */
  explicit operator bool() const noexcept { return has_value(); }

  /** @name The value. Undefined behaviour if there is none
   *  @{ */
  T &operator*() & noexcept { return *value_; }
  const T &operator*() const & noexcept { return *value_; }
  T &&operator*() && noexcept { return std::move(*value_); }
  T *operator->() noexcept { return &*value_; }
  const T *operator->() const noexcept { return &*value_; }
  /** @} */

  /** Returns the failure. Undefined behaviour if there is a value. */
  const pusher::failure &failure() const & noexcept { return *failure_; }
  pusher::failure &&failure() && noexcept { return std::move(*failure_); }

#if PUSHER_HAS_EXCEPTIONS
  /** @name The value. Throws pusher::error if there is none
   *  @{ */
  T value() && {
    if (!has_value()) throw error(std::move(*this).failure());
    return std::move(**this);
  }
  const T &value() const & {
    if (!has_value()) throw error(failure());
    return **this;
  }
  /** @} */
#endif

#ifdef __cpp_lib_expected
  /** @name The same as a std::expected: in C++23
   *  @{ */
  std::expected<T, pusher::failure> expected() && {
    if (!has_value()) return std::unexpected(std::move(*failure_));
    return std::move(*value_);
  }
  std::expected<T, pusher::failure> expected() const &
    requires std::is_copy_constructible_v<T>
  {
    if (!has_value()) return std::unexpected(*failure_);
    return *value_;
  }
  /** @} */
#endif

private:
  /* One of the two. */
  std::optional<T> value_;
  std::optional<pusher::failure> failure_;
};

/** The value of a call that returns nothing on success. */
struct done {};

/**
 * Returns a string as a JSON string, in quotes and escaped: the payload for a plain string. It does not check that it is UTF-8,
 * as pusher_json_string() does.
 */
inline std::string json_string(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string quoted;
  quoted.reserve(text.size() + 2);
  quoted += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20) {
      quoted += "\\u00";
      quoted += digits[byte >> 4];
      quoted += digits[byte & 15];
    } else {
      quoted += c;
    }
  }
  quoted += '"';
  return quoted;
}

/** @cond inside */
namespace inside {

/* Returns whether the string can be inserted as one JSON value: it closes no outer bracket and adds
 * no member. (Whether it is valid JSON, the library checks.) */
inline bool is_one_value(std::string_view json) noexcept {
  std::size_t depth = 0;
  bool quoted = false, blank = true;
  for (std::size_t i = 0; i < json.size(); i++) {
    const char c = json[i];
    if (c == '\0') return false;
    if (quoted) {
      if (c == '\\') i++;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '[' || c == '{') depth++;
    if (c == ']' || c == '}') {
      if (depth == 0) return false;
      depth--;
    }
    if (depth == 0 && (c == ',' || c == ':')) return false;
    blank = blank && (c == ' ' || c == '\t' || c == '\n' || c == '\r');
  }
  return !blank && !quoted && depth == 0;
}

/* Builds a JSON object member by member. */
class object {
public:
  void text(std::string_view key, std::string_view value) { member(key, json_string(value)); }
  void number(std::string_view key, std::int64_t value) { member(key, std::to_string(value)); }
  void boolean(std::string_view key, bool value) { member(key, value ? "true" : "false"); }
  /* Adds JSON from the caller. Skips what is not one value; wrong() then returns the key. */
  void json(std::string_view key, std::string_view value) {
    if (is_one_value(value)) {
      member(key, value);
    } else if (!wrong_) {
      wrong_ = key;
    }
  }
  bool empty() const noexcept { return members_.empty(); }
  std::string str() const { return '{' + members_ + '}'; }
  const std::optional<std::string> &wrong() const noexcept { return wrong_; }

private:
  void member(std::string_view key, std::string_view value) {
    if (!members_.empty()) members_ += ',';
    members_ += json_string(key);
    members_ += ':';
    members_ += value;
  }

  std::string members_;
  std::optional<std::string> wrong_;
};

/* A failure like those of the library for invalid arguments. */
inline failure wrong(status code, std::string_view argument, std::string_view why, bool publishes) {
  object fields;
  fields.text("status", status_name(code));
  fields.text("message", std::string(argument).append(": ").append(why));
  if (publishes) fields.text("delivery", "not_sent");
  fields.text("argument", argument);
  object all;
  all.json("error", fields.str());
  return {code, all.str()};
}
inline failure has_nul(std::string_view argument, bool publishes) {
  return wrong(PUSHER_STATUS_INVALID_ARGUMENT, argument, "must not contain a NUL byte", publishes);
}
inline failure not_json(std::string_view argument, bool publishes) {
  return wrong(PUSHER_STATUS_INVALID_ARGUMENT, argument, "must be one JSON value", publishes);
}

/* A string argument and its name in the C function. */
struct argument {
  std::string_view name;
  std::optional<std::string_view> text;

  bool has_nul() const noexcept { return text && text->find('\0') != std::string_view::npos; }
  std::size_t size() const noexcept { return text ? text->size() + 1 : 0; }
};

/* NUL-terminated copies of strings, one after the other: on the stack unless they are long. */
class texts {
public:
  /* Writes a pointer to each copy, NULL for a missing string. */
  void copy(const argument *from, std::size_t count, const char **pointers) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; i++) size += from[i].size();
    char *to = short_.data();
    if (size > short_.size()) {
      long_ = std::make_unique<char[]>(size);
      to = long_.get();
    }
    for (std::size_t i = 0; i < count; i++) {
      pointers[i] = from[i].text ? to : nullptr;
      if (!from[i].text) continue;
      to += from[i].text->copy(to, from[i].text->size());
      *to++ = '\0';
    }
  }

private:
  std::array<char, 512> short_;
  std::unique_ptr<char[]> long_;
};

struct free_string {
  void operator()(char *text) const noexcept { pusher_string_free(text); }
};

/* Takes over the document of a call. */
inline result<std::string> take_result(status code, char *out) {
  const std::unique_ptr<char, free_string> owned(out);
  std::string document = out == nullptr ? std::string() : std::string(out);
  if (code != PUSHER_STATUS_OK) return failure(code, std::move(document));
  return document;
}

template <typename Function, std::size_t... Index>
status apply(const Function &function, const char *const *pointers, char **out, std::index_sequence<Index...>) {
  static_cast<void>(pointers);
  return function(pointers[Index]..., out);
}

/* Checks the strings, then makes a call that writes a document. */
template <typename Function, typename... Arguments>
result<std::string> call(bool publishes, const Function &function, const Arguments &...arguments) {
  const std::array<argument, sizeof...(Arguments)> all{arguments...};
  std::array<const char *, sizeof...(Arguments)> pointers{};
  for (const argument &one : all) {
    if (one.has_nul()) return has_nul(one.name, publishes);
  }
  texts copies;
  copies.copy(all.data(), all.size(), pointers.data());
  char *out = nullptr;
  const status code = apply(function, pointers.data(), &out, std::index_sequence_for<Arguments...>{});
  return take_result(code, out);
}

inline result<done> without_document(result<std::string> made) {
  if (!made) return std::move(made).failure();
  return done{};
}

inline std::uint32_t milliseconds(std::chrono::milliseconds time) noexcept {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, UINT32_MAX));
}

inline std::string_view view(const char *text) noexcept {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

#ifdef __cpp_lib_span
/* Containers and spans of bytes, but no strings. */
template <typename Bytes>
inline constexpr bool are_bytes = !std::is_convertible_v<const Bytes &, std::string_view> &&
                                  (std::is_convertible_v<const Bytes &, std::span<const std::byte>> ||
                                   std::is_convertible_v<const Bytes &, std::span<const std::uint8_t>>);

template <typename Bytes>
std::string_view as_view(const Bytes &bytes) noexcept {
  const auto all = std::as_bytes(std::span(bytes));
  return {reinterpret_cast<const char *>(all.data()), all.size()};
}
#endif

template <typename Names>
using name_of = decltype(*std::begin(std::declval<const Names &>()));

template <typename Names, typename = void>
inline constexpr bool are_names = false;
template <typename Names>
inline constexpr bool are_names<Names, std::void_t<name_of<Names>>> =
    std::is_convertible_v<name_of<Names>, std::string_view> && !std::is_convertible_v<const Names &, std::string_view>;

/* Gives pusher_asio.hpp what users do not see. */
struct access {
  template <typename Built>
  static const object &members(const Built &of) noexcept {
    return of.members_;
  }
};

} // namespace inside
/** @endcond */

/**
 * Builds a configuration key by key: see pusher_new(). A JSON object or a URL can be used instead.
 */
class config {
public:
  config &app_id(std::string_view value) { return text("app_id", value); }
  config &key(std::string_view value) { return text("key", value); }
  config &secret(std::string_view value) { return text("secret", value); }
  config &cluster(std::string_view value) { return text("cluster", value); }
  config &host(std::string_view value) { return text("host", value); }
  config &port(std::uint16_t value) { return number("port", value); }
  config &ssl(bool value) { return boolean("ssl", value); }
  config &scheme(std::string_view value) { return text("scheme", value); }
  config &timeout(std::chrono::milliseconds value) { return number("timeout_ms", value.count()); }
  config &encryption_master_key_base64(std::string_view value) { return text("encryption_master_key_base64", value); }

  /** @name Other keys
   *  @{ */
  config &text(std::string_view name, std::string_view value) {
    members_.text(name, value);
    return *this;
  }
  config &number(std::string_view name, std::int64_t value) {
    members_.number(name, value);
    return *this;
  }
  config &boolean(std::string_view name, bool value) {
    members_.boolean(name, value);
    return *this;
  }
  /** `value` is JSON. */
  config &json(std::string_view name, std::string_view value) {
    members_.json(name, value);
    return *this;
  }
  /** @} */

private:
  friend class client;
  friend class publisher;
  friend struct inside::access;
  inside::object members_;
};

/** The options that calls and publishers share. */
template <typename Options>
class basic_options {
public:
  /** Sets the connection that does not get the event, such as `1234.5678`. */
  Options &socket_id(std::optional<std::string_view> id) {
    if (id) members_.text("socket_id", *id);
    return self();
  }
  /** Sets the channel attributes to return, such as `user_count,subscription_count`. */
  Options &info(std::string_view attributes) {
    members_.text("info", attributes);
    return self();
  }
  /**
   * Sets the key of the request. A server that knows it answers as before and publishes nothing:
   * never use a key for another event.
   */
  Options &idempotency_key(std::string_view key) {
    members_.text("idempotency_key", key);
    return self();
  }
  /**
   * Adds members that only some servers know to the event; `members` is a JSON object. They are not
   * encrypted: an event on an encrypted channel needs `in_clear`.
   */
  Options &extra(std::string_view members, bool in_clear = false) {
    members_.json("extra", members);
    if (in_clear) members_.json("extra_in_clear", "true");
    return self();
  }
  /**
   * Sets the limit of the call, with all its attempts; for a publisher, how long to wait for space.
   */
  Options &timeout(std::chrono::milliseconds time) {
    members_.number("timeout_ms", time.count());
    return self();
  }
  /**
   * Allows as many requests as more channels, or encrypted ones among others, need: for an event on
   * channels.
   */
  Options &fan_out(bool allowed = true) {
    members_.boolean("fan_out", allowed);
    return self();
  }
  /** Sets another option; `value` is JSON. */
  Options &json(std::string_view key, std::string_view value) {
    members_.json(key, value);
    return self();
  }

protected:
  /** @cond inside */
  inside::object members_;

private:
  friend class client;
  friend class publisher;
  friend struct inside::access;
  Options &self() noexcept { return static_cast<Options &>(*this); }
  /** @endcond */
};

/** The options of a call. */
class options : public basic_options<options> {};

/** The options of an event for a publisher. */
class publish_options : public basic_options<publish_options> {
public:
  /** Replaces the event on the same channel with the same name and `key` that still waits. */
  publish_options &conflate(std::string_view key) {
    members_.text("conflate", key);
    return *this;
  }
};

/**
 * One or more channel names, as an argument: a name, a list of names in braces, or a container of
 * names.
 */
class channels {
public:
  /** One name. */
  template <typename Name, std::enable_if_t<std::is_convertible_v<const Name &, std::string_view>, int> = 0>
  channels(const Name &name) : text_(std::string_view(name)) {
    /* C would parse it as a list. In a list of one, the library refuses it as an invalid name. */
    if (text_.find('[') != std::string::npos) text_ = list(std::array<std::string_view, 1>{text_});
  }
  /** Several names. */
  channels(std::initializer_list<std::string_view> names) : text_(list(names)) {}
  /** Several names. */
  template <typename Names, std::enable_if_t<inside::are_names<Names>, int> = 0>
  channels(const Names &names) : text_(list(names)) {}

  /** Returns the argument for pusher_trigger(). */
  const std::string &str() const noexcept { return text_; }

private:
  template <typename Names>
  static std::string list(const Names &names) {
    std::string array = "[";
    for (const auto &name : names) {
      if (array.size() > 1) array += ',';
      array += json_string(name);
    }
    array += ']';
    return array;
  }

  std::string text_;
};

/** One event of a batch. */
class event {
public:
  /** `data` is JSON. */
  event(std::string_view channel, std::string_view name, std::string_view data) {
    members_.text("channel", channel);
    members_.text("name", name);
    members_.json("data", data);
  }
  /** Sets the connection that does not get the event. */
  event &socket_id(std::optional<std::string_view> id) {
    if (id) members_.text("socket_id", *id);
    return *this;
  }
  /** Sets the channel attributes to return. */
  event &info(std::string_view attributes) {
    members_.text("info", attributes);
    return *this;
  }
  /** Adds members that only some servers know: see basic_options::extra(). */
  event &extra(std::string_view members, bool in_clear = false) {
    members_.json("extra", members);
    if (in_clear) members_.json("extra_in_clear", "true");
    return *this;
  }

private:
  friend class client;
  inside::object members_;
};

/** A signed request, as a transport gets it. */
class request_ref {
public:
  explicit request_ref(const PusherRequest *handle) noexcept : handle_(handle) {}

  /** Returns `GET` or `POST`. */
  std::string_view method() const noexcept { return inside::view(pusher_request_method(handle_)); }
  std::string_view url() const noexcept { return inside::view(pusher_request_url(handle_)); }
  /** Returns the names and values of the headers. */
  std::vector<std::pair<std::string_view, std::string_view>> headers() const {
    std::vector<std::pair<std::string_view, std::string_view>> all;
    all.reserve(pusher_request_header_count(handle_));
    const char *name = nullptr, *value = nullptr;
    for (std::size_t i = 0; pusher_request_header(handle_, i, &name, &value) == 1; i++) all.emplace_back(name, value);
    return all;
  }
  std::string_view body() const noexcept {
    std::size_t length = 0;
    const std::uint8_t *bytes = pusher_request_body(handle_, &length);
    return {reinterpret_cast<const char *>(bytes), bytes == nullptr ? 0 : length};
  }
  /** Returns the whole HTTP/1.1 request, for a socket: see pusher_request_bytes(). Empty if memory runs out. */
  std::string_view bytes() const noexcept {
    std::size_t length = 0;
    const std::uint8_t *all = pusher_request_bytes(handle_, &length);
    return {reinterpret_cast<const char *>(all), length};
  }
  /** Returns the host to connect to: see pusher_request_host(). */
  std::string_view host() const noexcept { return inside::view(pusher_request_host(handle_)); }
  std::uint16_t port() const noexcept { return pusher_request_port(handle_); }
  /** Returns whether to speak TLS. */
  bool tls() const noexcept { return pusher_request_tls(handle_) == 1; }
  /** Returns the time left for the request. If it is zero, do not send. */
  std::chrono::milliseconds timeout() const noexcept {
    return std::chrono::milliseconds(pusher_request_timeout_ms(handle_));
  }
  /** Returns the C handle. Do not free it. */
  const PusherRequest *native_handle() const noexcept { return handle_; }

private:
  friend class request;
  const PusherRequest *handle_;
};

/** How far a response has come: see pusher_response_feed(). */
enum class fed : std::int32_t {
  broken = -1, /**< It is not HTTP, breaks a limit or ends too early. */
  more = 0,    /**< More bytes, or the end of the input, are to come. */
  whole = 1,   /**< Finish the request. */
};

/** The response to a request, for a transport to fill in. */
class response_ref {
public:
  explicit response_ref(PusherResponse *handle) noexcept : handle_(handle) {}

  /** Sets the server's response: see pusher_response_set(). */
  response_ref &set(int http_status, std::string_view body) noexcept {
    pusher_response_set(handle_, http_status, reinterpret_cast<const std::uint8_t *>(body.data()), body.size());
    return *this;
  }
  /**
   * Adds a header. One that contains a NUL or is not UTF-8 is ignored. See
   * pusher_response_set_header().
   */
  response_ref &header(std::string_view name, std::string_view value) {
    const std::string both[] = {std::string(name), std::string(value)};
    if (name.find('\0') == std::string_view::npos && value.find('\0') == std::string_view::npos) {
      pusher_response_set_header(handle_, both[0].c_str(), both[1].c_str());
    }
    return *this;
  }
  /**
   * Passes bytes of the response on as they were received; no bytes are the end of the input. `used`, unless it is NULL,
   * receives how many of them belong to the response. See pusher_response_feed().
   */
  fed feed(std::string_view bytes, std::size_t *used = nullptr) noexcept {
    const auto *first = reinterpret_cast<const std::uint8_t *>(bytes.data());
    return static_cast<fed>(pusher_response_feed(handle_, first, bytes.size(), used));
  }
#ifdef __cpp_lib_span
  /** Passes bytes of the response on, from a span or a container of std::byte or std::uint8_t: in C++20. */
  template <typename Bytes, std::enable_if_t<inside::are_bytes<Bytes>, int> = 0>
  fed feed(const Bytes &bytes, std::size_t *used = nullptr) noexcept {
    return feed(inside::as_view(bytes), used);
  }
  /** Sets the server's response, whose body is a span or a container of std::byte or std::uint8_t: in C++20. */
  template <typename Bytes, std::enable_if_t<inside::are_bytes<Bytes>, int> = 0>
  response_ref &set(int http_status, const Bytes &body) noexcept {
    return set(http_status, inside::as_view(body));
  }
#endif
  /**
   * Reports a failure: `not_sent` if the last byte was certainly not sent, else `unknown`. See
   * pusher_response_fail().
   */
  response_ref &fail(delivery what, std::string_view cause, std::string_view message) {
    std::string both[] = {std::string(cause), std::string(message)};
    for (std::string &text : both) std::replace(text.begin(), text.end(), '\0', ' ');
    pusher_response_fail(handle_, static_cast<std::int32_t>(what), both[0].c_str(), both[1].c_str());
    return *this;
  }
  /** Returns the C handle. Do not free it. */
  PusherResponse *native_handle() const noexcept { return handle_; }

private:
  friend class response;
  PusherResponse *handle_;
};

/** A request from client::prepare(). For one thread at a time; it may outlive its client. */
class request : public request_ref {
public:
  request(request &&other) noexcept
      : request_ref(std::exchange(other.handle_, nullptr)), owned_(std::move(other.owned_)) {}
  request &operator=(request &&other) noexcept {
    handle_ = std::exchange(other.handle_, nullptr);
    owned_ = std::move(other.owned_);
    return *this;
  }

private:
  friend class client;
  struct free_request {
    void operator()(PusherRequest *request) const noexcept { pusher_request_free(request); }
  };
  explicit request(PusherRequest *made) noexcept : request_ref(made), owned_(made) {}
  std::unique_ptr<PusherRequest, free_request> owned_;
};

/** An empty response for client::finish(). */
class response : public response_ref {
public:
  response() : response(pusher_response_new()) {}
  response(response &&other) noexcept
      : response_ref(std::exchange(other.handle_, nullptr)), owned_(std::move(other.owned_)) {}
  response &operator=(response &&other) noexcept {
    handle_ = std::exchange(other.handle_, nullptr);
    owned_ = std::move(other.owned_);
    return *this;
  }

private:
  struct free_response {
    void operator()(PusherResponse *response) const noexcept { pusher_response_free(response); }
  };
  explicit response(PusherResponse *made) noexcept : response_ref(made), owned_(made) {}
  std::unique_ptr<PusherResponse, free_response> owned_;
};

/** @cond inside */
namespace inside {

template <typename Callback>
void drop_callback(void *user_data) noexcept {
  delete static_cast<Callback *>(user_data);
}

/* No exception may reach the library: those of a log are ignored. */
template <typename Log>
void call_log(void *user_data, std::int32_t level, const char *message, const char *fields) noexcept {
#if PUSHER_HAS_EXCEPTIONS
  try {
#endif
    (*static_cast<Log *>(user_data))(static_cast<log_level>(level), std::string_view(message),
                                     std::string_view(fields));
#if PUSHER_HAS_EXCEPTIONS
  } catch (...) {
  }
#endif
}

/* Exceptions of an observer are ignored, too. */
template <typename Observe>
void call_observer(void *user_data, std::int32_t kind, std::uint64_t call_id, const char *fields) noexcept {
#if PUSHER_HAS_EXCEPTIONS
  try {
#endif
    (*static_cast<Observe *>(user_data))(static_cast<observation>(kind), call_id, std::string_view(fields));
#if PUSHER_HAS_EXCEPTIONS
  } catch (...) {
  }
#endif
}

/* A transport that throws may have sent the request. */
template <typename Send>
void call_send(void *user_data, const PusherRequest *sent, PusherResponse *came) noexcept {
  const request_ref request(sent);
  response_ref response(came);
#if PUSHER_HAS_EXCEPTIONS
  try {
#endif
    (*static_cast<Send *>(user_data))(request, response);
#if PUSHER_HAS_EXCEPTIONS
  } catch (const std::exception &thrown) {
    pusher_response_fail(came, PUSHER_DELIVERY_UNKNOWN, "transport", thrown.what());
  } catch (...) {
    pusher_response_fail(came, PUSHER_DELIVERY_UNKNOWN, "transport", "the transport threw an exception");
  }
#endif
}

} // namespace inside
/** @endcond */

#ifdef __cpp_lib_jthread
class stoppable_client;
#endif

/**
 * A client of one Channels application: see ::Pusher.
 *
 * Without exceptions:
 * @code
 * auto client = pusher::client::make("https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID");
 * if (!client) return 1;
 * auto sent = client->try_trigger("my-channel", "my-event", R"({"hello":"world"})");
 * if (!sent) std::cerr << sent.failure().message() << '\n';
 * @endcode
 */
class client {
public:
  /**
   * Creates a client from a JSON object, a URL, or by default from the environment: see
   * pusher_new().
   */
  static result<client> make(std::optional<std::string_view> configuration = std::nullopt) {
    Pusher *handle = nullptr;
    const auto c_new = [&](const char *text, char **out) { return pusher_new(text, &handle, out); };
    auto made = inside::call(false, c_new, arg{"config", configuration});
    if (!made) return std::move(made).failure();
    return client(handle);
  }
  /** Creates a client from a pusher::config. */
  static result<client> make(const config &configuration) {
    const inside::object &members = configuration.members_;
    if (members.wrong())
      return inside::wrong(PUSHER_STATUS_INVALID_CONFIG, *members.wrong(), "must be one JSON value", false);
    return make(std::optional<std::string_view>(members.str()));
  }

#if PUSHER_HAS_EXCEPTIONS
  /** @name The same calls, which throw pusher::error
   *  @{ */
  client() : client(make().value()) {}
  explicit client(std::string_view configuration) : client(make(configuration).value()) {}
  explicit client(const config &configuration) : client(make(configuration).value()) {}
  /** @} */
#endif

  /** Returns the C handle. Do not free it. */
  Pusher *native_handle() const noexcept { return handle_.get(); }

  /** Creates a handle of the same client, whose calls are cancelled separately: see pusher_clone(). */
  result<client> try_clone() const {
    Pusher *handle = nullptr;
    char *out = nullptr;
    const status code = pusher_clone(native_handle(), &handle, &out);
    client made(handle);
    auto cloned = inside::take_result(code, out);
    if (!cloned) return std::move(cloned).failure();
    return made;
  }

  /**
   * Ends the running calls of this handle at once, and makes later ones fail: see pusher_cancel().
   * May be called from any thread and from a signal handler, but not while the client is destroyed
   * or moved.
   */
  void cancel() const noexcept { pusher_cancel(native_handle()); }

#ifdef __cpp_lib_jthread
  /**
   * Returns a handle of this client whose calls `stop` cancels:
   * `client.until(stop)->trigger("my-channel", "my-event", "{}")`.
   */
  stoppable_client until(std::stop_token stop) const;
#endif

  /** Publishes an event and waits for the response: see pusher_trigger(). `data` is JSON. */
  result<std::string> try_trigger(const channels &on, std::string_view event, std::string_view data,
                                  const options &more = {}) const {
    const auto c_trigger = [this](auto... texts) { return pusher_trigger(native_handle(), texts...); };
    return call(true, more, c_trigger, arg{"channels", on.str()}, arg{"event", event}, arg{"data", data});
  }

  /** Publishes several events in one request: see pusher_trigger_batch(). */
  result<std::string> try_trigger_batch(const std::vector<event> &events, const options &more = {}) const {
    auto array = array_of(events);
    return array ? try_trigger_batch(*array, more) : array;
  }
  /** Publishes several events, given as a JSON array. */
  result<std::string> try_trigger_batch(std::string_view events, const options &more = {}) const {
    const auto c_trigger_batch = [this](auto... texts) { return pusher_trigger_batch(native_handle(), texts...); };
    return call(true, more, c_trigger_batch, arg{"events", events});
  }

  /** Publishes an event to a user: see pusher_send_to_user(). */
  result<std::string> try_send_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                                       const options &more = {}) const {
    const auto c_send_to_user = [this](auto... texts) { return pusher_send_to_user(native_handle(), texts...); };
    return call(true, more, c_send_to_user, arg{"user_id", user_id}, arg{"event", event}, arg{"data", data});
  }

  /** Closes a user's connections: see pusher_terminate_user_connections(). */
  result<std::string> try_terminate_user_connections(std::string_view user_id, const options &more = {}) const {
    const auto c_terminate = [this](auto... texts) {
      return pusher_terminate_user_connections(native_handle(), texts...);
    };
    return call(true, more, c_terminate, arg{"user_id", user_id});
  }

  /** Lists the channels that have subscribers: see pusher_channels_info(). */
  result<std::string> try_channels_info(std::optional<std::string_view> prefix_filter = std::nullopt,
                                        std::optional<std::string_view> attributes = std::nullopt,
                                        const options &more = {}) const {
    const auto c_channels_info = [this](auto... texts) { return pusher_channels_info(native_handle(), texts...); };
    return call(false, more, c_channels_info, arg{"prefix_filter", prefix_filter}, arg{"attributes", attributes});
  }

  /** Returns the state of one channel: see pusher_channel_info(). */
  result<std::string> try_channel_info(std::string_view channel,
                                       std::optional<std::string_view> attributes = std::nullopt,
                                       const options &more = {}) const {
    const auto c_channel_info = [this](auto... texts) { return pusher_channel_info(native_handle(), texts...); };
    return call(false, more, c_channel_info, arg{"channel", channel}, arg{"attributes", attributes});
  }

  /** Lists the users on a presence channel: see pusher_users_info(). */
  result<std::string> try_users_info(std::string_view channel, const options &more = {}) const {
    const auto c_users_info = [this](auto... texts) { return pusher_users_info(native_handle(), texts...); };
    return call(false, more, c_users_info, arg{"channel", channel});
  }

  /** Sends a GET request to any path: see pusher_get(). `params` is a JSON object. */
  result<std::string> try_get(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                              const options &more = {}) const {
    const auto c_get = [this](auto... texts) { return pusher_get(native_handle(), texts...); };
    return call(false, more, c_get, arg{"path", path}, arg{"params", params});
  }

  /**
   * Sends a POST request to any path: see pusher_post(). `params` is a JSON object, `body` JSON.
   */
  result<std::string> try_post(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                               std::optional<std::string_view> body = std::nullopt, const options &more = {}) const {
    const auto c_post = [this](auto... texts) { return pusher_post(native_handle(), texts...); };
    return call(true, more, c_post, arg{"path", path}, arg{"params", params}, arg{"body", body});
  }

  /** Sends a DELETE request to any path: see pusher_delete(). `params` is a JSON object. */
  result<std::string> try_delete_path(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                                      const options &more = {}) const {
    const auto c_delete = [this](auto... texts) { return pusher_delete(native_handle(), texts...); };
    return call(true, more, c_delete, arg{"path", path}, arg{"params", params});
  }

  /** Authorizes a subscription: see pusher_authenticate(). `channel_data` is JSON. */
  result<std::string> try_authenticate(std::string_view channel, std::string_view socket_id,
                                       std::optional<std::string_view> channel_data = std::nullopt) const {
    const auto c_authenticate = [this](auto... texts) { return pusher_authenticate(native_handle(), texts...); };
    return inside::call(false, c_authenticate, arg{"channel", channel}, arg{"socket_id", socket_id},
                        arg{"channel_data", channel_data});
  }

  /**
   * Authorizes several subscriptions: see pusher_authenticate_channels(). `channels` is a JSON array
   * of names and of objects.
   */
  result<std::string> try_authenticate_channels(std::string_view socket_id, std::string_view channels) const {
    const auto c_authenticate_channels = [this](auto... texts) {
      return pusher_authenticate_channels(native_handle(), texts...);
    };
    return inside::call(false, c_authenticate_channels, arg{"socket_id", socket_id}, arg{"channels", channels});
  }

  /** Signs a user in: see pusher_authenticate_user(). `user_data` is a JSON object. */
  result<std::string> try_authenticate_user(std::string_view socket_id, std::string_view user_data) const {
    const auto c_authenticate_user = [this](auto... texts) {
      return pusher_authenticate_user(native_handle(), texts...);
    };
    return inside::call(false, c_authenticate_user, arg{"socket_id", socket_id}, arg{"user_data", user_data});
  }

  /**
   * Checks that a webhook is authentic and returns its payload: see pusher_validate_webhook().
   * `key` and `signature` are the values of its headers, if it has them; `body` is the raw body.
   */
  result<std::string> try_validate_webhook(std::optional<std::string_view> key,
                                           std::optional<std::string_view> signature, std::string_view body) const {
    const auto c_validate_webhook = [this, body](const char *k, const char *s, char **out) {
      const auto *bytes = reinterpret_cast<const std::uint8_t *>(body.data());
      return pusher_validate_webhook(native_handle(), k, s, bytes, body.size(), out);
    };
    return inside::call(false, c_validate_webhook, arg{"key", key}, arg{"signature", signature});
  }
#ifdef __cpp_lib_span
  /** Checks a webhook whose body is a span or a container of std::byte or std::uint8_t: in C++20. */
  template <typename Bytes, std::enable_if_t<inside::are_bytes<Bytes>, int> = 0>
  result<std::string> try_validate_webhook(std::optional<std::string_view> key,
                                           std::optional<std::string_view> signature, const Bytes &body) const {
    return try_validate_webhook(key, signature, inside::as_view(body));
  }
#endif

  /**
   * Signs a call that is named at run time: see pusher_prepare(), and try_prepare_trigger(). `arguments` are the strings of the C
   * function `pusher_` + `call`, `std::nullopt` for one that is left out.
   */
  result<request> try_prepare(std::string_view call,
                              const std::vector<std::optional<std::string_view>> &arguments) const {
    const std::string name(call);
    if (name.find('\0') != std::string::npos) return inside::has_nul("call", false);
    std::vector<inside::argument> all;
    for (const auto &text : arguments) {
      all.push_back({"arguments", text});
      if (!all.back().has_nul()) continue;
      const std::string where = "arguments[" + std::to_string(all.size() - 1) + ']';
      return inside::has_nul(where, false);
    }
    std::vector<const char *> pointers(all.size());
    inside::texts copies;
    copies.copy(all.data(), all.size(), pointers.data());
    PusherRequest *handle = nullptr;
    char *out = nullptr;
    const status code = pusher_prepare(native_handle(), name.c_str(), pointers.data(), pointers.size(), &handle, &out);
    request prepared(handle);
    auto made = inside::take_result(code, out);
    if (!made) return std::move(made).failure();
    return prepared;
  }

  /** @name A call, signed but not sent: see pusher_prepare(). The parameters are those of the call
   *  @{ */
  result<request> try_prepare_trigger(const channels &on, std::string_view event, std::string_view data,
                                      const options &more = {}) const {
    return signed_call(true, "trigger", more, arg{"channels", on.str()}, arg{"event", event}, arg{"data", data});
  }
  result<request> try_prepare_trigger_batch(std::string_view events, const options &more = {}) const {
    return signed_call(true, "trigger_batch", more, arg{"events", events});
  }
  result<request> try_prepare_trigger_batch(const std::vector<event> &events, const options &more = {}) const {
    auto array = array_of(events);
    if (!array) return std::move(array).failure();
    return try_prepare_trigger_batch(*array, more);
  }
  result<request> try_prepare_send_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                                           const options &more = {}) const {
    return signed_call(true, "send_to_user", more, arg{"user_id", user_id}, arg{"event", event}, arg{"data", data});
  }
  result<request> try_prepare_terminate_user_connections(std::string_view user_id, const options &more = {}) const {
    return signed_call(true, "terminate_user_connections", more, arg{"user_id", user_id});
  }
  result<request> try_prepare_channels_info(std::optional<std::string_view> prefix_filter = std::nullopt,
                                            std::optional<std::string_view> attributes = std::nullopt,
                                            const options &more = {}) const {
    return signed_call(false, "channels_info", more, arg{"prefix_filter", prefix_filter},
                       arg{"attributes", attributes});
  }
  result<request> try_prepare_channel_info(std::string_view channel,
                                           std::optional<std::string_view> attributes = std::nullopt,
                                           const options &more = {}) const {
    return signed_call(false, "channel_info", more, arg{"channel", channel}, arg{"attributes", attributes});
  }
  result<request> try_prepare_users_info(std::string_view channel, const options &more = {}) const {
    return signed_call(false, "users_info", more, arg{"channel", channel});
  }
  result<request> try_prepare_get(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                                  const options &more = {}) const {
    return signed_call(false, "get", more, arg{"path", path}, arg{"params", params});
  }
  result<request> try_prepare_post(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                                   std::optional<std::string_view> body = std::nullopt,
                                   const options &more = {}) const {
    return signed_call(true, "post", more, arg{"path", path}, arg{"params", params}, arg{"body", body});
  }
  result<request> try_prepare_delete_path(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                                          const options &more = {}) const {
    return signed_call(true, "delete", more, arg{"path", path}, arg{"params", params});
  }
  /** @} */

  /** Returns the result of a prepared request: see pusher_finish(). */
  result<std::string> try_finish(request &finished, const response_ref &came) const {
    char *out = nullptr;
    const status code = pusher_finish(native_handle(), finished.owned_.get(), came.native_handle(), &out);
    return inside::take_result(code, out);
  }

  /**
   * Makes the client call `log(pusher::log_level, std::string_view message, std::string_view
   * fields)`: see pusher_set_log(). Call it at most once, before the first call. Several threads
   * may call `log` at once. Its exceptions are ignored. It is destroyed with the client.
   */
  template <typename Log>
  result<done> try_set_log(Log log) {
    static_assert(std::is_invocable_v<Log &, log_level, std::string_view, std::string_view>,
                  "log(level, message, fields)");
    auto owned = std::make_unique<Log>(std::move(log));
    char *out = nullptr;
    /* The library owns it from here on, even if the call fails. */
    const status code =
        pusher_set_log(native_handle(), inside::call_log<Log>, owned.release(), inside::drop_callback<Log>, &out);
    return inside::without_document(inside::take_result(code, out));
  }

  /**
   * Makes the client call `observe(pusher::observation, std::uint64_t call_id, std::string_view
   * fields)` at the start and the end of each call and attempt: see pusher_set_observer(), and
   * ::PusherObserveFn for its rules. Call it at most once, before the first call. Several threads
   * may call `observe` at once. Its exceptions are ignored. It is destroyed with the client.
   */
  template <typename Observe>
  result<done> try_set_observer(Observe observe) {
    static_assert(std::is_invocable_v<Observe &, observation, std::uint64_t, std::string_view>,
                  "observe(kind, call_id, fields)");
    auto owned = std::make_unique<Observe>(std::move(observe));
    char *out = nullptr;
    /* The library owns it from here on, even if the call fails. */
    const status code = pusher_set_observer(native_handle(), inside::call_observer<Observe>, owned.release(),
                                            inside::drop_callback<Observe>, &out);
    return inside::without_document(inside::take_result(code, out));
  }

  /** Returns statistics: see pusher_stats(). */
  result<std::string> try_stats() const {
    char *out = nullptr;
    const status code = pusher_stats(native_handle(), &out);
    return inside::take_result(code, out);
  }

  /**
   * Makes the client send requests with
   * `send(const pusher::request_ref &, pusher::response_ref &)`: see pusher_set_transport(), and
   * ::PusherSendFn for its rules. Call it at most once, before the first call. Several threads may
   * call `send` at once. If it throws, the request counts as possibly sent. It is destroyed with
   * the client.
   */
  template <typename Send>
  result<done> try_set_transport(Send send) {
    static_assert(std::is_invocable_v<Send &, const request_ref &, response_ref &>, "send(request, response)");
    auto owned = std::make_unique<Send>(std::move(send));
    char *out = nullptr;
    const status code = pusher_set_transport(native_handle(), inside::call_send<Send>, owned.release(),
                                             inside::drop_callback<Send>, &out);
    return inside::without_document(inside::take_result(code, out));
  }

#if PUSHER_HAS_EXCEPTIONS
  /** @name The same calls, which throw pusher::error
   *  @{ */
  client clone() const { return try_clone().value(); }
  std::string trigger(const channels &on, std::string_view event, std::string_view data,
                      const options &more = {}) const {
    return try_trigger(on, event, data, more).value();
  }
  std::string trigger_batch(const std::vector<event> &events, const options &more = {}) const {
    return try_trigger_batch(events, more).value();
  }
  std::string trigger_batch(std::string_view events, const options &more = {}) const {
    return try_trigger_batch(events, more).value();
  }
  std::string send_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                           const options &more = {}) const {
    return try_send_to_user(user_id, event, data, more).value();
  }
  std::string terminate_user_connections(std::string_view user_id, const options &more = {}) const {
    return try_terminate_user_connections(user_id, more).value();
  }
  std::string channels_info(std::optional<std::string_view> prefix_filter = std::nullopt,
                            std::optional<std::string_view> attributes = std::nullopt, const options &more = {}) const {
    return try_channels_info(prefix_filter, attributes, more).value();
  }
  std::string channel_info(std::string_view channel, std::optional<std::string_view> attributes = std::nullopt,
                           const options &more = {}) const {
    return try_channel_info(channel, attributes, more).value();
  }
  std::string users_info(std::string_view channel, const options &more = {}) const {
    return try_users_info(channel, more).value();
  }
  std::string get(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                  const options &more = {}) const {
    return try_get(path, params, more).value();
  }
  std::string post(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                   std::optional<std::string_view> body = std::nullopt, const options &more = {}) const {
    return try_post(path, params, body, more).value();
  }
  std::string delete_path(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                          const options &more = {}) const {
    return try_delete_path(path, params, more).value();
  }
  std::string authenticate(std::string_view channel, std::string_view socket_id,
                           std::optional<std::string_view> channel_data = std::nullopt) const {
    return try_authenticate(channel, socket_id, channel_data).value();
  }
  std::string authenticate_channels(std::string_view socket_id, std::string_view channels) const {
    return try_authenticate_channels(socket_id, channels).value();
  }
  std::string authenticate_user(std::string_view socket_id, std::string_view user_data) const {
    return try_authenticate_user(socket_id, user_data).value();
  }
  std::string validate_webhook(std::optional<std::string_view> key, std::optional<std::string_view> signature,
                               std::string_view body) const {
    return try_validate_webhook(key, signature, body).value();
  }
#ifdef __cpp_lib_span
  template <typename Bytes, std::enable_if_t<inside::are_bytes<Bytes>, int> = 0>
  std::string validate_webhook(std::optional<std::string_view> key, std::optional<std::string_view> signature,
                               const Bytes &body) const {
    return try_validate_webhook(key, signature, body).value();
  }
#endif
  request prepare(std::string_view call, const std::vector<std::optional<std::string_view>> &arguments) const {
    return try_prepare(call, arguments).value();
  }
  request prepare_trigger(const channels &on, std::string_view event, std::string_view data,
                          const options &more = {}) const {
    return try_prepare_trigger(on, event, data, more).value();
  }
  request prepare_trigger_batch(std::string_view events, const options &more = {}) const {
    return try_prepare_trigger_batch(events, more).value();
  }
  request prepare_trigger_batch(const std::vector<event> &events, const options &more = {}) const {
    return try_prepare_trigger_batch(events, more).value();
  }
  request prepare_send_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                               const options &more = {}) const {
    return try_prepare_send_to_user(user_id, event, data, more).value();
  }
  request prepare_terminate_user_connections(std::string_view user_id, const options &more = {}) const {
    return try_prepare_terminate_user_connections(user_id, more).value();
  }
  request prepare_channels_info(std::optional<std::string_view> prefix_filter = std::nullopt,
                                std::optional<std::string_view> attributes = std::nullopt,
                                const options &more = {}) const {
    return try_prepare_channels_info(prefix_filter, attributes, more).value();
  }
  request prepare_channel_info(std::string_view channel, std::optional<std::string_view> attributes = std::nullopt,
                               const options &more = {}) const {
    return try_prepare_channel_info(channel, attributes, more).value();
  }
  request prepare_users_info(std::string_view channel, const options &more = {}) const {
    return try_prepare_users_info(channel, more).value();
  }
  request prepare_get(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                      const options &more = {}) const {
    return try_prepare_get(path, params, more).value();
  }
  request prepare_post(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                       std::optional<std::string_view> body = std::nullopt, const options &more = {}) const {
    return try_prepare_post(path, params, body, more).value();
  }
  request prepare_delete_path(std::string_view path, std::optional<std::string_view> params = std::nullopt,
                              const options &more = {}) const {
    return try_prepare_delete_path(path, params, more).value();
  }
  std::string finish(request &finished, const response_ref &came) const { return try_finish(finished, came).value(); }
  template <typename Log>
  void set_log(Log log) {
    try_set_log(std::move(log)).value();
  }
  template <typename Observe>
  void set_observer(Observe observe) {
    try_set_observer(std::move(observe)).value();
  }
  std::string stats() const { return try_stats().value(); }
  template <typename Send>
  void set_transport(Send send) {
    try_set_transport(std::move(send)).value();
  }
  /** @} */
#endif

private:
  struct free_client {
    void operator()(Pusher *handle) const noexcept { pusher_free(handle); }
  };
  explicit client(Pusher *handle) noexcept : handle_(handle) {}

  using arg = inside::argument;

  /* Returns events as a JSON array. */
  static result<std::string> array_of(const std::vector<event> &events) {
    std::string array = "[";
    for (std::size_t i = 0; i < events.size(); i++) {
      const inside::object &members = events[i].members_;
      if (members.wrong()) {
        return inside::not_json("events[" + std::to_string(i) + "]." + *members.wrong(), true);
      }
      if (i > 0) array += ',';
      array += members.str();
    }
    array += ']';
    return array;
  }

  /* pusher_prepare() with the arguments of a call. */
  struct signer {
    const Pusher *handle;
    const char *name;
    PusherRequest **made;

    status operator()(const char *a, const char *b, char **out) const { return sign({a, b}, out); }
    status operator()(const char *a, const char *b, const char *c, char **out) const { return sign({a, b, c}, out); }
    status operator()(const char *a, const char *b, const char *c, const char *d, char **out) const {
      return sign({a, b, c, d}, out);
    }

  private:
    status sign(std::initializer_list<const char *> texts, char **out) const {
      return pusher_prepare(handle, name, texts.begin(), texts.size(), made, out);
    }
  };

  template <typename... Arguments>
  result<request> signed_call(bool publishes, const char *name, const options &more,
                              const Arguments &...arguments) const {
    PusherRequest *handle = nullptr;
    auto made = call(publishes, more, signer{native_handle(), name, &handle}, arguments...);
    request prepared(handle);
    if (!made) return std::move(made).failure();
    return prepared;
  }

  /* Makes a call whose last string is its options. */
  template <typename Function, typename... Arguments>
  static result<std::string> call(bool publishes, const options &more, const Function &function,
                                  const Arguments &...arguments) {
    const inside::object &members = more.members_;
    if (members.wrong()) return inside::not_json("options." + *members.wrong(), publishes);
    if (members.empty()) return inside::call(publishes, function, arguments..., arg{"options", std::nullopt});
    const std::string text = members.str();
    return inside::call(publishes, function, arguments..., arg{"options", text});
  }

  std::unique_ptr<Pusher, free_client> handle_;
#ifdef __cpp_lib_jthread
  friend class stoppable_client;
#endif
};

#ifdef __cpp_lib_jthread
/** A handle of a client whose calls a std::stop_token cancels: see client::until(). */
class stoppable_client {
public:
  stoppable_client(const client &of, std::stop_token stop)
      : handle_(clone_of(of)), callback_(std::move(stop), cancel{handle_.native_handle()}) {}
  stoppable_client(const stoppable_client &) = delete;
  stoppable_client &operator=(const stoppable_client &) = delete;
  ~stoppable_client() = default;

  const client *operator->() const noexcept { return &handle_; }
  const client &operator*() const noexcept { return handle_; }

private:
  struct cancel {
    Pusher *handle;
    void operator()() const noexcept { pusher_cancel(handle); }
  };
  /* It fails only for a client that was moved from: each call of the handle then says so. */
  static client clone_of(const client &of) {
    Pusher *handle = nullptr;
    pusher_clone(of.native_handle(), &handle, nullptr);
    return client(handle);
  }

  client handle_;
  /* Destroyed first: that waits for a cancellation in another thread. */
  std::stop_callback<cancel> callback_;
};

inline stoppable_client client::until(std::stop_token stop) const { return stoppable_client(*this, std::move(stop)); }
#endif

/**
 * A queue of events that are sent in the background: see pusher_publisher_new(). The destructor
 * waits at most a second for events that have not ended: call close() first.
 *
 * @code
 * pusher::publisher publisher(client, R"({"connections":4})");
 * for (int i = 0; i < 1000; i++) publisher.publish("my-channel", "count", std::to_string(i));
 * if (!publisher.close(std::chrono::seconds(10))) std::cerr << "Some events have not ended in time.\n";
 * while (const auto reports = publisher.poll(std::chrono::seconds(0))) std::cerr << *reports << '\n';
 * @endcode
 */
class publisher {
public:
  /**
   * Creates a publisher: see pusher_publisher_new(). `configuration` is a JSON object. It may
   * outlive the client.
   */
  static result<publisher> make(const client &of, std::optional<std::string_view> configuration = std::nullopt) {
    PusherPublisher *handle = nullptr;
    const auto c_new = [&](const char *text, char **out) {
      return pusher_publisher_new(of.native_handle(), text, &handle, out);
    };
    auto made = inside::call(false, c_new, inside::argument{"config", configuration});
    if (!made) return std::move(made).failure();
    return publisher(handle);
  }
  /** Creates a publisher from a pusher::config with the keys of a publisher. */
  static result<publisher> make(const client &of, const config &configuration) {
    const inside::object &members = configuration.members_;
    if (members.wrong())
      return inside::wrong(PUSHER_STATUS_INVALID_CONFIG, *members.wrong(), "must be one JSON value", false);
    return make(of, std::optional<std::string_view>(members.str()));
  }

#if PUSHER_HAS_EXCEPTIONS
  /** @name The same calls, which throw pusher::error
   *  @{ */
  explicit publisher(const client &of) : publisher(make(of).value()) {}
  publisher(const client &of, std::string_view configuration) : publisher(make(of, configuration).value()) {}
  publisher(const client &of, const config &configuration) : publisher(make(of, configuration).value()) {}
  /** @} */
#endif

  /** Returns the C handle. Do not free it. */
  PusherPublisher *native_handle() const noexcept { return handle_.get(); }

  /**
   * Queues an event and returns its id in reports: see pusher_publisher_publish(). `data` is JSON.
   */
  result<std::uint64_t> try_publish(const channels &on, std::string_view event, std::string_view data,
                                    const publish_options &more = {}) {
    return queue(on.str(), event, data, more.members_);
  }

  /** Queues an event for a user. */
  result<std::uint64_t> try_publish_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                                            const publish_options &more = {}) {
    inside::object members = more.members_;
    members.text("user_id", user_id);
    return queue(std::nullopt, event, data, members);
  }

  /**
   * Fetches reports, and fails with ::PUSHER_STATUS_TIMED_OUT if there are none: see
   * pusher_publisher_poll().
   */
  result<std::string> try_poll(std::chrono::milliseconds timeout) {
    char *out = nullptr;
    const status code = pusher_publisher_poll(native_handle(), inside::milliseconds(timeout), &out);
    return inside::take_result(code, out);
  }

  /** Returns a descriptor for an event loop, which the publisher owns: see pusher_publisher_fd(). */
  result<std::intptr_t> try_fd() {
    std::intptr_t fd = -1;
    char *out = nullptr;
    const status code = pusher_publisher_fd(native_handle(), &fd, &out);
    auto asked = inside::without_document(inside::take_result(code, out));
    if (!asked) return std::move(asked).failure();
    return fd;
  }

  /** Waits until every event has ended: see pusher_publisher_flush(). */
  result<done> try_flush(std::chrono::milliseconds timeout) {
    char *out = nullptr;
    const status code = pusher_publisher_flush(native_handle(), inside::milliseconds(timeout), &out);
    return inside::without_document(inside::take_result(code, out));
  }

  /** Stops accepting events, and ends those in the queue: see pusher_publisher_close(). */
  result<done> try_close(std::chrono::milliseconds timeout) {
    char *out = nullptr;
    const status code = pusher_publisher_close(native_handle(), inside::milliseconds(timeout), &out);
    return inside::without_document(inside::take_result(code, out));
  }

  /** Stops accepting events, and returns those that were never sent: see pusher_publisher_drain(). */
  result<std::string> try_drain(std::chrono::milliseconds timeout) {
    char *out = nullptr;
    const status code = pusher_publisher_drain(native_handle(), inside::milliseconds(timeout), &out);
    return inside::take_result(code, out);
  }

  /** Queues the events of a drained document, all or none: see pusher_publisher_restore(). */
  result<std::string> try_restore(std::string_view drained) {
    const auto c_restore = [&](const char *text, char **out) {
      return pusher_publisher_restore(native_handle(), text, out);
    };
    return inside::call(true, c_restore, inside::argument{"drained", drained});
  }

  /** Returns statistics: see pusher_publisher_stats(). */
  result<std::string> try_stats() const {
    char *out = nullptr;
    const status code = pusher_publisher_stats(native_handle(), &out);
    return inside::take_result(code, out);
  }

#if PUSHER_HAS_EXCEPTIONS
  /** @name The same calls, which throw pusher::error
   *  @{ */
  std::uint64_t publish(const channels &on, std::string_view event, std::string_view data,
                        const publish_options &more = {}) {
    return try_publish(on, event, data, more).value();
  }
  std::uint64_t publish_to_user(std::string_view user_id, std::string_view event, std::string_view data,
                                const publish_options &more = {}) {
    return try_publish_to_user(user_id, event, data, more).value();
  }
  /** Fetches reports; `std::nullopt` if there are none in time. */
  [[nodiscard]] std::optional<std::string> poll(std::chrono::milliseconds timeout) {
    auto polled = try_poll(timeout);
    if (!polled && polled.failure().code() == PUSHER_STATUS_TIMED_OUT) return std::nullopt;
    return std::move(polled).value();
  }
  /** Returns a descriptor for an event loop: see try_fd(). */
  std::intptr_t fd() { return try_fd().value(); }
  /** Returns whether every event ended in time. */
  [[nodiscard]] bool flush(std::chrono::milliseconds timeout) { return in_time(try_flush(timeout)); }
  /** Returns whether every event ended in time; the others end as `not_sent` or `unknown`. */
  [[nodiscard]] bool close(std::chrono::milliseconds timeout) { return in_time(try_close(timeout)); }
  /** Returns the events that were never sent: see try_drain(). */
  [[nodiscard]] std::string drain(std::chrono::milliseconds timeout) { return try_drain(timeout).value(); }
  /** Queues the events of a drained document: see try_restore(). */
  std::string restore(std::string_view drained) { return try_restore(drained).value(); }
  std::string stats() const { return try_stats().value(); }
  /** @} */
#endif

private:
  struct free_publisher {
    void operator()(PusherPublisher *handle) const noexcept { pusher_publisher_free(handle); }
  };
  explicit publisher(PusherPublisher *handle) noexcept : handle_(handle) {}

  result<std::uint64_t> queue(std::optional<std::string_view> on, std::string_view event, std::string_view data,
                              const inside::object &more) {
    using arg = inside::argument;
    if (more.wrong()) return inside::not_json("options." + *more.wrong(), true);
    std::uint64_t id = 0;
    const auto c_publish = [&](auto name, auto what, auto payload, auto options, char **out) {
      return pusher_publisher_publish(native_handle(), name, what, payload, options, &id, out);
    };
    const std::string text = more.empty() ? std::string() : more.str();
    const auto options = more.empty() ? std::nullopt : std::optional<std::string_view>(text);
    auto made = inside::call(true, c_publish, arg{"channels", on}, arg{"event", event}, arg{"data", data},
                             arg{"options", options});
    if (!made) return std::move(made).failure();
    return id;
  }

#if PUSHER_HAS_EXCEPTIONS
  static bool in_time(const result<done> &ended) {
    if (!ended && ended.failure().code() == PUSHER_STATUS_TIMED_OUT) return false;
    ended.value();
    return true;
  }
#endif

  std::unique_ptr<PusherPublisher, free_publisher> handle_;
};

} // namespace PUSHER_INLINE_NAMESPACE
} // namespace pusher

#ifdef __cpp_lib_format
/** @cond inside */
template <>
struct std::formatter<pusher::status_code> : std::formatter<std::string_view> {
  template <typename Context>
  auto format(pusher::status_code code, Context &context) const {
    const auto name = pusher::status_name(static_cast<pusher::status>(static_cast<std::int32_t>(code)));
    return std::formatter<std::string_view>::format(name, context);
  }
};
template <>
struct std::formatter<pusher::delivery> : std::formatter<std::string_view> {
  template <typename Context>
  auto format(pusher::delivery what, Context &context) const {
    return std::formatter<std::string_view>::format(pusher::delivery_name(what), context);
  }
};
/* A failure and an error are formatted as their message. */
template <>
struct std::formatter<pusher::failure> : std::formatter<std::string_view> {
  template <typename Context>
  auto format(const pusher::failure &failed, Context &context) const {
    return std::formatter<std::string_view>::format(failed.message(), context);
  }
};
#if PUSHER_HAS_EXCEPTIONS
template <>
struct std::formatter<pusher::error> : std::formatter<std::string_view> {
  template <typename Context>
  auto format(const pusher::error &failed, Context &context) const {
    return std::formatter<std::string_view>::format(failed.what(), context);
  }
};
#endif
/** @endcond */
#endif

#endif // PUSHER_HPP
