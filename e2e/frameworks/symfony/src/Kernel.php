<?php

namespace App;

use LibPusher\Pusher;
use LibPusher\PusherInterface;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
    }

    /** The folder of the state is the only one that this application may write. */
    public function getCacheDir(): string
    {
        return dirname($_SERVER['STATE']) . '/cache';
    }

    public function getLogDir(): string
    {
        return $this->getCacheDir();
    }

    private function configureContainer(ContainerConfigurator $container): void
    {
        $container->extension('framework', ['secret' => 'not-used', 'http_method_override' => false]);
        $services = $container->services();
        $services->set(Pusher::class)->args([
            '%env(PUSHER_APP_KEY)%',
            '%env(PUSHER_APP_SECRET)%',
            '%env(PUSHER_APP_ID)%',
            ['host' => '%env(PUSHER_HOST)%', 'port' => '%env(PUSHER_PORT)%', 'scheme' => '%env(PUSHER_SCHEME)%'],
        ]);
        $services->alias(PusherInterface::class, Pusher::class);
        $services->set(PusherController::class)->autowire()->public();
    }

    private function configureRoutes(RoutingConfigurator $routes): void
    {
        foreach (PusherController::ROUTES as $path => [$method, $action]) {
            $routes->add($action, $path)->controller([PusherController::class, $action])->methods([$method]);
        }
    }
}
