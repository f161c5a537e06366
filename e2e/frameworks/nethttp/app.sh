# Go's net/http.
. e2e/frameworks/go.sh

prepare() { go_application nethttp; }

serve() { exec "$OUT/nethttp"; }
