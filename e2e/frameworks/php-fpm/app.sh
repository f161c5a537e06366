# PHP without a framework, in PHP-FPM behind nginx.
. e2e/frameworks/php.sh

prepare() { php_environment; }

serve() { php_server php-fpm; }
