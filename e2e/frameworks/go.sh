# What the Go applications share.

# Builds an application. Debian packages the frameworks as sources, so it is built without modules: packages are looked up in the folder of the tests,
# then in Debian's.
go_application() {
  local own=$OUT/go
  need go=golang-go gcc pkg-config "${@:2}"
  mkdir -p "$own/src/github.com/libpusher/libpusher/bindings"
  ln -sfn "$PWD/bindings/go" "$own/src/github.com/libpusher/libpusher/bindings/go"
  ln -sfn "$PWD/e2e/frameworks/$1" "$own/src/$1"
  GO111MODULE=off GOTOOLCHAIN=local GOPATH=$own:/usr/share/gocode CGO_ENABLED=1 PKG_CONFIG_PATH=$OUT go build -o "$OUT/$1" "$1"
}
