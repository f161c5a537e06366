package pusher_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

// 2,000 goroutines use one client, and each must get the result of its own call. Half of the calls fail, each with its own error, which would reveal
// an error that went to another goroutine.
func TestTwoThousandGoroutines(t *testing.T) {
	const goroutines = 2000
	for name, sender := range map[string]*http.Client{"the library": nil, "net/http": {Transport: &http.Transport{MaxConnsPerHost: 100, MaxIdleConnsPerHost: 100}}} {
		t.Run(name, func(t *testing.T) {
			server := healthy(t)
			client := server.client(t)
			client.HTTPClient = sender
			client.Timeout = 60 * time.Second
			before := threads(t)
			var all sync.WaitGroup
			start := make(chan struct{})
			for g := 0; g < goroutines; g++ {
				g := g
				all.Add(1)
				go func() {
					defer all.Done()
					<-start
					own := fmt.Sprintf("c%d", g)
					list, err := client.TriggerMultiWithParams([]string{own, "x"}, "e", g, pusher.TriggerParams{Info: pointer("subscription_count")})
					if err != nil {
						t.Errorf("%d: %v", g, err)
						return
					}
					if _, mine := list.Channels[own]; !mine {
						t.Errorf("%d: has the answer of another: %v", g, list.Channels)
					}
					wrong := make([]string, g%90+1)
					for index := range wrong {
						wrong[index] = "c"
					}
					wrong = append(wrong, fmt.Sprintf("wrong %d", g))
					var failed *pusher.Error
					if err := client.TriggerMulti(wrong, "e", g); !errors.As(err, &failed) || failed.Argument != fmt.Sprintf("channels[%d]", g%90+1) {
						t.Errorf("%d: has the error of another: %v", g, err)
					}
					channel := fmt.Sprintf("private-%d", g)
					response, err := client.AuthorizeChannel(channel, fmt.Sprintf("1.%d", g), map[string]int{"g": g})
					if err != nil || !strings.Contains(string(response), fmt.Sprintf(`{\"g\":%d}`, g)) {
						t.Errorf("%d: has the signature of another: %s, %v", g, response, err)
					}
				}()
			}
			close(start)
			all.Wait()
			if most := threads(t) - before; most > 200 {
				t.Errorf("%d more threads", most)
			}
			seen := map[string]int{}
			for _, event := range server.applied(t) {
				if event["channel"] != "x" {
					seen[event["channel"].(string)]++
					same(t, "the payload", "c"+event["data"].(string), event["channel"])
				}
			}
			if len(seen) != goroutines {
				t.Errorf("%d events", len(seen))
			}
			for channel, times := range seen {
				if times != 1 {
					t.Errorf("%s: %d times", channel, times)
				}
			}
		})
	}
}

// Many calls of each kind, including failing ones, must not increase the memory.
func TestMemoryStaysFlat(t *testing.T) {
	if watched {
		t.Skip("what watches this program takes more and more memory itself")
	}
	server := healthy(t)
	client := server.client(t)
	client.LogLevel = pusher.LogDebug
	client.Log = func(pusher.LogRecord) {}
	over := server.client(t)
	over.HTTPClient = &http.Client{}
	long := strings.Repeat("x", 20000)
	large := map[string]any{"user_id": "7", "user_info": map[string]string{"text": strings.Repeat("é", 5000)}} // a document that fits no buffer
	round := func(calls int) {
		for call := 0; call < calls; call++ {
			if _, err := client.AuthorizeChannel("presence-c", "1.2", large); err != nil {
				t.Fatal(err)
			}
			_, _ = client.AuthorizeChannel("c", "1.2", nil)
			_, _ = client.AuthenticateUserSocket("1.2", json.RawMessage(`{"id":"7"}`))
			_ = client.Trigger("c", "e", long)
			_ = client.Trigger("c\x00", "e", "x")
			_, _ = client.Webhook(http.Header{"X-Pusher-Key": {faults.Key}}, []byte("{}"))
			if call%50 == 0 {
				// The server's ledger grows with these, but in another process.
				_ = client.Trigger("c", "e", "x")
				_ = over.Trigger("c", "e", "x")
				_, _ = client.Get("/nope", nil)
				own := &pusher.Client{AppID: "1", Key: "k", Secret: "s", Log: func(pusher.LogRecord) {}}
				_ = own.Trigger("a b", "e", "x")
				if made, err := own.NewPublisher(pusher.PublisherConfig{}); err == nil {
					made.Close()
				}
				own.Close()
			}
		}
		runtime.GC()
	}
	round(3000)
	before := resident(t)
	round(9000)
	if more := resident(t) - before; more > 6<<20 {
		t.Errorf("%d KiB more after 9,000 rounds", more>>10)
	}
}

var watched bool

// resident returns the resident memory of this process in bytes.
func resident(t *testing.T) int { return status(t, "VmRSS:") << 10 }

// threads returns the number of this process's threads.
func threads(t *testing.T) int { return status(t, "Threads:") }

func status(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, name) {
			number, err := strconv.Atoi(strings.Fields(line)[1])
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Fatalf("no %s", name)
	return 0
}
