//go:build race || asan

package pusher_test

// The race detector keeps something of every goroutine that there was, and AddressSanitizer what was freed.
func init() { watched = true }
