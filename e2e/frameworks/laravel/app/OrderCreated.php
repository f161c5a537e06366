<?php

namespace App;

use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;

class OrderCreated implements ShouldBroadcastNow
{
    use InteractsWithSockets;

    public function __construct(public string $id)
    {
    }

    public function broadcastOn()
    {
        return new PrivateChannel('orders');
    }

    public function broadcastAs()
    {
        return 'order-created';
    }

    public function broadcastWith()
    {
        return ['id' => $this->id];
    }
}
