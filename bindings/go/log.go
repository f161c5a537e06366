package pusher

// #include <stdint.h>
import "C"

import (
	"encoding/json"
	"runtime/cgo"
)

// LogLevel is the severity of a LogRecord.
type LogLevel int32

const (
	LogError LogLevel = 1 // a call failed because of a bug, or without memory
	LogWarn  LogLevel = 2 // a call failed
	LogInfo  LogLevel = 3 // an event that explains later behaviour
	LogDebug LogLevel = 4 // a call succeeded
)

var logLevelNames = [...]string{"", "error", "warn", "info", "debug"}

// String returns the level's name, such as "warn".
func (l LogLevel) String() string {
	if l < 1 || int(l) >= len(logLevelNames) {
		return "?"
	}
	return logLevelNames[l]
}

// LogRecord is a log message of the library. It never contains a secret, a signature or a payload.
type LogRecord struct {
	Level   LogLevel
	Message string
	Fields  map[string]any
}

//export libpusherGoLog
func libpusherGoLog(log C.uintptr_t, level C.int32_t, message, fields *C.char) {
	tell := cgo.Handle(log).Value().(func(LogRecord))
	record := LogRecord{Level: LogLevel(level), Message: C.GoString(message)}
	_ = json.Unmarshal([]byte(C.GoString(fields)), &record.Fields)
	// Call it on another goroutine: a panic or runtime.Goexit (t.FailNow) on this one would unwind the library's stack frames, which are
	// not Go's, and leave its locks locked.
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		tell(record)
	}()
	<-done
}

//export libpusherGoDrop
func libpusherGoDrop(log C.uintptr_t) { cgo.Handle(log).Delete() }
