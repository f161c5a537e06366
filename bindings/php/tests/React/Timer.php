<?php

declare(strict_types=1);

namespace LibPusher\Tests\React;

use React\EventLoop\TimerInterface;

/** A timer of {@see EventLoop}. */
final class Timer implements TimerInterface
{
    public int $due;

    /** @param callable $callback */
    public function __construct(private readonly float $interval, private $callback, private readonly bool $isPeriodic)
    {
        $this->again();
    }

    public function again(): void
    {
        $this->due = hrtime(true) + (int) ($this->interval * 1e9);
    }

    public function getInterval()
    {
        return $this->interval;
    }

    public function getCallback()
    {
        return $this->callback;
    }

    public function isPeriodic()
    {
        return $this->isPeriodic;
    }
}
