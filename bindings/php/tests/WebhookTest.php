<?php

declare(strict_types=1);

namespace LibPusher\Tests;

use LibPusher\Pusher;
use LibPusher\PusherException;
use LibPusher\SignatureException;
use LibPusher\UsageException;
use PHPUnit\Framework\TestCase;

final class WebhookTest extends TestCase
{
    private const BODY = '{"time_ms":1700000000123,"events":[{"name":"channel_occupied","channel":"c"}]}';

    /** Returns the headers of an authentic request. */
    private function headers(string $body = self::BODY): array
    {
        ['key' => $key, 'secret' => $secret] = FaultServer::credentials();

        return ['X-Pusher-Key' => $key, 'X-Pusher-Signature' => hash_hmac('sha256', $body, $secret)];
    }

    /** Returns whether the webhook is valid. */
    private static function valid(Pusher $pusher, array $headers, string $body): bool
    {
        try {
            $pusher->verifySignature($headers, $body);

            return true;
        } catch (SignatureException | UsageException) {
            return false;
        }
    }

    public function testAnAuthenticWebhookHasEvents(): void
    {
        $webhook = FaultServer::nowhere(['webhook_max_age_ms' => 0])->webhook($this->headers(), self::BODY);
        self::assertEquals([(object) ['name' => 'channel_occupied', 'channel' => 'c']], $webhook->get_events());
        self::assertSame(1_700_000_000_123, $webhook->get_time_ms());
    }

    public function testEventsWithoutAChannelAndATimeThatIsAStringAreRead(): void
    {
        $body = '{"time_ms":"1700000000123","events":[{"name":"other"}]}';
        $webhook = FaultServer::nowhere(['webhook_max_age_ms' => 0])->webhook($this->headers($body), $body);
        self::assertEquals([(object) ['name' => 'other']], $webhook->get_events());
        self::assertSame(1_700_000_000_123, $webhook->get_time_ms());
    }

    public function testHeadersMayBeThoseOfAnyFramework(): void
    {
        $pusher = FaultServer::nowhere(['webhook_max_age_ms' => 0]);
        ['X-Pusher-Key' => $key, 'X-Pusher-Signature' => $signature] = $this->headers();
        self::assertTrue(self::valid($pusher, ['x-pusher-key' => [$key], 'x-pusher-signature' => [$signature]], self::BODY));
        $server = ['HTTP_X_PUSHER_KEY' => $key, 'HTTP_X_PUSHER_SIGNATURE' => $signature, 'argc' => 1];
        self::assertTrue(self::valid($pusher, $server, self::BODY));
    }

    public function testAnInvalidWebhookThrows(): void
    {
        $pusher = FaultServer::nowhere(['webhook_max_age_ms' => 0]);
        $good = $this->headers();
        $bad = [
            [$good, self::BODY . ' '],
            [['X-Pusher-Key' => 'other'] + $good, self::BODY],
            [['X-Pusher-Key' => $good['X-Pusher-Key'] . "\0"] + $good, self::BODY],
            [['X-Pusher-Key' => []] + $good, self::BODY],
            [['X-Pusher-Signature' => ''] + $good, self::BODY],
            [array_slice($good, 0, 1), self::BODY],
            [array_slice($good, 1), self::BODY],
            [[], self::BODY],
            [$good, ''],
        ];
        foreach ($bad as $index => [$headers, $body]) {
            self::assertFalse(self::valid($pusher, $headers, $body), "$index");
            try {
                $pusher->webhook($headers, $body);
                self::fail("$index");
            } catch (PusherException $e) {
                self::assertContains($e->getStatus(), ['WEBHOOK_INVALID', 'INVALID_ARGUMENT']);
            }
        }
        self::assertFalse(self::valid(FaultServer::nowhere(), $good, self::BODY), 'too old');
    }

    public function testABodyMayContainAnyBytes(): void
    {
        $pusher = FaultServer::nowhere(['webhook_max_age_ms' => 0]);
        $body = "{\"time_ms\":1,\"events\":[]}\0";
        // The part before the NUL would have been authentic.
        self::assertFalse(self::valid($pusher, $this->headers($body), $body));
        $body = rtrim($body, "\0");
        self::assertTrue(self::valid($pusher, $this->headers($body), $body));
    }

    public function testEveryMemberMayHaveEveryType(): void
    {
        $pusher = FaultServer::nowhere(['webhook_max_age_ms' => 0]);
        $values = ['null', 'true', '7', '1.5', '12345678901234567890', '"x"', '[]', '[[1]]', '{}', '{"a":{"b":[null]}}'];
        foreach ($values as $value) {
            $body = "{\"time_ms\":$value,\"events\":[$value,{\"name\":$value,\"user_id\":$value,\"data\":$value}]}";
            $webhook = $pusher->webhook($this->headers($body), $body);
            $value = json_decode($value, flags: JSON_BIGINT_AS_STRING);
            self::assertIsInt($webhook->get_time_ms());
            self::assertEquals([$value, (object) ['name' => $value, 'user_id' => $value, 'data' => $value]], $webhook->get_events());
        }
    }

    public function testAWebhookWhoseEventsAreNoListIsRefused(): void
    {
        $pusher = FaultServer::nowhere(['webhook_max_age_ms' => 0]);
        foreach (['{}', '{"events":null}', '{"events":[]}'] as $body) {
            self::assertSame([], $pusher->webhook($this->headers($body), $body)->get_events());
        }
        foreach (['7', '"x"', '{"0":{}}', 'true'] as $events) {
            $body = "{\"events\":$events,\"time_ms\":1}";
            self::assertFalse(self::valid($pusher, $this->headers($body), $body), $events);
        }
        $body = str_repeat('[', 5000) . str_repeat(']', 5000);
        $body = "{\"time_ms\":1,\"events\":$body}";
        $this->expectException(SignatureException::class);
        $pusher->webhook($this->headers($body), $body);
    }

    public function testKeysCanBeRotated(): void
    {
        $tokens = [['key' => 'new-key', 'secret' => 'new-secret']];
        $pusher = FaultServer::nowhere(['webhook_max_age_ms' => 0, 'webhook_tokens' => $tokens]);
        $new = ['X-Pusher-Key' => 'new-key', 'X-Pusher-Signature' => hash_hmac('sha256', self::BODY, 'new-secret')];
        self::assertTrue(self::valid($pusher, $new, self::BODY));
        self::assertFalse(self::valid($pusher, ['X-Pusher-Key' => 'new-key'] + $this->headers(), self::BODY));
    }
}
