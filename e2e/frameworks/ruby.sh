# The server that the Ruby applications share: Puma, with the binding of this repository.

ruby_environment() {
  need ruby puma
  ruby -e 'require "ffi"' 2>/dev/null || need ffi-for-ruby=ruby-ffi
}

# Serves the config.ru of an application with two workers, which are forked from a parent that has loaded it.
ruby_server() {
  export RUBYLIB=$PWD/bindings/ruby/lib RAILS_ENV=production RACK_ENV=production
  cd "e2e/frameworks/$1" || return
  exec puma --quiet --workers 2 --preload --threads 1:4 --bind "tcp://127.0.0.1:$PORT" config.ru
}
