<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use PHPUnit\Framework\TestCase;

final class FpmTest extends TestCase
{
    private const REQUESTS = 20;

    private ?Fpm $fpm = null;

    protected function tearDown(): void
    {
        $this->fpm?->stop();
    }

    public function testPreloadedItWorksWhereScriptsMayNotUseFfi(): void
    {
        $listener = FaultServer::listen();
        $this->fpm = new Fpm(children: 2);
        $pids = [];
        for ($number = 0; $number < self::REQUESTS; ++$number) {
            $said = $this->ask('publish.php', $listener, $number);
            self::assertSame(['{}', 'channels'], [json_encode($said->answer), $said->refused]);
            self::assertStringContainsString('ffi.enable', (string) $said->restricted, 'the page itself may not');
            self::assertMatchesRegularExpression('/^\d+\.\d+\.\d+$/', $said->version);
            $pids[$said->pid] = true;
        }
        self::assertNotContains(getmypid(), array_keys($pids));
        $data = array_map(static fn (int $number): string => "{\"n\":$number}", range(0, self::REQUESTS - 1));
        self::assertSame($data, array_column($listener->applied(), 'data'));
    }

    public function testWithoutPreloadingItWorksWhereScriptsMayUseFfi(): void
    {
        $listener = FaultServer::listen();
        $this->fpm = new Fpm(children: 1, preload: false);
        $said = json_decode($this->fpm->ask('publish.php', ['TEST_URL' => FaultServer::url($listener), 'TEST_NUMBER' => '7']));
        self::assertNull($said->restricted);
        self::assertSame(['{"n":7}'], array_column($listener->applied(), 'data'));
    }

    /** PHP calls no destructors after a fatal error, but the server's process continues. */
    public function testARequestThatDiesLeavesNothingInTheServer(): void
    {
        $listener = FaultServer::listen();
        $this->fpm = new Fpm(children: 1);
        $before = json_decode($this->fpm->ask('status.php'));
        for ($number = 0; $number < self::REQUESTS; ++$number) {
            $this->fpm->ask('fatal.php', ['TEST_URL' => FaultServer::url($listener), 'TEST_NUMBER' => (string) $number]);
        }
        self::assertEquals($before, json_decode($this->fpm->ask('status.php')), 'threads or connections remain');
        self::assertCount(self::REQUESTS, $listener->applied(), 'the last events were sent');
    }

    private function ask(string $page, Listener $listener, int $number): object
    {
        $said = $this->fpm->ask($page, ['TEST_URL' => FaultServer::url($listener), 'TEST_NUMBER' => (string) $number]);

        return json_decode($said) ?? self::fail($said);
    }
}
