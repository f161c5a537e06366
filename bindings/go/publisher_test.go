package pusher_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pusher "github.com/libpusher/libpusher/bindings/go"
)

func publisher(t *testing.T, client *pusher.Client, config pusher.PublisherConfig) *pusher.Publisher {
	t.Helper()
	made, err := client.NewPublisher(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestTheDescriptorIsReadableWhileReportsWait(t *testing.T) {
	made := publisher(t, healthy(t).client(t), pusher.PublisherConfig{Reports: "all"})
	fd, err := made.Fd()
	if err != nil {
		t.Fatal(err)
	}
	isReadable := func() bool {
		var set syscall.FdSet
		set.Bits[fd/64] |= 1 << (fd % 64)
		count, err := syscall.Select(int(fd)+1, &set, nil, nil, &syscall.Timeval{})
		if err != nil && !errors.Is(err, syscall.EINTR) {
			t.Fatal(err)
		}
		return count == 1
	}
	if isReadable() {
		t.Error("it is readable without a report")
	}
	id, err := made.Publish("c", "e", 1)
	if err != nil {
		t.Fatal(err)
	}
	for limit := within(t, 20*time.Second); !isReadable(); {
		if limit.Err() != nil {
			t.Fatal("it does not become readable")
		}
		time.Sleep(time.Millisecond)
	}
	reports, err := made.Poll(within(t, 20*time.Second))
	if err != nil || len(reports.List) != 1 || reports.List[0].ID != id {
		t.Errorf("%v, %v", reports, err)
	}
	if isReadable() {
		t.Error("it is readable after the fetch")
	}
	made.Close()
	if _, err := made.Fd(); err == nil {
		t.Error("a freed publisher has a descriptor")
	}
}

func TestAnotherPublisherDeliversWhatOneDidNotSend(t *testing.T) {
	client := healthy(t).client(t)
	made := publisher(t, client, pusher.PublisherConfig{Reports: "all", MaxEventsPerSecond: 1})
	for number := 0; number < 100; number++ {
		if _, err := made.Publish("c", "e", number); err != nil {
			t.Fatal(err)
		}
	}
	drained, err := made.Drain(within(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Publish("c", "e", 1); err == nil {
		t.Error("a drained publisher takes an event")
	}
	other := publisher(t, client, pusher.PublisherConfig{Reports: "all"})
	for _, wrong := range [][]byte{[]byte(strings.Replace(string(drained), `"name"`, `"colour"`, 1)), []byte(string(drained) + "\x00")} {
		_, err := other.Restore(wrong)
		var refused *pusher.Error
		if !errors.As(err, &refused) || refused.Status != pusher.StatusInvalidArgument {
			t.Errorf("restored: %v", err)
		}
	}
	restored, err := other.Restore(drained)
	if err != nil || len(restored) < 90 || restored[0].ID != 1 || restored[len(restored)-1].DrainedID != 100 {
		t.Fatalf("%v, %v", restored, err)
	}
	if err := other.Flush(within(t, 60*time.Second)); err != nil {
		t.Fatal(err)
	}
	stats, err := other.Stats()
	if err != nil || int(stats.Events.Delivered) != len(restored) {
		t.Errorf("%v, %v", stats, err)
	}
}

func TestEachEventIsReportedOnce(t *testing.T) {
	server := healthy(t)
	made := publisher(t, server.client(t), pusher.PublisherConfig{Reports: "all", Connections: 4, MaxQueueEvents: 100, Overflow: "block"})
	const goroutines, each = 50, 40
	var published sync.Map
	var all sync.WaitGroup
	for g := 0; g < goroutines; g++ {
		g := g
		all.Add(1)
		go func() {
			defer all.Done()
			for e := 0; e < each; e++ {
				id, err := made.PublishWithParams([]string{fmt.Sprintf("c%d", g)}, "e", e, pusher.PublishParams{Timeout: 20 * time.Second})
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := published.LoadOrStore(id, true); twice {
					t.Errorf("%d was given twice", id)
				}
			}
		}()
	}
	reported := 0
	for ctx := within(t, 30*time.Second); reported < goroutines*each; {
		reports, err := made.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, report := range reports.List {
			// A report may arrive before its Publish returns.
			if report.Err != nil || report.Delivery != pusher.DeliveryDelivered || report.Status != pusher.StatusOK {
				t.Errorf("%+v", report)
			}
			reported++
		}
	}
	all.Wait()
	// In order within each channel.
	next := map[any]int{}
	for _, event := range server.applied(t) {
		if event["data"] != fmt.Sprint(next[event["channel"]]) {
			t.Fatalf("%v, not %d", event, next[event["channel"]])
		}
		next[event["channel"]]++
	}
	stats, err := made.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.Events.Delivered != goroutines*each || stats.Events.Published != goroutines*each || stats.LatencyMs.Count != goroutines*each {
		t.Errorf("%s", stats.Document)
	}
	if last := stats.LatencyMs.Buckets[len(stats.LatencyMs.Buckets)-1]; !math.IsInf(last.Bound, 1) {
		t.Errorf("%v", last)
	}
}

func TestAFailureIsReportedAsAnError(t *testing.T) {
	client := listen(t, map[string]any{"fault": "status-403", "times": 0}).client(t)
	made := publisher(t, client, pusher.PublisherConfig{})
	id, err := made.Publish("c", "e", "x")
	if err != nil {
		t.Fatal(err)
	}
	reports, err := made.Poll(within(t, 10*time.Second))
	if err != nil || len(reports.List) != 1 {
		t.Fatalf("%v, %v", reports, err)
	}
	report := reports.List[0]
	if report.ID != id || report.Delivery != pusher.DeliveryRejected || !errors.Is(report.Err, pusher.StatusForbidden) || report.Err.HTTPStatus != 403 {
		t.Errorf("%+v", report)
	}
}

func TestUsersInfoAndConflation(t *testing.T) {
	server := healthy(t)
	made := publisher(t, server.client(t), pusher.PublisherConfig{Reports: "all", Linger: 200 * time.Millisecond, Connections: 1})
	if _, err := made.PublishToUser("u", "e", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := made.PublishWithParams([]string{"c"}, "e", "x", pusher.PublishParams{Info: pointer("subscription_count")}); err != nil {
		t.Fatal(err)
	}
	if _, err := made.PublishMulti([]string{"a", "b"}, "e", "x"); err != nil {
		t.Fatal(err)
	}
	if err := made.Flush(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	reports, err := made.Poll(within(t, 10*time.Second))
	if err != nil || len(reports.List) != 3 {
		t.Fatalf("%v, %v", reports, err)
	}
	if reports.List[1].Answer == nil {
		t.Errorf("no answer: %s", reports.Document)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	made := publisher(t, healthy(t).client(t), pusher.PublisherConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(30*time.Millisecond, cancel)
	_, err := made.Poll(ctx)
	if !errors.Is(err, pusher.StatusTimedOut) || !errors.Is(err, context.Canceled) {
		t.Errorf("%#v", err)
	}
	_, err = made.Poll(within(t, 20*time.Millisecond))
	if !errors.Is(err, pusher.StatusTimedOut) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%#v", err)
	}
}

func TestAContextEndsTheWaitForSpace(t *testing.T) {
	server := listen(t, map[string]any{"fault": "silence-after-request-applied", "times": 0})
	client := server.client(t)
	client.Timeout = 20 * time.Second
	made := publisher(t, client, pusher.PublisherConfig{Connections: 1, MaxQueueEvents: 1, Overflow: "block"})
	publish := func(ctx context.Context, params pusher.PublishParams) error {
		_, err := made.PublishContext(ctx, []string{"c"}, "e", "x", params)
		return err
	}
	live, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := publish(live, pusher.PublishParams{}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err := cancelled(t, func() bool { return time.Since(start) > 200*time.Millisecond }, func(ctx context.Context) error {
		return publish(ctx, pusher.PublishParams{})
	})
	if failed := refused(t, err, pusher.StatusQueueFull, ""); !errors.Is(err, context.Canceled) || failed.Delivery != pusher.DeliveryNotSent {
		t.Errorf("%#v", failed)
	}
	if err := publish(within(t, 150*time.Millisecond), pusher.PublishParams{}); !errors.Is(err, pusher.StatusQueueFull) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%#v", err)
	}
	for _, params := range []pusher.PublishParams{{Timeout: 250 * time.Millisecond}, {Extra: map[string]any{"timeout_ms": 250}}} {
		start = time.Now()
		if err := publish(live, params); !errors.Is(err, pusher.StatusQueueFull) || errors.Is(err, context.Canceled) {
			t.Errorf("%#v", err)
		}
		if took := time.Since(start); took < 240*time.Millisecond || took > 10*time.Second {
			t.Error(took)
		}
	}
	cancel()
	if err := publish(live, pusher.PublishParams{}); !errors.Is(err, pusher.StatusNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("%#v", err)
	}
	same(t, "published", len(server.applied(t)), 1)
}

func TestShutdownWithoutTimeReportsTheEventsItEnded(t *testing.T) {
	server := listen(t, map[string]any{"fault": "silence-after-request-applied", "times": 0})
	made := publisher(t, server.client(t), pusher.PublisherConfig{Connections: 1, MaxBatchEvents: 1})
	for range [3]int{} {
		if _, err := made.Publish("c", "e", "x"); err != nil {
			t.Fatal(err)
		}
	}
	for len(server.applied(t)) == 0 {
		runtime.Gosched()
	}
	if err := made.Flush(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%#v", err)
	}
	start := time.Now()
	err := made.Shutdown(within(t, 50*time.Millisecond))
	if !errors.Is(err, pusher.StatusTimedOut) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
		t.Errorf("%#v after %v", err, time.Since(start))
	}
	if _, err := made.Publish("c", "e", "x"); !errors.Is(err, pusher.StatusClosed) {
		t.Errorf("%#v", err)
	}
	counts := map[pusher.Delivery]int{}
	for {
		reports, err := made.Poll(context.Background())
		if errors.Is(err, pusher.StatusClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, report := range reports.List {
			counts[report.Delivery]++
			same(t, "the reason", report.Reason, "closed")
		}
	}
	same(t, "how they ended", counts, map[pusher.Delivery]int{pusher.DeliveryUnknown: 1, pusher.DeliveryNotSent: 2})
}

func TestClosingWakesWaitingGoroutines(t *testing.T) {
	made := publisher(t, healthy(t).client(t), pusher.PublisherConfig{})
	ended := make(chan error, 8)
	var waiting sync.WaitGroup
	for range [8]int{} {
		waiting.Add(1)
		go func() {
			waiting.Done()
			_, err := made.Poll(context.Background())
			ended <- err
		}()
	}
	waiting.Wait()
	made.Close()
	made.Close()
	for range [8]int{} {
		select {
		case err := <-ended:
			if !errors.Is(err, pusher.StatusClosed) {
				t.Errorf("%#v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still waiting")
		}
	}
	if _, err := made.Stats(); !errors.Is(err, pusher.StatusClosed) {
		t.Errorf("%#v", err)
	}
	if err := made.Shutdown(context.Background()); !errors.Is(err, pusher.StatusClosed) {
		t.Errorf("%#v", err)
	}
}

func TestAPublisherOutlivesItsClientAndLogs(t *testing.T) {
	server := listen(t, once("status-429"))
	client := server.client(t)
	client.LogLevel = pusher.LogInfo
	received := make(chan pusher.LogRecord, 16)
	client.Log = func(record pusher.LogRecord) {
		select {
		case received <- record:
		default:
		}
	}
	made := publisher(t, client, pusher.PublisherConfig{})
	client.Close()
	if _, err := client.NewPublisher(pusher.PublisherConfig{}); !errors.Is(err, pusher.StatusInvalidState) {
		t.Errorf("%#v", err)
	}
	if _, err := made.Publish("c", "e", "x"); err != nil {
		t.Fatal(err)
	}
	select {
	case record := <-received:
		if record.Level != pusher.LogInfo || !strings.Contains(record.Message, "will be retried") {
			t.Errorf("%+v", record)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was logged")
	}
}

func TestTheGarbageCollectorFreesAPublisher(t *testing.T) {
	server := healthy(t)
	client := server.client(t)
	before := threads(t)
	for range [20]int{} {
		made, err := client.NewPublisher(pusher.PublisherConfig{Connections: 8})
		if err != nil {
			t.Fatal(err)
		}
		for channel := 0; channel < 8; channel++ {
			if _, err := made.Publish(fmt.Sprintf("c%d", channel), "e", "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for len(server.applied(t)) < 160 || threads(t) > before+10 {
		if time.Now().After(deadline) {
			t.Fatalf("%d events, %d threads after %d", len(server.applied(t)), threads(t), before)
		}
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
}

func TestStatisticsForPrometheus(t *testing.T) {
	made := publisher(t, unreachable.client(t), pusher.PublisherConfig{Extra: map[string]any{"stats_format": "prometheus"}})
	stats, err := made.Stats()
	if err != nil || !strings.Contains(string(stats.Document), "# TYPE ") {
		t.Errorf("%s, %v", stats.Document, err)
	}
}

func TestEachFieldOfAPublishersConfiguration(t *testing.T) {
	publisher(t, unreachable.client(t), pusher.PublisherConfig{
		Connections: 1, MaxQueueEvents: 10, MaxQueueBytes: 1 << 20, Overflow: "drop_oldest", MaxBatchEvents: 5, MaxBatchBytes: 1 << 16, Linger: -1,
		EventTTL: time.Second, MaxEventsPerSecond: 10, PaceByRateLimit: true, Reports: "none", MaxReports: 5, BatchIsAtomic: true,
		Retry: pusher.Retry{Mode: "never"}, Timeout: time.Second,
	})
	_, err := unreachable.client(t).NewPublisher(pusher.PublisherConfig{Connections: 65})
	refused(t, err, pusher.StatusInvalidConfig, "connections")
}
