# Laravel's components as Debian has them (8.83), in PHP-FPM behind nginx.
. e2e/frameworks/php.sh

prepare() {
  php_environment /usr/share/php/Illuminate/Broadcasting/autoload.php=php-illuminate-broadcasting \
    /usr/share/php/Illuminate/Routing/autoload.php=php-illuminate-routing /usr/share/php/Illuminate/Config/autoload.php=php-illuminate-config \
    /usr/share/php/Illuminate/Events/autoload.php=php-illuminate-events
}

serve() { php_server laravel; }
