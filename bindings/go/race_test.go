//go:build race || asan

package pusher_test

// The race detector keeps data about every past goroutine, and AddressSanitizer keeps freed memory.
func init() { watched = true }
