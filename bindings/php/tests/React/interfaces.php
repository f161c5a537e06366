<?php

declare(strict_types=1);

// What the package and its README use of react/event-loop 1 and react/socket 1, because Debian has only react/promise.

namespace React\EventLoop {
    interface TimerInterface
    {
        public function getInterval();
        public function getCallback();
        public function isPeriodic();
    }

    interface LoopInterface
    {
        public function addReadStream($stream, $listener);
        public function addWriteStream($stream, $listener);
        public function removeReadStream($stream);
        public function removeWriteStream($stream);
        public function addTimer($interval, $callback);
        public function addPeriodicTimer($interval, $callback);
        public function cancelTimer(TimerInterface $timer);
        public function futureTick($listener);
        public function addSignal($signal, $listener);
        public function removeSignal($signal, $listener);
        public function run();
        public function stop();
    }

    final class Loop
    {
        private static ?LoopInterface $instance = null;

        public static function get()
        {
            return self::$instance ??= new \LibPusher\Tests\React\EventLoop();
        }

        public static function run()
        {
            self::get()->run();
        }
    }
}

namespace React\Socket {
    interface ConnectorInterface
    {
        public function connect($uri);
    }

    interface ConnectionInterface
    {
        public function on($event, callable $listener);
        public function write($data);
        public function close();
    }
}
