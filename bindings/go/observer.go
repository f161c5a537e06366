package pusher

// #include <stdint.h>
import "C"

import (
	"encoding/json"
	"runtime/cgo"
)

// ObservationKind says what an Observation is of.
type ObservationKind int32

const (
	CallStart    ObservationKind = 1
	AttemptStart ObservationKind = 2
	AttemptEnd   ObservationKind = 3
	CallEnd      ObservationKind = 4
)

// Observation is the start or the end of a call or of one of its attempts. It never contains a secret, a signature or a payload. Calls of a
// Client with an HTTPClient have none, except those with FanOut, and those of a client with a CircuitBreaker.
type Observation struct {
	Kind   ObservationKind
	CallID uint64
	Fields map[string]any // PusherObserveFn in pusher.h lists them
}

//export libpusherGoObserve
func libpusherGoObserve(observe C.uintptr_t, kind C.int32_t, callID C.uint64_t, fields *C.char) {
	tell := cgo.Handle(observe).Value().(func(Observation))
	observation := Observation{Kind: ObservationKind(kind), CallID: uint64(callID)}
	_ = json.Unmarshal([]byte(C.GoString(fields)), &observation.Fields)
	// On another goroutine, for the reason of libpusherGoLog.
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		tell(observation)
	}()
	<-done
}

// ClientStats has a client's statistics.
type ClientStats struct {
	Calls       map[string]map[string]uint64 `json:"calls"`    // by function and outcome
	Requests    uint64                       `json:"requests"` // each attempt counted
	Retries     map[string]uint64            `json:"retries"`  // by the failure before
	LatencyMs   Histogram                    `json:"latency_ms"`
	Connections struct {
		Idle   uint64 `json:"idle"`
		Opened uint64 `json:"opened"`
		Reused uint64 `json:"reused"`
	} `json:"connections"`
	Document []byte `json:"-"` // as the library returned it
}

// Stats returns the client's statistics. With "stats_format": "prometheus" in Extra, Document has Prometheus' format, and all other fields
// are zero.
func (c *Client) Stats() (*ClientStats, error) {
	document, err := c.sign(newFrame(opStats), 0)
	if err != nil {
		return nil, err
	}
	stats := &ClientStats{Document: document}
	_ = json.Unmarshal(document, stats)
	return stats, nil
}
