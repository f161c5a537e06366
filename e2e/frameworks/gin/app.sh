# gin.
. e2e/frameworks/go.sh

prepare() { go_application gin /usr/share/gocode/src/github.com/gin-gonic/gin=golang-github-gin-gonic-gin-dev; }

serve() { GIN_MODE=release exec "$OUT/gin"; }
