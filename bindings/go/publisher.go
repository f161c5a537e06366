package pusher

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

// PublisherConfig configures a Publisher. A field that is zero has the default of pusher_publisher_new (see pusher.h).
type PublisherConfig struct {
	Connections        int           // requests in flight at the same time: 2
	MaxQueueEvents     int           // events that have not ended: 10,000
	MaxQueueBytes      int           // their size in memory: 16 MiB
	Overflow           string        // of a full queue: "reject", "block" (up to PublishParams.Timeout) or "drop_oldest"
	MaxBatchEvents     int           // of one request: as for TriggerBatch
	MaxBatchBytes      int           // of one request, roughly: 1 MiB
	Linger             time.Duration // how long the first of several events waits for more: 5 ms; negative for no wait
	EventTTL           time.Duration // events that have waited longer are not sent; 0 for no limit
	MaxEventsPerSecond int
	PaceByRateLimit    bool   // wait before the server would answer 429, by the headers of its rate limit
	Reports            string // which events Poll reports: "failures", "all" or "none"
	MaxReports         int    // kept until they are fetched: 10,000
	BatchIsAtomic      bool   // the server refuses a batch as a whole or not at all
	Retry              Retry
	Timeout            time.Duration // of each request: the client's
	// Extra has additional configuration keys. They override fields.
	Extra map[string]any
}

func (p *PublisherConfig) members(logs bool) map[string]any {
	config := map[string]any{}
	count := func(name string, value int) {
		if value != 0 {
			config[name] = value
		}
	}
	text := func(name, value string) {
		if value != "" {
			config[name] = value
		}
	}
	count("connections", p.Connections)
	count("max_queue_events", p.MaxQueueEvents)
	count("max_queue_bytes", p.MaxQueueBytes)
	count("max_batch_events", p.MaxBatchEvents)
	count("max_batch_bytes", p.MaxBatchBytes)
	count("max_events_per_second", p.MaxEventsPerSecond)
	count("max_reports", p.MaxReports)
	count("event_ttl_ms", int(milliseconds(p.EventTTL)))
	count("timeout_ms", int(milliseconds(p.Timeout)))
	text("overflow", p.Overflow)
	text("reports", p.Reports)
	switch {
	case p.Linger < 0:
		config["linger_ms"] = 0
	case p.Linger > 0:
		config["linger_ms"] = milliseconds(p.Linger)
	}
	if p.BatchIsAtomic {
		config["batch_is_atomic"] = true
	}
	if p.PaceByRateLimit {
		config["pace_by_rate_limit"] = true
	}
	if p.Retry != (Retry{}) {
		config["retry"] = p.Retry
	}
	if logs {
		// The library may call Go on any thread.
		config["hooks_on_threads"] = true
	}
	for name, value := range p.Extra {
		config[name] = value
	}
	return config
}

// patience returns how long Publish waits for space unless its options say it.
func (p *PublisherConfig) patience(ofClient time.Duration) time.Duration {
	overflow, given := p.Extra["overflow"]
	if !given {
		overflow = p.Overflow
	}
	if overflow != "block" {
		return 0
	}
	if ms := number(p.Extra["timeout_ms"]); ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	if p.Timeout > 0 {
		return p.Timeout
	}
	return ofClient
}

// PublishParams are the options of an event.
type PublishParams struct {
	SocketID *string // excludes this connection
	Info     *string // attributes of the channel to include in the report
	UserID   string  // the recipient, instead of channels
	Conflate string  // replaces a waiting event with the same channel, name and Conflate
	// IdempotencyKey is as in TriggerParams. The event is sent alone, and cannot have Conflate.
	IdempotencyKey string
	FanOut         bool           // sends as many requests as more channels, or encrypted ones among others, need
	Members        map[string]any // as in TriggerParams
	MembersInClear bool           // as in TriggerParams
	Timeout        time.Duration  // how long to wait for space if Overflow is "block"
	Extra          map[string]any // additional options of pusher_publisher_publish (see pusher.h)
}

// Publisher is a queue that sends events in the background, several in one request, each channel's events in order. Any number of goroutines may
// use it.
type Publisher struct {
	life      lifetime
	publisher *C.PusherPublisher
	finished  atomic.Bool   // no more reports will be added
	patience  time.Duration // how long Publish waits for space; 0: not at all
}

// Report says how an event ended.
type Report struct {
	ID       uint64
	Status   Status
	Delivery Delivery
	Reason   string          // why it was not sent: "expired", "dropped", "superseded", "closed" or "drained"
	Answer   json.RawMessage // the attributes that Info asked for
	Err      *Error          // nil if it was delivered
}

// Reports is the result of Poll, oldest first.
type Reports struct {
	List     []Report
	Lost     int // reports discarded since the last Poll, because more than MaxReports waited
	Document json.RawMessage
}

