module github.com/pusher/pusher-http-go/v5

go 1.19

require github.com/libpusher/libpusher/bindings/go v0.0.0

replace github.com/libpusher/libpusher/bindings/go => ../go
