module github.com/libpusher/libpusher/bindings/go

go 1.19