// NewPublisher returns a publisher with its own connections. Close it, so that its last events are sent.
func (c *Client) NewPublisher(config PublisherConfig) (*Publisher, error) {
	opened, err := c.open(opNone)
	if err != nil {
		return nil, err
	}
	f := newFrame(opNone)
	defer f.free()
	f.begin()
	f.texts = append(f.texts, '{')
	for name, value := range config.members(opened.logs) {
		f.member(name, name, value)
	}
	f.texts = append(f.texts, '}')
	f.end("config")
	if f.failed != nil {
		return nil, f.failed
	}
	if !opened.life.enter() {
		return nil, opened.gone(f)
	}
	defer opened.life.leave()
	made := C.bridge_publisher_new(opened.client, f.base(), f.buffer(), C.size_t(len(f.answer)))
	if _, err := f.take(made.answer); err != nil {
		return nil, err
	}
	handle := (*C.PusherPublisher)(made.handle)
	publisher := &Publisher{publisher: handle, patience: config.patience(opened.timeout)}
	publisher.life.free = func() { C.pusher_publisher_free(handle) }
	runtime.SetFinalizer(publisher, func(unused *Publisher) {
		// On its own goroutine: freeing waits up to a second for events, and other finalizers wait for this one. It needs only the handle.
		if unused.life.mark() {
			go C.pusher_publisher_free(handle)
		}
	})
	return publisher, nil
}

// Publish queues an event and returns its id, which its report repeats. It does not wait for the network.
func (p *Publisher) Publish(channel string, eventName string, data any) (uint64, error) {
	return p.PublishWithParams([]string{channel}, eventName, data, PublishParams{})
}

// PublishMulti queues an event on up to 100 channels.
func (p *Publisher) PublishMulti(channels []string, eventName string, data any) (uint64, error) {
	return p.PublishWithParams(channels, eventName, data, PublishParams{})
}

// PublishToUser queues an event to all connections of a user who has signed in.
func (p *Publisher) PublishToUser(userID string, eventName string, data any) (uint64, error) {
	return p.PublishWithParams(nil, eventName, data, PublishParams{UserID: userID})
}

// PublishWithParams queues an event with options. channels is nil if params names a user.
func (p *Publisher) PublishWithParams(channels []string, eventName string, data any, params PublishParams) (uint64, error) {
	return p.publish(channels, eventName, data, params, false)
}

// PublishContext is PublishWithParams with a context, which ends a wait for space (Overflow "block"): the event was not queued then, and the
// error is StatusQueueFull and the context's. Once it is queued, the context has no effect. A long wait counts as several refused events in
// PublisherStats.
func (p *Publisher) PublishContext(ctx context.Context, channels []string, eventName string, data any, params PublishParams) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, late(opPublish, err)
	}
	limit := p.patience
	if limit > 0 && params.Timeout > 0 {
		limit = params.Timeout
	}
	if given := number(params.Extra["timeout_ms"]); limit > 0 && given > 0 {
		limit = time.Duration(given) * time.Millisecond
	}
	if limit == 0 || ctx.Done() == nil {
		return p.publish(channels, eventName, data, params, false)
	}
	for end := time.Now().Add(limit); ; {
		// A publisher's wait cannot be cancelled, so each is short.
		left := time.Until(end)
		if most := time.Duration(slice(ctx)) * time.Millisecond; left > most {
			left = most
		}
		if left < time.Millisecond {
			left = time.Millisecond // 0 would be the default
		}
		params.Timeout = left
		id, err := p.publish(channels, eventName, data, params, true)
		var full *Error
		if !errors.As(err, &full) || full.Status != StatusQueueFull {
			return id, err
		}
		if over := ctx.Err(); over != nil {
			full.wrapped = over
			return 0, full
		}
		if !time.Now().Before(end) {
			return 0, full
		}
	}
}

func (p *Publisher) publish(channels []string, eventName string, data any, params PublishParams, shorter bool) (uint64, error) {
	f := newFrame(opPublish)
	defer f.free()
	if channels == nil {
		f.null()
	} else {
		f.channels(channels)
	}
	f.text("event", eventName)
	f.json("data", data)
	f.options(&options{
		socketID: params.SocketID, info: params.Info, userID: params.UserID, conflate: params.Conflate, fanOut: params.FanOut,
		idempotencyKey: params.IdempotencyKey, members: params.Members, membersInClear: params.MembersInClear,
		timeout: params.Timeout, shorter: shorter, extra: params.Extra,
	})
	if f.failed != nil {
		return 0, f.failed
	}
	if !p.life.enter() {
		return 0, p.gone(DeliveryNotSent)
	}
	defer p.life.leave()
	published := C.bridge_publish(p.publisher, f.base(), f.at, f.buffer(), C.size_t(len(f.answer)))
	_, err := f.take(published.answer)
	return uint64(published.id), err
}

