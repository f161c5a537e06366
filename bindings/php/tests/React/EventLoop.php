<?php

declare(strict_types=1);

namespace LibPusher\Tests\React;

use React\EventLoop\LoopInterface;
use React\EventLoop\TimerInterface;

/** An event loop on stream_select(). It runs while it has streams or timers, as ReactPHP's does. */
final class EventLoop implements LoopInterface
{
    /** How often it waited. */
    public int $turns = 0;

    private array $read = [];
    private array $write = [];
    private \SplObjectStorage $timers;
    private bool $running = false;

    public function __construct()
    {
        $this->timers = new \SplObjectStorage();
    }

    public function addReadStream($stream, $listener)
    {
        $this->read[(int) $stream] = [$stream, $listener];
    }

    public function addWriteStream($stream, $listener)
    {
        $this->write[(int) $stream] = [$stream, $listener];
    }

    public function removeReadStream($stream)
    {
        unset($this->read[(int) $stream]);
    }

    public function removeWriteStream($stream)
    {
        unset($this->write[(int) $stream]);
    }

    public function addTimer($interval, $callback)
    {
        return $this->timer($interval, $callback, false);
    }

    public function addPeriodicTimer($interval, $callback)
    {
        return $this->timer($interval, $callback, true);
    }

    public function cancelTimer(TimerInterface $timer)
    {
        $this->timers->detach($timer);
    }

    public function futureTick($listener)
    {
        $this->addTimer(0, $listener);
    }

    public function addSignal($signal, $listener)
    {
        throw new \BadMethodCallException();
    }

    public function removeSignal($signal, $listener)
    {
        throw new \BadMethodCallException();
    }

    public function run()
    {
        $this->running = true;
        while ($this->running && ($this->read !== [] || $this->write !== [] || count($this->timers) > 0)) {
            ++$this->turns;
            $this->select();
            foreach (iterator_to_array($this->timers, false) as $timer) {
                if ($timer->due <= hrtime(true) && $this->timers->contains($timer)) {
                    $timer->isPeriodic() ? $timer->again() : $this->timers->detach($timer);
                    ($timer->getCallback())($timer);
                }
            }
        }
    }

    public function stop()
    {
        $this->running = false;
    }

    private function select(): void
    {
        $due = array_map(static fn (Timer $timer): int => $timer->due, iterator_to_array($this->timers, false));
        $left = $due === [] ? 60_000_000_000 : max(min($due) - hrtime(true), 0);
        $read = array_column($this->read, 0);
        $write = array_column($this->write, 0);
        if ($read === [] && $write === []) {
            usleep(intdiv($left, 1000));

            return;
        }
        $none = null;
        stream_select($read, $write, $none, intdiv($left, 1_000_000_000), intdiv($left % 1_000_000_000, 1000));
        foreach ([[$read, &$this->read], [$write, &$this->write]] as [$ready, &$listeners]) {
            foreach ($ready as $stream) {
                if (isset($listeners[(int) $stream])) {
                    ($listeners[(int) $stream][1])($stream);
                }
            }
        }
    }

    private function timer(float $interval, callable $callback, bool $isPeriodic): TimerInterface
    {
        $timer = new Timer($interval, $callback, $isPeriodic);
        $this->timers->attach($timer);

        return $timer;
    }
}
