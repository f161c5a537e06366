# Symfony's framework bundle as Debian has it (5.4), in PHP-FPM behind nginx.
. e2e/frameworks/php.sh

prepare() {
  php_environment
  need /usr/share/php/Symfony/Bundle/FrameworkBundle/autoload.php=php-symfony-framework-bundle
}

serve() { php_server symfony; }
