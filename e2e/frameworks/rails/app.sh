# Rails, served by Puma with two workers that share what the parent has loaded.
. e2e/frameworks/ruby.sh

prepare() {
  ruby_environment
  ruby -e 'require "action_controller/railtie"' 2>/dev/null || need rails-for-ruby=ruby-rails
}

serve() { ruby_server rails; }
