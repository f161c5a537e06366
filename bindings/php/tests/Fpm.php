<?php

declare(strict_types=1);

namespace LibPusher\Tests;

/**
 * PHP-FPM, configured as the README says: the package and the library are installed in a folder, and the classes and the header are
 * preloaded. cgi-fcgi sends the requests.
 */
final class Fpm
{
    private readonly string $folder;

    /** @var resource */
    private $process;

    /** @var resource */
    private $log;

    /** @param bool $preload else it has `ffi.enable=true` */
    public function __construct(int $children, bool $preload = true)
    {
        // Not inside this folder: the workers of a server that root started may not read there.
        $this->folder = sys_get_temp_dir() . '/libpusher-fpm-' . bin2hex(random_bytes(8));
        mkdir($this->folder, 0755);
        $package = dirname(__DIR__);
        self::copyInto("$this->folder/package", "$package/autoload.php", "$package/preload.php");
        self::copyInto("$this->folder/package/src", ...glob("$package/src/*.php"));
        self::copyInto("$this->folder/package/include", ...glob("$package/include/*"));
        self::copyInto("$this->folder/pages", ...glob(__DIR__ . '/fpm/*.php'));
        self::copyInto("$this->folder/lib", getenv('PUSHER_LIBRARY'));
        rename("$this->folder/lib/" . basename(getenv('PUSHER_LIBRARY')), "$this->folder/lib/libpusher.so.0");
        $this->start($children, $preload ? [
            'ffi.enable' => 'preload',
            'ffi.preload' => "$this->folder/package/include/pusher.ffi.h",
            'opcache.preload' => "$this->folder/package/preload.php",
            // Needed if root starts the server, as on Debian.
            'opcache.preload_user' => posix_geteuid() === 0 ? 'www-data' : '',
        ] : ['ffi.enable' => 'true', 'auto_prepend_file' => "$this->folder/package/autoload.php"]);
    }

    /**
     * Returns a page's body.
     *
     * @param array<string, string> $params
     */
    public function ask(string $page, array $params = []): string
    {
        $environment = [
            'GATEWAY_INTERFACE' => 'CGI/1.1',
            'REQUEST_METHOD' => 'GET',
            'SCRIPT_FILENAME' => "$this->folder/pages/$page",
            'PATH' => (string) getenv('PATH'),
        ];
        $command = ['cgi-fcgi', '-bind', '-connect', "$this->folder/socket"];
        $files = [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']];
        $process = proc_open($command, $files, $pipes, null, $params + $environment);
        $said = Wait::read($pipes[1]) . Wait::read($pipes[2]);
        proc_close($process);
        [, $body] = explode("\r\n\r\n", $said, 2) + [1 => "no page: $said"];

        return $body;
    }

    public function stop(): void
    {
        proc_terminate($this->process);
        Wait::read($this->log);
        proc_close($this->process);
        $files = new \RecursiveDirectoryIterator($this->folder, \FilesystemIterator::SKIP_DOTS);
        foreach (new \RecursiveIteratorIterator($files, \RecursiveIteratorIterator::CHILD_FIRST) as $file) {
            $file->isDir() ? rmdir($file->getPathname()) : unlink($file->getPathname());
        }
        rmdir($this->folder);
    }

    /** @param array<string, string> $settings */
    private function start(int $children, array $settings): void
    {
        file_put_contents("$this->folder/fpm.conf", <<<CONF
            [global]
            error_log = /proc/self/fd/2
            daemonize = no
            [www]
            user = www-data
            group = www-data
            listen = $this->folder/socket
            pm = static
            pm.max_children = $children
            CONF);
        $command = [getenv('PHP_FPM') ?: 'php-fpm' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION, '-y', "$this->folder/fpm.conf"];
        foreach ($settings as $name => $value) {
            array_push($command, '-d', "$name=$value");
        }
        $environment = ['LD_LIBRARY_PATH' => "$this->folder/lib", 'PATH' => (string) getenv('PATH')];
        $files = [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['pipe', 'w']];
        $this->process = proc_open($command, $files, $pipes, null, $environment);
        $this->log = $pipes[2];
        $said = Wait::read($this->log, static fn (string $read): bool => str_contains($read, 'ready to handle connections'));
        if (!str_contains($said, 'ready to handle connections')) {
            $this->stop();
            throw new \RuntimeException("php-fpm does not start: $said");
        }
    }

    private static function copyInto(string $folder, string ...$files): void
    {
        mkdir($folder, 0755, true);
        foreach ($files as $file) {
            copy($file, "$folder/" . basename($file));
            chmod("$folder/" . basename($file), 0644);
        }
    }
}