func (p *Publisher) gone(delivery Delivery) *Error {
	return refusal(StatusClosed, failure{Message: "the publisher is closed", Delivery: delivery.String()}, nil)
}

// Poll returns up to 1,000 reports, and waits for the first of them until the context ends: then the error is StatusTimedOut and the context's
// error. After Shutdown, when all reports were fetched, the error is StatusClosed.
func (p *Publisher) Poll(ctx context.Context) (*Reports, error) {
	for {
		finished := p.finished.Load()
		document, err := p.call(C.BRIDGE_POLL, slice(ctx))
		if err == nil {
			return readReports(document), nil
		}
		if err.Status != StatusTimedOut {
			return nil, err
		}
		if finished {
			return nil, p.gone(DeliveryNone)
		}
		if over := ctx.Err(); over != nil {
			err.wrapped = over
			return nil, err
		}
	}
}

func readReports(document []byte) *Reports {
	var read struct {
		Reports []json.RawMessage `json:"reports"`
		Lost    int               `json:"lost"`
	}
	_ = json.Unmarshal(document, &read)
	reports := &Reports{List: make([]Report, 0, len(read.Reports)), Lost: read.Lost, Document: document}
	for _, text := range read.Reports {
		var said failure
		_ = json.Unmarshal(text, &said)
		report := Report{
			ID:       said.ID,
			Status:   statusByName(said.Status),
			Delivery: deliveryByName(said.Delivery),
			Reason:   said.Reason,
			Answer:   said.Answer,
		}
		if report.Status != StatusOK {
			report.Err = said.error(report.Status, text)
		}
		reports.List = append(reports.List, report)
	}
	return reports
}

// Flush waits until every published event has ended. If the context ends first, the error is StatusTimedOut, and nothing is lost.
func (p *Publisher) Flush(ctx context.Context) error {
	for {
		_, err := p.call(C.BRIDGE_FLUSH, slice(ctx))
		if err == nil {
			return nil
		}
		over := ctx.Err()
		if err.Status != StatusTimedOut || over != nil {
			err.wrapped = over
			return err
		}
	}
}

// Shutdown takes no more events and waits until the published events have ended. If the context ends first, waiting events end as not_sent and
// events that are being sent as unknown, and the error is StatusTimedOut. Poll still returns reports until Close.
func (p *Publisher) Shutdown(ctx context.Context) error {
	stopped, cut := make(chan struct{}), make(chan *Error, 1)
	go func() {
		select {
		case <-ctx.Done():
			// A second close without a timeout ends the wait of the first, and reports whether events had to be ended.
			_, err := p.call(C.BRIDGE_CLOSE, 0)
			cut <- err
		case <-stopped:
			cut <- nil
		}
	}()
	_, err := p.call(C.BRIDGE_CLOSE, math.MaxUint32)
	close(stopped)
	p.finished.Store(true)
	if ended := <-cut; ended != nil && ended.Status == StatusTimedOut {
		ended.wrapped = ctx.Err()
		return ended
	}
	if err != nil {
		return err
	}
	return nil
}

// Restored is an event that Restore has queued.
type Restored struct {
	ID        uint64 `json:"id"`
	DrainedID uint64 `json:"drained_id"` // its id in the publisher that was drained
}

// Drain takes no more events, and returns those that were never sent as a document for Restore of another publisher, also in another process. They
// end as not_sent with the reason "drained". Requests in flight may end until the context's deadline; then their events end as unknown, and are not
// in the document. A context that is cancelled before its deadline does not end the wait. Keep the document as you would keep the events' data.
func (p *Publisher) Drain(ctx context.Context) ([]byte, error) {
	timeout := uint32(math.MaxUint32)
	if deadline, has := ctx.Deadline(); has {
		if left := time.Until(deadline).Milliseconds(); left < math.MaxUint32 {
			timeout = uint32(left)
		}
	}
	if ctx.Err() != nil {
		timeout = 0
	}
	document, err := p.call(C.BRIDGE_DRAIN, timeout)
	if err != nil {
		return nil, err
	}
	p.finished.Store(true)
	return document, nil
}

// Restore queues all events of a document of Drain, or none. Restore a document once.
func (p *Publisher) Restore(drained []byte) ([]Restored, error) {
	f := newFrame(opRestore)
	defer f.free()
	f.text("drained", string(drained))
	if f.failed != nil {
		return nil, f.failed
	}
	if !p.life.enter() {
		return nil, p.gone(DeliveryNotSent)
	}
	defer p.life.leave()
	document, err := f.take(C.bridge_restore(p.publisher, f.base(), f.at, f.buffer(), C.size_t(len(f.answer))))
	if err != nil {
		return nil, err
	}
	var result struct {
		Restored []Restored `json:"restored"`
	}
	_ = json.Unmarshal(document, &result)
	return result.Restored, nil
}

