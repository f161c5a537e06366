# The server that the PHP applications share: PHP-FPM behind nginx, with the classes of the binding preloaded.

php_fpm() { php -r 'echo "php-fpm", PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;'; }

php_environment() {
  need php=php-cli /usr/sbin/nginx=nginx-light
  need "$(php_fpm)=$(php_fpm | sed 's/php-fpm\(.*\)/php\1-fpm/')"
  # The system's library path is not ours to change, so the header names the library.
  rm -rf "$OUT/php"
  cp -rL bindings/php "$OUT/php"
  sed -i "s|^#define FFI_LIB .*|#define FFI_LIB \"$PUSHER_LIBRARY\"|" "$OUT/php/include/pusher.ffi.h"
}

# Serves the folder public of an application.
php_server() {
  local folder fpm
  # The sockets of a path that is too long cannot be opened.
  folder=$(mktemp -d)
  php_configuration "$folder" "$PWD/e2e/frameworks/$1"
  export PACKAGE=$OUT/php
  # It opens its standard error by name, which is impossible if that is a socket.
  "$(php_fpm)" -y "$folder/fpm.conf" -R --nodaemonize \
    -d ffi.preload="$PACKAGE/include/pusher.ffi.h" -d opcache.preload="$PACKAGE/preload.php" -d opcache.preload_user="$(id -un)" \
    2> >(exec cat >&2) &
  fpm=$!
  while [ ! -S "$folder/fpm.sock" ] && kill -0 $fpm; do sleep 0.05; done
  /usr/sbin/nginx -p "$folder" -c "$folder/nginx.conf" &
  trap 'kill $! $fpm; wait; rm -rf "$folder"; exit 0' TERM
  wait
}

php_configuration() {
  local user
  user=$(id -un)
  # An application's environment has only what the pool sets.
  cat >"$1/fpm.conf" <<CONF
[global]
error_log = /proc/self/fd/2
[www]
user = $user
group = $(id -gn)
listen = $1/fpm.sock
pm = static
pm.max_children = 2
catch_workers_output = yes
decorate_workers_output = no
php_admin_value[error_log] = /proc/self/fd/2
env[PUSHER_APP_ID] = \$PUSHER_APP_ID
env[PUSHER_APP_KEY] = \$PUSHER_APP_KEY
env[PUSHER_APP_SECRET] = \$PUSHER_APP_SECRET
env[PUSHER_HOST] = \$PUSHER_HOST
env[PUSHER_PORT] = \$PUSHER_PORT
env[PUSHER_SCHEME] = \$PUSHER_SCHEME
env[PACKAGE] = \$PACKAGE
env[STATE] = \$STATE
CONF
  {
    [ "$user" != root ] || echo 'user root;'
    cat <<CONF
daemon off;
pid $1/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path $1/client_body;
  proxy_temp_path $1/proxy;
  fastcgi_temp_path $1/fastcgi;
  uwsgi_temp_path $1/uwsgi;
  scgi_temp_path $1/scgi;
  server {
    listen 127.0.0.1:$PORT;
    location / {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $2/public/index.php;
      fastcgi_pass unix:$1/fpm.sock;
    }
  }
}
CONF
  } >"$1/nginx.conf"
}
