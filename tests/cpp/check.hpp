// A small test framework: TEST registers a test by its name, and CHECK reports a false condition.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

namespace check {

struct test {
  const char *name;
  std::function<void()> body;
};

inline std::vector<test> &tests() {
  static std::vector<test> all;
  return all;
}

inline int &failures() {
  static int count = 0;
  return count;
}

struct registered {
  registered(const char *name, std::function<void()> body) { tests().push_back({name, std::move(body)}); }
};

inline void holds(bool so, const char *what, const char *file, int line, const std::string &detail = {}) {
  if (so) return;
  std::cerr << file << ':' << line << ": not so: " << what << (detail.empty() ? "" : ": ") << detail << '\n';
  failures()++;
}

inline int run() {
  for (const test &one : tests()) {
    const int before = failures();
    try {
      one.body();
    } catch (const std::exception &thrown) {
      holds(false, thrown.what(), one.name, 0);
    }
    std::cout << (failures() == before ? "ok      " : "FAILED  ") << one.name << std::endl;
  }
  std::cout << tests().size() << " tests, " << failures() << " checks failed\n";
  return failures() == 0 && !tests().empty() ? 0 : 1;
}

} // namespace check

#define CHECK(condition) check::holds((condition), #condition, __FILE__, __LINE__)
#define CHECK_WITH(condition, detail) check::holds((condition), #condition, __FILE__, __LINE__, (detail))
#define CHECK_JOINED(a, b) a##b
#define CHECK_NAME(prefix, line) CHECK_JOINED(prefix, line)
#define TEST(sentence)                                                                                     \
  static void CHECK_NAME(test_, __LINE__)();                                                               \
  static const check::registered CHECK_NAME(registered_, __LINE__)(sentence, CHECK_NAME(test_, __LINE__)); \
  static void CHECK_NAME(test_, __LINE__)()

#endif
