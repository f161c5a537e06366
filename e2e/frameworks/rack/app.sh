# Rack, served by Puma with two workers that share what the parent has loaded.
. e2e/frameworks/ruby.sh

prepare() { ruby_environment; }

serve() { ruby_server rack; }
