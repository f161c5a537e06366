# A Rails application that publishes orders, authorizes its users, and takes webhooks.
require 'logger'
require 'rails'
require 'action_controller/railtie'
require 'libpusher/pusher'

class Shop < Rails::Application
  config.root = File.expand_path('..', __dir__)
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = true
  config.secret_key_base = SecureRandom.hex
  config.hosts.clear
  config.log_level = :warn
  config.logger = Logger.new($stdout)
end
