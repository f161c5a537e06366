# Laravel's components as Debian has them (8.83), in PHP-FPM behind nginx.
. e2e/frameworks/php.sh

prepare() {
  local component illuminate=()
  php_environment
  for component in broadcasting bus config container events http routing; do
    illuminate+=("/usr/share/php/Illuminate/${component^}/autoload.php=php-illuminate-$component")
  done
  need "${illuminate[@]}"
}

serve() { php_server laravel; }
