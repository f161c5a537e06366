<?php

namespace App;

use Closure;
use Illuminate\Http\Request;

class User
{
    public function __construct(public string $name)
    {
    }

    public function getAuthIdentifier()
    {
        return $this->name;
    }

    /** A middleware: the header stands for the session. */
    public static function signedIn(Request $request, Closure $next)
    {
        $name = $request->bearerToken();
        $request->setUserResolver(static fn () => $name === null ? null : new self($name));

        return $next($request);
    }
}