// Fd returns a descriptor that is readable while reports wait, and when there is space again after StatusQueueFull, until the next Publish. Wait on it,
// for instance with unix.Poll, and then call Poll with a context that is done. The publisher owns it: never read or close it, and stop waiting on it
// before Close. Goroutines need none: they wait in Poll.
func (p *Publisher) Fd() (uintptr, error) {
	if !p.life.enter() {
		return ^uintptr(0), p.gone(DeliveryNone)
	}
	defer p.life.leave()
	f := newFrame(opNone)
	defer f.free()
	got := C.bridge_descriptor(p.publisher, f.buffer(), C.size_t(len(f.answer)))
	if _, err := f.take(got.answer); err != nil {
		return ^uintptr(0), err
	}
	return uintptr(got.fd), nil
}

// Close closes the publisher and waits at most a second for its events. It does not report how the last events end: call Shutdown and Poll first.
// Close may be called again.
func (p *Publisher) Close() {
	// This wakes goroutines that wait in Poll or Flush.
	_, _ = p.call(C.BRIDGE_CLOSE, 1000)
	p.finished.Store(true)
	p.life.close()
}

// PublisherStats are a publisher's counters and times.
type PublisherStats struct {
	Queue struct {
		Events   int `json:"events"` // not ended yet
		Bytes    int `json:"bytes"`
		InFlight int `json:"in_flight"`
	} `json:"queue"`
	Events struct {
		Published uint64 `json:"published"`
		Refused   uint64 `json:"refused"` // because the queue was full
		Delivered uint64 `json:"delivered"`
		NotSent   uint64 `json:"not_sent"`
		Rejected  uint64 `json:"rejected"`
		Unknown   uint64 `json:"unknown"`
	} `json:"events"`
	Unsent  map[string]uint64 `json:"unsent"`  // events not sent, by reason
	Retries map[string]uint64 `json:"retries"` // by reason
	Reports struct {
		Waiting int    `json:"waiting"`
		Lost    uint64 `json:"lost"`
	} `json:"reports"`
	Requests    uint64          `json:"requests"` // attempts
	BatchEvents Histogram       `json:"batch_events"`
	LatencyMs   Histogram       `json:"latency_ms"`
	Document    json.RawMessage `json:"-"`
}

// Histogram counts values by size.
type Histogram struct {
	Count   uint64   `json:"count"`
	Sum     float64  `json:"sum"`
	Buckets []Bucket `json:"buckets"`
}

// Bucket counts the values that are at most Bound and larger than the previous bucket's Bound. The last Bound is +Inf.
type Bucket struct {
	Bound float64
	Count uint64
}

// UnmarshalJSON reads [bound, count].
func (b *Bucket) UnmarshalJSON(text []byte) error {
	bound := math.Inf(1)
	given := &bound
	if err := json.Unmarshal(text, &[...]any{&given, &b.Count}); err != nil {
		return err
	}
	b.Bound = bound
	return nil
}

// Stats returns the publisher's statistics. With "stats_format": "prometheus" in PublisherConfig.Extra, Document has Prometheus' format, and all
// other fields are zero.
func (p *Publisher) Stats() (*PublisherStats, error) {
	document, err := p.call(C.BRIDGE_STATS, 0)
	if err != nil {
		return nil, err
	}
	stats := &PublisherStats{Document: document}
	_ = json.Unmarshal(document, stats)
	return stats, nil
}

func (p *Publisher) call(code C.int32_t, timeoutMs uint32) ([]byte, *Error) {
	if !p.life.enter() {
		return nil, p.gone(DeliveryNone)
	}
	defer p.life.leave()
	f := newFrame(opNone)
	defer f.free()
	document, err := f.take(C.bridge_publisher(code, p.publisher, C.uint32_t(timeoutMs), f.buffer(), C.size_t(len(f.answer))))
	if err != nil {
		return nil, err.(*Error)
	}
	return document, nil
}

// slice returns how long to wait inside the library, in milliseconds: the library does not know the context.
func slice(ctx context.Context) uint32 {
	const most = 100 * time.Millisecond
	if ctx.Err() != nil {
		return 0
	}
	if ctx.Done() == nil {
		return math.MaxUint32
	}
	if deadline, has := ctx.Deadline(); has {
		if left := time.Until(deadline); left < most {
			if left < 0 {
				return 0
			}
			return uint32(milliseconds(left))
		}
	}
	return uint32(most / time.Millisecond)
}
